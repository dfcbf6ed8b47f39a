# SPDX-License-Identifier: MIT
"""Failover among real servers, two of Postfix and one of OpenSMTPD: the first is killed, or has no
room on its disk, or is behind a firewall, or answers to nobody; with and without permission to
bypass. What the operator is told comes by them too."""

import email
import email.policy
import os
import re
import signal
import socket

import folder
import netns
import opensmtpd
import postfix
from fake import Fake
from harness import Mail, Skip, timeout, wait_for

RETRY = {"wait": "300ms", "wait_max": "1s", "limit": 3, "expire": "1h"}
FULL = {"queue_minfree": "1000000000000000"}  # no disk has as much


def mta(box, name, **settings):
    if not postfix.available():
        raise Skip("Postfix needs root, and test/fetch-postfix build/mta")
    made = postfix.Postfix(box.path(name), box.port(), settings=settings)
    box.closers.append(made.stop)
    return made.start()


def entry(rank, port, host="127.0.0.1"):
    return {"rank": rank, "host": host, "port": port}


def start(box, servers, bypass, **more):
    """Faxes of 1002 may not go by another server, all others as `bypass` says."""
    return box.gateway(
        servers={f"server {name}": value for name, value in servers.items()},
        bypass={"bypass": {"default": bypass}, "sender": {"1002": "deny"}},
        settings={"retry": RETRY, "mail": {"mailbox": "no"},
                  "timeouts": {"connect": "1s", "greeting": "10s"},
                  "route all": {"to": "user@example.com"}, **more})


def kill(instance):
    """kill -9 for all of a Postfix."""
    os.killpg(instance.process.pid, signal.SIGKILL)
    instance.process.wait()
    instance.process = None


def arrived(box, instance, gateway, fax_ids):
    """The mails of these faxes, and no other, lie in the mailbox of a Postfix, whole."""
    wait_for(f"{len(fax_ids)} mails", lambda: len(instance.mails()) >= len(fax_ids))
    mails = [Mail(octets, box.folder, f"{instance.port}-{i}")
             for i, octets in enumerate(instance.mails())]
    assert sorted(m["Message-ID"].strip("<>").partition("@")[0] for m in mails) == sorted(fax_ids)
    for mail in mails:
        message_id = mail["Message-ID"].strip("<>").partition("@")[0]
        shown = gateway.faxpost("show", message_id)["fax"]
        with open(os.path.join(gateway.state, shown["folder"], "message.eml"), "rb") as file:
            sent = file.read().replace(b"\r\n", b"\n")
        assert mail.octets.endswith(sent), "Postfix added lines above, and changed nothing"


@timeout(90)
def test_first_killed(box):
    """Those that may go by the second; the other waits, and goes when the first is back."""
    one, two = mta(box, "one"), mta(box, "two")
    gateway = start(box, {"one": entry(1, one.port), "two": entry(2, two.port)}, "allow")
    before = folder.send(box, gateway)
    assert folder.ended(gateway, before) == ["done"]
    kill(one)
    passed = [folder.send(box, gateway) for _ in range(3)]
    waiting = folder.send(box, gateway, caller="1002")
    for fax_id in passed:
        assert folder.ended(gateway, fax_id) == ["done"]
        assert folder.rows(gateway, fax_id)[-1]["server"] == "two"
    wait_for("the warning", lambda: "settings are probably wrong fax=" in gateway.log(), 10)
    one.start()
    assert folder.ended(gateway, waiting, 25) == ["done"]
    arrived(box, one, gateway, [before, waiting])
    arrived(box, two, gateway, passed)


@timeout(90)
def test_first_has_a_full_disk(box):
    """452 4.3.1 Insufficient system storage, in Postfix's own words."""
    one, two = mta(box, "one", **FULL), mta(box, "two")
    gateway = start(box, {"one": entry(1, one.port), "two": entry(2, two.port)}, "allow")
    passed, waiting = folder.send(box, gateway), folder.send(box, gateway, caller="1002")
    assert folder.ended(gateway, passed) == ["done"]
    log = folder.lines(gateway, passed)
    assert log[0] == "S1 one TCP OK" and len(log) == 4, log
    assert re.match("S10 one server error MAIL: 452 4.3.1 Insufficient system storage", log[1]), log
    assert log[2] == "S10 two TCP OK" and re.match("S4 two SMTP OK 250 2.0.0", log[3]), log
    wait_for("the warning", lambda: "settings are probably wrong fax=" in gateway.log(), 20)
    assert len(gateway.mail_paths()) == 1, "the copy"
    assert "two" not in str(folder.lines(gateway, waiting))
    one.stop()
    one.settings["queue_minfree"] = "0"
    one._write_settings()
    one.start()
    assert folder.ended(gateway, waiting, 25) == ["done"]
    arrived(box, one, gateway, [waiting])
    arrived(box, two, gateway, [passed])


class Silent:
    """An address that answers no SYN, as behind a firewall that drops: a listener whose queue of
    connections is full."""

    def __init__(self, box):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.clients = []
        for _ in range(8):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", self.port))
            self.clients.append(client)
        box.closers.append(self.close)

    def close(self):
        for client in (*self.clients, self.listener):
            client.close()


@timeout(90)
def test_first_behind_a_packet_filter(box):
    """A real filter in front of a real server. Dropped: after `connect` the next, then it is known
    to be down, and who may not bypass waits until a probe comes through. Rejected: at once."""
    netns.enter()
    firewall = netns.Firewall()
    one, two = mta(box, "one"), mta(box, "two")
    gateway = start(box, {"one": entry(1, one.port), "two": entry(2, two.port)}, "allow")
    before = folder.send(box, gateway)
    assert folder.ended(gateway, before) == ["done"]
    assert folder.rows(gateway, before)[-1]["server"] == "one"
    firewall.drop(one.port)
    passed = [folder.send(box, gateway)]
    assert folder.ended(gateway, passed[0]) == ["done"]
    log = folder.lines(gateway, passed[0])
    assert log[:2] == ["S1 one TCP error connection timed out", "S10 two TCP OK"], log
    waiting = folder.send(box, gateway, caller="1002")
    passed.append(folder.send(box, gateway))
    assert folder.ended(gateway, passed[1]) == ["done"]
    assert folder.rows(gateway, passed[1])[-1]["server"] == "two"
    assert "one" not in str(folder.lines(gateway, passed[1])), "known to be down"
    firewall.open()
    assert folder.ended(gateway, waiting, 40) == ["done"]
    arrived(box, one, gateway, [before, waiting])
    arrived(box, two, gateway, passed)
    # The server stands again; this time whoever filters says so.
    firewall.refuse(one.port)
    passed.append(folder.send(box, gateway))
    assert folder.ended(gateway, passed[2]) == ["done"]
    log = folder.lines(gateway, passed[2])
    assert re.match("S1 one TCP error (host unreachable|not permitted here|connection refused)",
                    log[0]) and log[1] == "S10 two TCP OK", log
    arrived(box, two, gateway, passed)


@timeout(60)
def test_first_behind_a_firewall(box):
    """The same without root: nothing comes back: after `connect` the next; from then on it is known to be down."""
    silent, two = Silent(box), mta(box, "two")
    gateway = start(box, {"one": entry(1, silent.port), "two": entry(2, two.port)}, "allow")
    first = folder.send(box, gateway)
    assert folder.ended(gateway, first) == ["done"]
    log = folder.lines(gateway, first)
    assert re.match("S1 one TCP error .*time", log[0]) and log[1] == "S10 two TCP OK", log
    second = folder.send(box, gateway)
    assert folder.ended(gateway, second, 3) == ["done"]
    assert folder.lines(gateway, second)[0] == "S10 two TCP OK"
    arrived(box, two, gateway, [first, second])


@timeout(60)
def test_opensmtpd(box):
    """Another server's habits: mail goes through OpenSMTPD, first as rank 1, then, when it is gone,
    by Postfix; its refusals are understood."""
    if not opensmtpd.available():
        raise Skip("OpenSMTPD needs root, and test/fetch-opensmtpd build/mta/opensmtpd")
    sink = Fake(box)
    one = opensmtpd.OpenSmtpd(box.path("opensmtpd"), box.port(), sink.port)
    box.closers.append(one.stop)
    one.start()
    two = mta(box, "two")
    gateway = start(box, {"one": entry(1, one.port), "two": entry(2, two.port)}, "allow")
    faxes = [folder.send(box, gateway) for _ in range(3)]
    for fax_id in faxes:
        assert folder.ended(gateway, fax_id) == ["done"]
        log = folder.lines(gateway, fax_id)
        # those that come while a connection is open share it, and have no TCP row of their own
        assert log[:-1] in ([], ["S1 one TCP OK"]), log
        assert log[-1].startswith("S4 one SMTP OK 250 2.0.0"), log
    sink.wait_messages(3)
    for octets, _ in sink.taken:
        mail = Mail(octets, box.folder, "sink")
        assert mail["Message-ID"].strip("<>").partition("@")[0] in faxes
    one.stop()
    after = folder.send(box, gateway)
    assert folder.ended(gateway, after) == ["done"]
    assert folder.rows(gateway, after)[-1]["server"] == "two"
    arrived(box, two, gateway, [after])


def told(instance):
    """The reports that came to the operator by a Postfix, as text."""
    mails = [email.message_from_bytes(octets, policy=email.policy.default)
             for octets in instance.mails()]
    return [mail.get_content() for mail in mails
            if mail["Delivered-To"] == "operator@example.com"
            and mail["Auto-Submitted"] == "auto-generated"]


@timeout(90)
def test_operator_is_told(box):
    """S6 and S13, in Postfix's own words, in the operator's mailbox at Postfix; and a copy of each
    fax in ours."""
    lists = {"bad@example.com": "550 5.1.1 <bad> nobody of this name",
             "later@example.com": "451 4.7.1 <later> not today"}
    one = mta(box, "one", smtpd_recipient_restrictions="check_recipient_access inline:{" + ", ".join(
        f"{{{address} = {words}}}" for address, words in lists.items()) + "}")
    gateway = start(box, {"one": entry(1, one.port)}, "deny",
                    report={"mail": "yes", "every": "1s"},
                    **{"route all": {"called": "200", "to": "user@example.com"},
                       "route bad": {"called": "201", "to": "bad@example.com"},
                       "route later": {"called": "202", "to": "later@example.com"}})
    refused = folder.send(box, gateway, called="201")
    assert folder.ended(gateway, refused) == ["failed"]
    log = folder.lines(gateway, refused)
    assert re.match("S6 one destination error RCPT: 550 5.1.1 .*nobody of this name", log[-1]), log
    text = wait_for("the report of S6", lambda: told(one))[0]
    assert refused in text and "550 5.1.1" in text and "nobody of this name" in text, text
    late = folder.send(box, gateway, called="202")
    text = wait_for("the report of S13", lambda: len(told(one)) > 1 and told(one), 30)[1]
    assert late in text and "451 4.7.1" in text and "not today" in text, text
    assert "settings are probably wrong" in text, text
    assert [d["state"] for d in folder.deliveries(gateway, late)] in (["waiting"], ["sending"])
    assert any(r["step"] == "S13" for r in folder.rows(gateway, late))
    assert {p.split("/")[-3] for p in gateway.mail_paths()} == set(lists), "a copy of each"
    one.settings["smtpd_recipient_restrictions"] = ""
    one._write_settings()
    one.stop()
    one.start()
    assert folder.ended(gateway, late, 25) == ["done"], "it goes on being tried"
