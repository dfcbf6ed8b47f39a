# SPDX-License-Identifier: MIT
"""Delivery to a real Postfix: plain, STARTTLS, AUTH; refusals; a server that is away."""

import os
import time

import postfix
from harness import Mail, Skip, images, sanitized, timeout, wait_for

USER, PASSWORD = "faxpost", "correct horse"


def server(box, **arguments):
    if not postfix.available():
        raise Skip("Postfix needs root, and test/fetch-postfix build/mta")
    made = postfix.Postfix(box.path("postfix"), arguments.pop("port", None) or box.port(),
                           **arguments)
    box.closers.append(made.stop)
    return made


def send_one(box, gateway):
    """One short fax; gives its images."""
    document = box.document(p=1, k="text", l=500)
    result = box.call(gateway, document, t38="redundancy")[0]
    assert result["ok"], result
    return images(document)


def arrived(box, instance, count=1, seconds=30):
    wait_for(f"{count} mails at Postfix", lambda: len(instance.mails()) >= count, seconds)
    time.sleep(0.5)
    assert len(instance.mails()) == count
    return [Mail(octets, box.folder, str(i)) for i, octets in enumerate(instance.mails())]


def attempts(gateway):
    """The rows of the transmission log."""
    return gateway.faxpost("log")["rows"]


def with_password(box, instance, password, **more):
    path = box.write("password", password + "\n")
    os.chmod(path, 0o600)
    os.chown(path, 65534, 65534)  # the account of the roles
    return {"server one": dict({
        "rank": 1, "host": "localhost", "port": instance.port, "tls": "starttls",
        "ca_file": instance.tls.ca, "auth": "plain", "user": USER, "password_file": path}, **more)}


@sanitized
@timeout(120)
def test_starttls_and_auth(box):
    instance = server(box, tls=postfix.Authority(box.path("ca")), auth=(USER, PASSWORD)).start()
    gateway = box.gateway(servers=with_password(box, instance, PASSWORD))
    sent = send_one(box, gateway)
    mail = arrived(box, instance)[0]
    assert mail.images() == sent
    assert "ESMTPSA" in mail["Received"], mail["Received"]
    assert PASSWORD not in gateway.log()


@timeout(120)
def test_auth_login(box):
    instance = server(box, tls=postfix.Authority(box.path("ca")), auth=(USER, PASSWORD)).start()
    gateway = box.gateway(servers=with_password(box, instance, PASSWORD, auth="login"))
    sent = send_one(box, gateway)
    assert arrived(box, instance)[0].images() == sent


@timeout(120)
def test_wrong_password_keeps_the_fax(box):
    instance = server(box, tls=postfix.Authority(box.path("ca")), auth=(USER, PASSWORD)).start()
    gateway = box.gateway(servers=with_password(box, instance, "wrong"))
    send_one(box, gateway)
    wait_for("the refusal is logged", lambda: "535" in str(attempts(gateway)), 30)
    assert not instance.mails()


@timeout(120)
def test_certificate_of_a_stranger_is_refused(box):
    """The certificate is another authority's: no mail and no password goes there."""
    instance = server(box, tls=postfix.Authority(box.path("ca")), auth=(USER, PASSWORD)).start()
    other = postfix.Authority(box.path("other"))
    gateway = box.gateway(servers=with_password(box, instance, PASSWORD, ca_file=other.ca))
    send_one(box, gateway)
    wait_for("the attempt is logged", lambda: attempts(gateway), 30)
    time.sleep(2)
    assert not instance.mails()
    assert "sasl_username" not in instance.read_log(), "a password was sent"


@timeout(120)
def test_certificate_of_another_name_is_refused(box):
    instance = server(box, tls=postfix.Authority(box.path("ca")), auth=(USER, PASSWORD)).start()
    gateway = box.gateway(servers=with_password(box, instance, PASSWORD, host="127.0.0.2"))
    send_one(box, gateway)
    wait_for("the attempt is logged", lambda: attempts(gateway), 30)
    time.sleep(1)
    assert not instance.mails()


@timeout(120)
def test_second_server_when_the_first_is_away(box):
    instance = server(box).start()
    gateway = box.gateway(bypass={"bypass": {"default": "allow"}}, servers={
        "server one": {"rank": 1, "host": "127.0.0.1", "port": box.port()},
        "server two": {"rank": 2, "host": "127.0.0.1", "port": instance.port}})
    sent = send_one(box, gateway)
    assert arrived(box, instance)[0].images() == sent


@timeout(150)
def test_server_comes_back(box):
    """Nobody answers at first: the fax waits, and goes once the server is there, exactly once."""
    instance = server(box)
    gateway = box.gateway(settings={"retry": {"wait": "2s"}}, servers={
        "server one": {"rank": 1, "host": "127.0.0.1", "port": instance.port}})
    sent = send_one(box, gateway)
    wait_for("a failed attempt is logged", lambda: attempts(gateway), 30)
    instance.start()
    assert arrived(box, instance, seconds=60)[0].images() == sent
