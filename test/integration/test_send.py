# SPDX-License-Identifier: MIT
"""Messages of one's own, decisions on bypass that a message carries itself, and reports to the
operator: faxpost send, resend, retry --bypass, hold and release through the whole daemon."""

import email
import email.policy
import os
import stat
import subprocess
import time

import folder
from fake import Fake
from harness import BUILD, Skip, timeout, wait_for

MESSAGE = (b"From: A Person <a@example.com>\nTo: list@example.com\nBcc: secret@example.com,\n"
           b"  other@example.com\nSubject: A letter\n\nFirst line\n.\n..two dots\nlast\n")
OPERATOR = "operator@example.com"


def settings(**more):
    return {
        "retry": {"wait": "100ms", "limit": 3, "wait_max": "400ms", "expire": "60s"},
        "timeouts": {"connect": "5s", "greeting": "20s", "command": "20s", "data": "20s",
                     "final": "20s"},
        "mail": {"mailbox": "no"},
        "route all": {"to": "user@example.com"},
        **more,
    }


def start(box, *servers, bypass="deny", **more):
    return box.gateway(
        settings=settings(**more), bypass={"bypass": {"default": bypass}},
        servers={f"server {name}": entry for name, entry in zip(("one", "two"), servers)})


def command(gateway, *arguments, octets=b"", program=None, **options):
    """faxpost as a person runs it: (exit code, output, errors)."""
    program = program or os.path.join(BUILD, "src/faxpost")
    done = subprocess.run([program, *arguments, "-c", gateway.conf],
                          input=octets, capture_output=True, timeout=30, **options)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def send(gateway, *arguments, octets=MESSAGE):
    """Hands a message in by standard input; gives its identity."""
    code, output, errors = command(gateway, "send", *arguments, "-", octets=octets)
    assert code == 0, errors
    assert "accepted" in output
    return output.split(":")[0]


def parse(octets):
    return email.message_from_bytes(octets, policy=email.policy.default)


@timeout(60)
def test_send_to_two(box):
    """Two recipients get the same octets: CRLF, no Bcc, Date and Message-ID added."""
    server = Fake(box)
    gateway = start(box, server.entry(1))
    path = box.path("letter.eml")
    with open(path, "wb") as file:
        file.write(MESSAGE)
    code, output, errors = command(gateway, "send", "--from", "me@example.com", "--to",
                                   "x@example.com", "--to", "y@example.com", path)
    assert code == 0, errors
    identity = output.split(":")[0]
    assert folder.ended(gateway, identity) == ["done", "done"]
    assert {to for _, recipients in server.taken for to in recipients} == {
        "TO:<x@example.com>", "TO:<y@example.com>"}, server.taken
    bodies = {octets for octets, _ in server.taken}
    assert len(bodies) == 1
    octets = bodies.pop()
    assert b"\n" not in octets.replace(b"\r\n", b"") and b"Bcc" not in octets
    assert b"other@example.com" not in octets and b"secret" not in octets
    assert octets.endswith(b"\r\n\r\nFirst line\r\n.\r\n..two dots\r\nlast\r\n")
    mail = parse(octets)
    assert mail["From"] == "A Person <a@example.com>" and mail["Date"] and mail["Message-ID"]
    shown = gateway.faxpost("show", identity)["fax"]
    assert shown["kind"] == "message" and shown["subject"] == "A letter"
    assert f"<{shown['message_id']}>" == mail["Message-ID"]
    assert shown["envelope_from"] == "me@example.com"
    assert "/mail/" in shown["folder"]
    stored = os.path.join(shown["folder"], "message.eml")
    assert stat.S_IMODE(os.stat(stored).st_mode) == 0o600
    with open(stored, "rb") as file:
        assert file.read() == octets
    listed = command(gateway, "list")[1]
    assert "me@example" in listed and "mail" in listed


@timeout(60)
def test_send_refusals(box):
    """What is no message is refused with a reason, and nothing is left of it."""
    gateway = start(box, Fake(box).entry(1), limits={"message_bytes": "100kB"})
    head = b"From: a@example.com\nSubject: s\n"
    table = [
        (b"", "no header"),
        (b"\nbody without a header\n", "no header"),
        (b"From a@example.com Sat Nov 21\nSubject: s\n\nx\n", "no header field"),
        (head + b"Subject: again\n\nx\n", "a second Subject"),
        (head + b"\n" + b"x" * 999 + b"\n", "longer than 998"),
        (head + b"\nbare\rCR\n", "CR that ends no line"),
        (head + b"\nNUL\0\n", "NUL"),
        (b"Subject: \xc3\xa4\n\nx\n", "not ASCII"),
        (b"Message-ID: nothing\n\nx\n", "Message-ID"),
        (head + b"\n" + b"0123456789\n" * 10000, "larger than"),
    ]
    for octets, why in table:
        code, output, errors = command(gateway, "send", "--to", "x@example.com", "-", octets=octets)
        assert code == 1 and why in errors, f"{octets[:60]}: {code} {output} {errors}"
    for address in ("nobody", "a b@example.com", "x@example.com>\r\nRSET"):
        code, _, errors = command(gateway, "send", "--to", address, "-", octets=MESSAGE)
        assert code == 1 and "no mail address" in errors, errors
    assert command(gateway, "send", "--to", "x@example.com", "--bypass", "maybe", "-",
                   octets=MESSAGE)[0] == 1
    assert command(gateway, "send", "-")[0] == 2
    assert gateway.faxpost("status")["counts"]["faxes"] == 0
    assert os.listdir(os.path.join(gateway.state, "mail/.new")) == []


@timeout(60)
def test_bypass_of_a_message(box):
    """The first server is dead: only what may goes by the second, whatever the table says; a message
    that waits is let go by retry --bypass."""
    second = Fake(box)
    dead = {"rank": 1, "host": "127.0.0.1", "port": box.port()}
    gateway = start(box, dead, second.entry(2), bypass="deny",
                    retry={"wait": "2s", "wait_max": "1h", "expire": "1d"})
    allowed = send(gateway, "--to", "x@example.com", "--bypass", "allow")
    assert folder.ended(gateway, allowed) == ["done"]
    denied = send(gateway, "--to", "y@example.com", "--bypass", "deny")
    tabled = send(gateway, "--to", "z@example.com")
    time.sleep(1)
    for identity in (denied, tabled):
        assert [d["state"] for d in folder.deliveries(gateway, identity)] == ["waiting"]
        assert all(row["server"] == "one" for row in folder.rows(gateway, identity))
    gateway.faxpost("retry", tabled, "--bypass", "allow")
    assert folder.ended(gateway, tabled) == ["done"]
    # The table allows now; the message still says no.
    gateway.write("bypass.ini", "[bypass]\ndefault = allow\n")
    gateway.faxpost("reload")
    time.sleep(1)
    assert [d["state"] for d in folder.deliveries(gateway, denied)] == ["waiting"]
    assert len(second.taken) == 2


@timeout(60)
def test_bypass_of_a_route(box):
    """The decision of a route is stored with the deliveries of its faxes."""
    second = Fake(box)
    dead = {"rank": 1, "host": "127.0.0.1", "port": box.port()}
    gateway = start(box, dead, second.entry(2), bypass="deny",
                    **{"route all": {"to": "user@example.com", "bypass": "allow"}})
    fax_id = folder.send(box, gateway)
    assert folder.ended(gateway, fax_id) == ["done"]
    assert folder.deliveries(gateway, fax_id)[0]["bypass"] == "allow"


@timeout(60)
def test_resend_hold_release(box):
    """The mail of a fax goes to somebody else too; a held message waits."""
    server = Fake(box)
    gateway = start(box, server.entry(1))
    fax_id = folder.send(box, gateway)
    assert folder.ended(gateway, fax_id) == ["done"]
    gateway.faxpost("resend", fax_id, "--to", "other@example.com")
    wait_for("the second", lambda: len(server.taken) == 2)
    assert server.taken[0][0] == server.taken[1][0]
    assert server.taken[1][1] == ["TO:<other@example.com>"]
    assert folder.ended(gateway, fax_id) == ["done", "done"]
    # To the same once more, for the mail was lost behind the server.
    gateway.faxpost("resend", fax_id, "--to", "other@example.com")
    wait_for("the third", lambda: len(server.taken) == 3)
    assert len(folder.deliveries(gateway, fax_id)) == 2

    server.fail({"mail": "450:4.3.0 later"})
    identity = send(gateway, "--to", "x@example.com")
    wait_for("a try", lambda: folder.rows(gateway, identity))
    gateway.faxpost("hold", identity)
    wait_for("held", lambda: folder.deliveries(gateway, identity)[0]["state"] == "held")
    server.well()
    time.sleep(0.5)
    assert folder.deliveries(gateway, identity)[0]["state"] == "held"
    gateway.faxpost("release", identity)
    assert folder.ended(gateway, identity) == ["done"]


@timeout(60)
def test_send_by_others(box):
    """Who is only in the group of the account may send, but not decide on bypass."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    server = Fake(box)
    gateway = start(box, server.entry(1))
    sock = os.stat(os.path.join(gateway.folder, "run/control.sock"))
    who = {"user": 54321, "group": sock.st_gid, "extra_groups": [],
           "program": box.reachable(os.path.join(BUILD, "src/faxpost"))}
    for path in (box.folder, gateway.folder, os.path.join(gateway.folder, "run")):
        os.chmod(path, 0o755)
    code, _, errors = command(gateway, "status", **who)
    assert code == 0, errors
    code, _, errors = command(gateway, "send", "--to", "x@example.com", "--bypass", "allow", "-",
                              octets=MESSAGE, **who)
    assert code == 1 and "decide on bypass" in errors, errors
    code, output, errors = command(gateway, "send", "--to", "x@example.com", "-", octets=MESSAGE,
                                   **who)
    assert code == 0, errors
    assert folder.ended(gateway, output.split(":")[0]) == ["done"]
    code, _, errors = command(gateway, "resend", output.split(":")[0], "--to", "y@example.com",
                              **who)
    assert code == 1 and "only root" in errors, errors


# ---- reports ---------------------------------------------------------------------------------------


def reports(gateway):
    """The report mails in the spool, oldest first."""
    faxes = gateway.faxpost("list", "--limit", "100")["faxes"]
    return [f for f in reversed(faxes) if f["kind"] == "report"]


def to_operator(server):
    return [octets for octets, recipients in server.taken if f"TO:<{OPERATOR}>" in recipients]


@timeout(60)
def test_report_of_a_refusal(box):
    """S6: one mail with the server's own words; and the command of the operator gets the same."""
    server = Fake(box)
    told = box.path("told")
    script = box.write("alarm", f"#!/bin/sh\ncat >> {told}/text\necho \"$#:$1\" >> {told}/words\n")
    os.chmod(script, 0o755)
    os.mkdir(told)
    os.chmod(told, 0o777)
    os.chmod(box.folder, 0o755)
    server.fail({"rcpt": "550:5.1.1 no such user $(touch x)"}, times=1)
    gateway = start(box, server.entry(1), report={"mail": "yes", "every": "1h"},
                    gateway={"alarm_command": f"{script} pager"})
    fax_id = folder.send(box, gateway)
    assert folder.ended(gateway, fax_id) == ["failed"]
    octets = wait_for("the report", lambda: to_operator(server))[0]
    mail = parse(octets)
    text = mail.get_content()
    assert mail["Auto-Submitted"] == "auto-generated" and mail["To"] == OPERATOR
    assert "550 5.1.1 no such user" in text and fax_id in text and "user@example.com" in text
    assert "To do:" in text
    wait_for("the command", lambda: os.path.exists(told + "/words"))
    with open(told + "/text") as file:
        assert "550 5.1.1 no such user $(touch x)" in file.read()
    with open(told + "/words") as file:
        assert file.read() == "1:pager\n"
    time.sleep(2)
    assert len(reports(gateway)) == 1 and len(to_operator(server)) == 1


@timeout(60)
def test_reports_are_gathered(box):
    """Ten failures at once: one mail that tells of all."""
    server = Fake(box)
    gateway = start(box, server.entry(1), report={"mail": "yes", "every": "1h"})
    server.fail({"rcpt": "550:5.1.1 no such user"}, times=10)
    ids = [send(gateway, "--to", f"x{i}@example.com") for i in range(10)]
    for identity in ids:
        assert folder.ended(gateway, identity) == ["failed"]
    text = parse(wait_for("the report", lambda: to_operator(server))[0]).get_content()
    later = reports(gateway)
    told = [identity for identity in ids if identity in text]
    # What came after the first was sent waits for the next, in an hour: none has come yet.
    assert len(told) >= 2 and len(later) == 1, text
    gateway.stop()
    gateway.start()
    octets = wait_for("the rest", lambda: len(to_operator(server)) == (1 if len(told) == 10 else 2)
                      and to_operator(server))
    text = "".join(parse(o).get_content() for o in octets)
    assert all(identity in text for identity in ids)


@timeout(60)
def test_report_makes_no_loop(box):
    """The report cannot be delivered either: it ends in the mailbox, and there is no other."""
    server = Fake(box)
    server.fail({"rcpt": "550:5.1.1 no such user"})
    gateway = start(box, server.entry(1), report={"mail": "yes", "every": "100ms"})
    fax_id = folder.send(box, gateway)
    assert folder.ended(gateway, fax_id) == ["failed"]
    report = wait_for("the report", lambda: reports(gateway))[0]["id"]
    assert folder.ended(gateway, report) == ["failed"]
    time.sleep(2)
    assert len(reports(gateway)) == 1
    assert [p for p in gateway.mail_paths() if f"/{OPERATOR}/" in p]


@timeout(60)
def test_report_of_a_login_refusal_gets_past_it(box):
    """A configuration alarm of the first server goes by the second, once."""
    first, second = Fake(box), Fake(box)
    first.fail({"rcpt": "554:5.7.1 relaying denied"})
    gateway = start(box, first.entry(1), second.entry(2), bypass="deny",
                    report={"mail": "yes", "every": "100ms"})
    send(gateway, "--to", "x@example.com")
    octets = wait_for("the report", lambda: to_operator(second))[0]
    assert "relaying denied" in parse(octets).get_content()
