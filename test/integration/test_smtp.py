# SPDX-License-Identifier: MIT
"""Delivery to a real Postfix: plain, STARTTLS, AUTH, TLS from the first octet; refusals; a server
that is away. XOAUTH2, which Postfix's own AUTH does not know, to a server of a few lines."""

import base64
import os
import socket
import ssl
import threading
import time

import folder
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


def secure_server(box):
    """With STARTTLS, and AUTH as a condition; not started yet."""
    return server(box, tls=postfix.Authority(box.path("ca")), auth=(USER, PASSWORD))


def call_once(box, gateway):
    """One short fax by a whole call; gives its images."""
    document = box.document(p=1, k="text", l=500)
    result = box.call(gateway, document, t38="redundancy")[0]
    assert result["ok"], result
    return images(document)


def send_one(box, gateway):
    """The same without the call."""
    pages = folder.pages_of(box, k="text", l=500)
    folder.put(gateway, pages)
    return images(pages[0])


def arrived(box, instance, count=1, seconds=60):
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
    instance = secure_server(box).start()
    gateway = box.gateway(servers=with_password(box, instance, PASSWORD))
    sent = call_once(box, gateway)
    mail = arrived(box, instance)[0]
    assert mail.images() == sent
    assert "ESMTPSA" in mail["Received"], mail["Received"]
    assert PASSWORD not in gateway.log()


@timeout(120)
def test_auth_login(box):
    instance = secure_server(box).start()
    gateway = box.gateway(servers=with_password(box, instance, PASSWORD, auth="login"))
    sent = send_one(box, gateway)
    assert arrived(box, instance)[0].images() == sent


@timeout(120)
def test_wrong_password_keeps_the_fax(box):
    instance = secure_server(box).start()
    gateway = box.gateway(servers=with_password(box, instance, "wrong"))
    send_one(box, gateway)
    wait_for("the refusal is logged", lambda: "535" in str(attempts(gateway)))
    assert not instance.mails()


@timeout(120)
def test_certificate_of_a_stranger_is_refused(box):
    """The certificate is another authority's: no mail and no password goes there."""
    instance = secure_server(box).start()
    other = postfix.Authority(box.path("other"))
    gateway = box.gateway(servers=with_password(box, instance, PASSWORD, ca_file=other.ca))
    send_one(box, gateway)
    wait_for("the attempt is logged", lambda: attempts(gateway))
    time.sleep(2)
    assert not instance.mails()
    assert "sasl_username" not in instance.read_log(), "a password was sent"


@timeout(120)
def test_certificate_of_another_name_is_refused(box):
    instance = secure_server(box).start()
    gateway = box.gateway(servers=with_password(box, instance, PASSWORD, host="127.0.0.2"))
    send_one(box, gateway)
    wait_for("the attempt is logged", lambda: attempts(gateway))
    time.sleep(1)
    assert not instance.mails()


def add_smtps(box, instance):
    """A second port, for TLS from the first octet; call it before start()."""
    port = box.port()
    with open(os.path.join(instance.folder, "config/master.cf"), "a") as file:
        file.write(f"127.0.0.1:{port} inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n")
    return port


@sanitized
@timeout(120)
def test_implicit_tls(box):
    instance = secure_server(box)
    port = add_smtps(box, instance)
    instance.start()
    gateway = box.gateway(servers=with_password(box, instance, PASSWORD, tls="implicit", port=port))
    sent = call_once(box, gateway)
    mail = arrived(box, instance)[0]
    assert mail.images() == sent
    assert "ESMTPSA" in mail["Received"], mail["Received"]
    assert PASSWORD not in gateway.log()


@timeout(120)
def test_implicit_tls_of_a_stranger_is_refused(box):
    instance = secure_server(box)
    port = add_smtps(box, instance)
    instance.start()
    other = postfix.Authority(box.path("other"))
    gateway = box.gateway(servers=with_password(box, instance, PASSWORD, tls="implicit", port=port,
                                                ca_file=other.ca))
    send_one(box, gateway)
    wait_for("the refusal is logged", lambda: "certificate" in str(attempts(gateway)))
    time.sleep(1)
    assert not instance.mails()
    assert "sasl_username" not in instance.read_log(), "a password was sent"


class TokenServer(threading.Thread):
    """SMTP behind TLS that takes mail after XOAUTH2 with one token at a time: .token."""

    def __init__(self, port, authority, token):
        super().__init__(daemon=True)
        self.token, self.mails, self.refused = token, [], 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(authority.cert, authority.key)
        self.socket = socket.create_server(("127.0.0.1", port))
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.socket.accept()
                with self.context.wrap_socket(client, server_side=True) as stream:
                    self.serve(stream.makefile("rwb"))
            except ValueError:
                return
            except OSError:
                if self.socket.fileno() < 0:
                    return

    def serve(self, stream):
        def say(line):
            stream.write(line.encode() + b"\r\n")
            stream.flush()

        say("220 token server")
        good = False
        for line in stream:
            verb = line.split()[0].upper()
            if verb == b"EHLO":
                say("250-token server\r\n250 AUTH XOAUTH2")
            elif verb == b"AUTH":
                given = base64.b64decode(line.split()[2]).decode()
                good = given == f"user={USER}\x01auth=Bearer {self.token}\x01\x01"
                self.refused += not good
                say("235 2.7.0 welcome" if good else "535 5.7.3 token expired")
            elif not good:
                say("530 5.7.0 login first")
            elif verb == b"DATA":
                say("354 go on")
                octets = b""
                while (line := stream.readline()) != b".\r\n":
                    octets += line[1:] if line.startswith(b".") else line
                self.mails.append(octets)
                say("250 2.0.0 taken")
            else:
                say("250 2.0.0 ok")

    def stop(self):
        self.socket.close()


@timeout(120)
def test_xoauth2_with_a_token_that_runs_out(box):
    """The command's token is kept; when the server refuses it, the newer one is fetched at once."""
    authority = postfix.Authority(box.path("ca"))
    token_server = TokenServer(box.port(), authority, "first.token")
    box.closers.append(token_server.stop)
    os.chmod(box.folder, 0o755)
    path = box.write("token", "first.token\n")
    gateway = box.gateway(servers={"server one": {
        "rank": 1, "host": "localhost", "port": token_server.socket.getsockname()[1],
        "tls": "implicit", "ca_file": authority.ca, "auth": "xoauth2", "user": USER,
        "token_command": "/bin/cat " + path}})
    send_one(box, gateway)
    wait_for("the first mail", lambda: len(token_server.mails) == 1)
    box.write("token", "second.token\n")
    token_server.token = "second.token"
    sent = send_one(box, gateway)
    wait_for("the second mail", lambda: len(token_server.mails) == 2)
    assert token_server.refused == 1
    assert Mail(token_server.mails[1], box.folder, "second").images() == sent
    assert [row["result"] for row in attempts(gateway)][-4:] == [
        "TCP OK", "token out of date", "TCP OK", "SMTP OK"], attempts(gateway)
    assert ".token" not in gateway.log()


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
    wait_for("a failed attempt is logged", lambda: attempts(gateway))
    instance.start()
    assert arrived(box, instance)[0].images() == sent
