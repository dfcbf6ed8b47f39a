# SPDX-License-Identifier: MIT
"""Delivery with prioritized servers as spec/failover.md has it, through the whole daemon: servers
fail on demand, waits are milliseconds, and the transmission log is compared line by line."""

import datetime
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import fake
import folder
import netns
import postfix
from fake import Fake
from harness import Skip, ini, sanitized, timeout, wait_for

QUEUED = "SMTP OK 250 2.0.0 queued"
TO_TWO = ["S10 two TCP OK", f"S4 two {QUEUED}"]
SAME = ["S7 one TCP OK", f"S4 one {QUEUED}"]
USER, PASSWORD = "faxpost", "correct horse"


def settings(retry=None, **more):
    """Waits of milliseconds; mails go to user@example.com."""
    return {
        "retry": {"wait": "100ms", "limit": 3, "wait_max": "400ms", "expire": "60s",
                  **({"wait_max": "1h", "expire": "1d"} if "wait" in (retry or {}) else {}),
                  **(retry or {})},
        "timeouts": timeouts("20s"),
        "mail": {"mailbox": "no"},
        "route all": {"to": "user@example.com"},
        **more,
    }


def start(box, servers, bypass="allow", retry=None, **more):
    """A gateway with these servers. bypass: the default, or the whole table."""
    table = bypass if isinstance(bypass, dict) else {"bypass": {"default": bypass}}
    return box.gateway(settings=settings(retry, **more), bypass=table,
                       servers=sections(servers))


def sections(servers):
    return {"server " + name: entry for name, entry in servers.items()}


def change_servers(gateway, servers):
    gateway.write("servers.ini", ini(sections(servers)))
    gateway.faxpost("reload")


def change_bypass(gateway, table):
    gateway.write("bypass.ini", ini(table))
    gateway.faxpost("reload")


def expect(gateway, fax_id, expected):
    """The log of a fax, line by line."""
    log = folder.lines(gateway, fax_id)
    assert log == expected, "\n  expected " + "\n           ".join(expected) + (
        "\n  got      " + "\n           ".join(log))


def alarms(gateway, server):
    """The log lines of alarms that name a server."""
    return [line for line in gateway.log().splitlines()
            if re.search(rf"probably wrong server={re.escape(server)}\b|"
                         rf"does not exist server={re.escape(server)}\b", line)]


def mailbox_of(gateway, recipient="user@example.com"):
    return [path for path in gateway.mail_paths() if f"/{recipient}/" in path]


def refused_port(box):
    """A port where nobody listens."""
    return box.port()


# ---- the class table -------------------------------------------------------------------------------


class Table:
    """Rows of the class table, one fax after the other through one daemon. The names of the servers
    are new for every row, so that a server that was down in one is not known to be in the next."""

    def __init__(self, box):
        self.box = box
        self.second = Fake(box)
        self.gateway = None
        self.number = 0
        self.slow = None
        self.wrong = []

    def configure(self, entry, slow):
        """slow: the row is about a time-out, which is short then."""
        names = {f"one-{self.number}": entry, f"two-{self.number}": self.second.entry(2)}
        if self.gateway is None:
            self.gateway = start(self.box, names)
        if slow is not self.slow:
            times = self.gateway.sections["timeouts"]
            times.update(dict.fromkeys(("greeting", "command", "data", "final"),
                                       "600ms" if slow else "20s"))
            self.gateway.write_settings()
            self.slow = slow
        change_servers(self.gateway, names)

    def row(self, name, plan, expected, *, times=1, slow=False, alarm=False, state="done",
            entry=None, bypass=True, **options):
        """plan: what fails at the first server, so many times; entry: more of its settings."""
        self.number += 1
        first = Fake(self.box, **options)
        self.last_port = first.port
        first.fail(plan, times=times)
        self.configure({**first.entry(1), **(entry or {})}, slow)
        fax_id = folder.send(self.box, self.gateway)
        try:
            states = folder.ended(self.gateway, fax_id)
        except AssertionError as error:
            states = str(error)
        got = [line.replace(f"-{self.number} ", " ") for line in folder.lines(self.gateway, fax_id)]
        if got != expected or states != [state]:
            self.wrong.append(f"{name}: {states}\n  expected " + "\n           ".join(expected) +
                              "\n  got      " + "\n           ".join(got))
        if bool(alarms(self.gateway, f"one-{self.number}")) is not alarm:
            self.wrong.append(f"{name}: alarm expected {alarm}")
        first.close()

    def judge(self):
        assert not self.wrong, "\n".join(self.wrong)


def failing(first, then):
    """The log of a first attempt that gets as far as SMTP, and what follows."""
    return ["S1 one TCP OK", first, *then]


@timeout(60)
def test_class_of_connection_failures(box):
    table = Table(box)
    table.row("nobody listens", {}, ["S1 one TCP error connection refused", *TO_TWO],
              entry={"port": refused_port(box)})
    table.row("no such name", {}, ["S1 one TCP error the name does not exist", *TO_TWO], alarm=True,
              entry={"host": "no-such-host.invalid"})
    for code in ("421 4.3.2 going down", "450 4.3.0 later", "554 5.3.2 no service"):
        table.row(f"greeting {code}", {"greeting": code.replace(" ", ":", 1)},
                  failing(f"S10 one server error greeting: {code}", TO_TWO))
    for code in ("421 4.3.2 going down", "451 4.3.0 later", "550 5.7.1 not you"):
        table.row(f"EHLO {code}", {"ehlo": code.replace(" ", ":", 1)},
                  failing(f"S10 one server error EHLO: {code}", TO_TWO), times=2)
    table.judge()


@timeout(60)
def test_class_of_silence(box):
    """No greeting, no answer, connections that break: temporary, before the final dot. A server
    without greeting is down, so that the next one is asked after the wait."""
    table = Table(box)
    for how, reply in (("drop", "the connection was lost"), ("hang", "no answer in time"),
                       ("trickle", "no answer in time")):
        table.row(f"greeting: {how}", {"greeting": how},
                  failing(f"S7 one temporary error greeting: {reply}", TO_TWO),
                  slow=how in ("hang", "trickle"), pace=0.3)
    for stage, word in (("ehlo", "EHLO"), ("mail", "MAIL"), ("rcpt", "RCPT"), ("data", "DATA")):
        table.row(f"{stage}: drop", {stage: "drop"},
                  failing(f"S7 one temporary error {word}: the connection was lost", SAME))
    for stage, word in (("mail", "MAIL"), ("data", "DATA")):
        table.row(f"{stage}: hang", {stage: "hang"},
                  failing(f"S7 one temporary error {word}: no answer in time", SAME), slow=True)
    table.judge()


@timeout(60)
def test_class_of_mail_and_rcpt(box):
    table = Table(box)
    for code in ("552 5.2.3 too much", "554 5.3.4 too big"):
        table.row(f"MAIL {code}", {"mail": code.replace(" ", ":", 1)},
                  failing(f"S10 one too large MAIL: {code}", TO_TWO))
    for code in ("450 4.2.0 later", "451 4.3.0 later"):
        table.row(f"MAIL {code}", {"mail": code.replace(" ", ":", 1)},
                  failing(f"S7 one temporary error MAIL: {code}", SAME))
    for code in ("452 4.3.1 disk full", "421 4.3.2 going down", "501 5.5.4 syntax",
                 "550 5.1.0 sender", "553 5.1.8 sender"):
        table.row(f"MAIL {code}", {"mail": code.replace(" ", ":", 1)},
                  failing(f"S10 one server error MAIL: {code}", TO_TWO))
    table.row("MAIL 530", {"mail": "530:5.7.0 login first"},
              failing("S10 one server error MAIL: 530 5.7.0 login first", TO_TWO), alarm=True)
    table.row("RCPT 452 4.5.3", {"rcpt": "452:4.5.3 too many"},
              failing("S10 one further transaction RCPT: 452 4.5.3 too many",
                      ["S10 one TCP OK", f"S4 one {QUEUED}"]))
    for code in ("450 4.2.1 greylisted", "452 4.2.2 mailbox full", "451 4.3.0 later"):
        table.row(f"RCPT {code}", {"rcpt": code.replace(" ", ":", 1)},
                  failing(f"S7 one temporary error RCPT: {code}", SAME))
    for code in ("550 5.7.1 not allowed", "554 5.5.0 no", "504 5.5.2 need a full name",
                 "550 relaying denied", "553 Relaying Denied"):
        table.row(f"RCPT {code}", {"rcpt": code.replace(" ", ":", 1)},
                  failing(f"S10 one server error RCPT: {code}", TO_TWO), alarm=True)
    table.row("RCPT 421", {"rcpt": "421:4.7.0 enough"},
              failing("S10 one server error RCPT: 421 4.7.0 enough", TO_TWO))
    for code in ("550 5.1.1 no such user", "553 5.1.3 bad address"):
        table.row(f"RCPT {code}", {"rcpt": code.replace(" ", ":", 1)},
                  failing(f"S6 one destination error RCPT: {code}", []), state="failed")
    table.judge()
    assert len(mailbox_of(table.gateway)) == 2, "destination errors: the copy lies in the mailbox"


@timeout(60)
def test_class_of_data_and_the_final_reply(box):
    table = Table(box)
    for stage, word in (("data", "DATA"), ("final", "final reply")):
        for code in ("452 4.3.1 disk full", "421 4.3.2 going down"):
            table.row(f"{word} {code}", {stage: code.replace(" ", ":", 1)},
                      failing(f"S10 one server error {word}: {code}", TO_TWO))
        table.row(f"{word} 451", {stage: "451:4.3.0 later"},
                  failing(f"S7 one temporary error {word}: 451 4.3.0 later", SAME))
        table.row(f"{word} 554", {stage: "554:5.6.0 not this"},
                  failing(f"S10 one message refused {word}: 554 5.6.0 not this", TO_TWO))
    for code in ("552 5.2.3 too big", "554 5.3.4 too big"):
        table.row(f"final {code}", {"final": code.replace(" ", ":", 1)},
                  failing(f"S10 one too large final reply: {code}", TO_TWO))
    table.row("final: drop", {"final": "drop"},
              failing("S7 one uncertain final reply: the connection was lost", SAME))
    table.row("final: reset", {"final": "reset"},
              failing("S7 one uncertain final reply: the connection was lost", SAME))
    table.row("final: hang", {"final": "hang"},
              failing("S7 one uncertain final reply: no answer in time", SAME), slow=True)
    table.judge()


@timeout(60)
def test_class_of_tls_and_login(box):
    """Each is the server's error and an alarm; nothing goes out in clear."""
    authority, other = postfix.Authority(box.path("ca")), postfix.Authority(box.path("other"))
    password = box.write("password", PASSWORD + "\n")
    os.chmod(password, 0o600)
    if os.geteuid() == 0:
        os.chown(password, folder.NOBODY, folder.NOBODY)
    offered = {"cert": authority.cert, "key": authority.key, "login": f"{USER}:{PASSWORD}"}
    entry = {"host": "localhost", "tls": "starttls", "ca_file": authority.ca, "auth": "plain",
             "user": USER, "password_file": password}
    table = Table(box)
    first = "S10 one server error "

    def row(name, plan, reply, alarm=True, more=None, options=None):
        table.row(name, plan, failing(first + reply, TO_TWO), alarm=alarm,
                  entry={**entry, **(more or {})}, **(offered if options is None else options))

    row("STARTTLS 454", {"starttls": "454:4.7.0 no TLS now"}, "STARTTLS: 454 4.7.0 no TLS now")
    row("STARTTLS 502", {"starttls": "502:5.5.1 no TLS"}, "STARTTLS: 502 5.5.1 no TLS")
    row("AUTH 454", {"auth": "454:4.7.0 later"}, "AUTH: 454 4.7.0 later", alarm=False)
    row("AUTH 535", {"auth": "535:5.7.8 no"}, "AUTH: 535 5.7.8 no")
    row("MAIL 530", {"mail": "530:5.7.0 no"}, "MAIL: 530 5.7.0 no")
    # Words of the library of TLS are not compared, only where it ended.
    for name, plan, more, options in (
            ("not offered", {}, {}, {}),
            ("handshake", {"starttls": "drop"}, {}, offered),
            ("certificate", {}, {"ca_file": other.ca}, offered),
            ("name", {}, {"host": "127.0.0.2"}, offered)):
        table.number += 1
        server = Fake(box, **({**options, "address": "127.0.0.2"} if name == "name" else options))
        server.fail(plan)
        table.configure({**server.entry(1), **entry, **more}, False)
        fax_id = folder.send(box, table.gateway)
        assert folder.ended(table.gateway, fax_id) == ["done"], name
        log = [line.replace(f"-{table.number} ", " ")
               for line in folder.lines(table.gateway, fax_id)]
        assert [log[0]] + log[2:] == ["S1 one TCP OK", *TO_TWO], (name, log)
        assert log[1].startswith(first + "STARTTLS: "), (name, log)
        assert alarms(table.gateway, f"one-{table.number}"), name
        assert not server.taken, name
    table.judge()
    assert PASSWORD not in table.gateway.log()


@timeout(60)
def test_new_sandbox_and_new_settings(box):
    """A CA in another folder has deliver begin anew. Faxes come all the time: those that come after
    the answer to the reload go by the new settings; so do those after a second reload, at once."""
    authority = postfix.Authority(box.path("ca"))
    server = Fake(box, cert=authority.cert, key=authority.key)
    gateway = start(box, {"zero": server.entry(1)})

    def servers(name):
        os.mkdir(box.path(name))
        ca_file = shutil.copy(authority.ca, box.path(name))
        return {name: {**server.entry(1), "host": "localhost", "tls": "starttls",
                       "ca_file": ca_file}}

    one, two = servers("one"), servers("two")
    pages_sent = threading.Event()
    faxes = []

    def go_on():
        while not pages_sent.wait(0.02):
            faxes.append(folder.send(box, gateway))

    sender = threading.Thread(target=go_on)
    sender.start()
    try:
        wait_for("the first fax", lambda: faxes and folder.lines(gateway, faxes[0]))
        change_servers(gateway, one)
        after_one = len(faxes) + 1
        time.sleep(0.5)
        gateway.write("servers.ini", ini(sections(two)))
        os.kill(gateway.process.pid, signal.SIGHUP)
        wait_for("the second reload", lambda: gateway.log().count("reload done") == 2)
        after_two = len(faxes) + 1
        time.sleep(0.5)
    finally:
        pages_sent.set()
        sender.join()
    wait_for("deliver is back", lambda: gateway.faxpost("status", check=False), 20)
    for number, fax_id in enumerate(faxes):
        assert folder.ended(gateway, fax_id) == ["done"]
        used = {row["server"] for row in folder.rows(gateway, fax_id)}
        wrong = {"zero", "one"} if number > after_two else {"zero"} if number > after_one else set()
        assert not used & wrong, (number, after_one, after_two, used)
    assert used == {"two"}, "the last one"


@timeout(60)
def test_class_of_certificates(box):
    """Expired, or signed by itself: the server's error, an alarm, and no password goes there. The
    self-signed one is trusted once its fingerprint is in the settings."""
    table = Table(box)
    password = box.write("password", PASSWORD + "\n")
    os.chmod(password, 0o600)
    if os.geteuid() == 0:
        os.chown(password, folder.NOBODY, folder.NOBODY)
    authority = postfix.Authority(box.path("ca"))
    for name, words in (("expired", "certificate has expired"), ("self", "self-signed certificate")):
        cert, key = certificate(box, name, None if name == "self" else authority)
        more = {"host": "localhost", "tls": "starttls", "ca_file": authority.ca, "auth": "plain",
                "user": USER, "password_file": password}
        table.row(name, {}, failing(f"S10 one server error STARTTLS: certificate: {words}", TO_TWO),
                  alarm=True, entry=more, cert=cert, key=key, login=f"{USER}:{PASSWORD}")
        if name == "self":
            digits = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in",
                                     cert], check=True, capture_output=True, text=True).stdout
            more.update(ca_file=None, fingerprint=digits.strip().partition("=")[2])
            table.row("pinned", {}, ["S1 one TCP OK", f"S4 one {QUEUED}"], entry=more, cert=cert,
                      key=key, login=f"{USER}:{PASSWORD}")
    table.judge()
    assert PASSWORD not in table.gateway.log()


def certificate(box, name, authority):
    """A certificate for localhost and its key: of the authority, which has expired; without one,
    signed by itself."""
    cert, key = box.path(name + ".pem"), box.path(name + ".key")
    names = box.write(name + ".names", "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    request = ["openssl", "req", "-new", *postfix.NEW_KEY, "-subj", "/CN=localhost",
               "-keyout", key, "-out", box.path(name + ".csr")]
    sign = ["openssl", "x509", "-req", "-signkey", key, "-days", "2"]
    if authority is not None:  # x509 of newer releases makes none that has expired
        box.write(name + ".index", "")
        sign = ["openssl", "ca", "-batch", "-notext", "-cert", authority.ca, "-keyfile",
                os.path.join(authority.folder, "ca.key"), "-startdate", "20200101000000Z",
                "-enddate", "20200102000000Z", "-config", box.write(name + ".conf", f"""
[ca]
default_ca = authority
[authority]
database = {box.path(name)}.index
new_certs_dir = {box.folder}
rand_serial = yes
default_md = sha256
policy = policy
[policy]
commonName = supplied
""")]
    for command in (request, [*sign, "-in", box.path(name + ".csr"), "-extfile", names, "-out",
                              cert]):
        subprocess.run(command, check=True, capture_output=True)
    return cert, key


@timeout(60)
def test_class_of_names_and_addresses(box):
    """IPv6 literals as hosts: one where a server listens, one where nobody does."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        raise Skip(f"no IPv6 here: {error}") from None
    table = Table(box)
    table.row("IPv6", {}, ["S1 one TCP OK", f"S4 one {QUEUED}"], entry={"host": "::1"},
              address="::1")
    assert folder.rows(table.gateway)[-1]["address"] == f"[::1]:{table.last_port}"
    table.row("IPv6, nobody listens", {}, ["S1 one TCP error connection refused", *TO_TWO],
              entry={"host": "::1"})
    table.judge()


@sanitized
@timeout(60)
def test_resolver_that_does_not_answer(box):
    """Within `connect` the next server's turn; no alarm, for the name may well exist. Servers by
    address are not kept waiting."""
    netns.enter()
    resolver = netns.silent_resolver(box)
    two = Fake(box)
    gateway = start(box, {"one": {"rank": 1, "host": "mail.example.com", "port": 25},
                          "two": two.entry(2)}, timeouts={**timeouts("20s"), "connect": "1s"})
    fax_id = folder.send(box, gateway)
    assert folder.ended(gateway, fax_id) == ["done"]
    expect(gateway, fax_id, ["S1 one TCP error the resolver does not answer", *TO_TWO])
    assert not alarms(gateway, "one")
    resolver.settimeout(5)
    assert b"mail\x07example\x03com" in resolver.recv(1000), "it was asked"
    gateway.stop()
    assert "a look-up of a name goes on" in gateway.log(), "it keeps nobody from ending"


@sanitized
@timeout(60)
def test_silent_server_holds_one_worker(box):
    """A server that takes connections and says nothing: one delivery finds out, the others wait for
    that, in no worker's hands, and then pass it over without an attempt."""
    two = Fake(box)
    silent = socket.create_server(("127.0.0.1", 0), backlog=50)
    box.closers.append(silent.close)
    gateway = start(box, {"one": {"rank": 1, "host": "127.0.0.1", "port": silent.getsockname()[1],
                                  "connections": 8}, "two": two.entry(2)},
                    timeouts={**timeouts("20s"), "greeting": "60s"})
    faxes = [folder.send(box, gateway) for _ in range(10)]
    client, _ = silent.accept()
    box.closers.append(client.close)
    wait_for("nine wait", lambda: gateway.faxpost("status")["workers"]["queued"] == 9)
    status = gateway.faxpost("status")
    assert status["workers"]["busy"] == 1 and status["servers"][0]["connections"] == 1, status
    client.close()
    for fax_id in faxes:
        assert folder.ended(gateway, fax_id) == ["done"]
    at_one = [line for fax_id in faxes for line in folder.lines(gateway, fax_id) if " one " in line]
    assert at_one == ["S1 one TCP OK",
                      "S7 one temporary error greeting: the connection was lost"], at_one
    assert len(two.taken) == 10


@timeout(60)
def test_hostile_replies(box):
    """Control characters stay out of log and table, replies without end are cut."""
    table = Table(box)
    table.row("control characters", {"mail": "control"},
              failing("S10 one server error MAIL: 550 5.0.0 ?[2J?bell?", TO_TWO))
    for stage in ("greeting", "ehlo", "mail"):
        table.number += 1
        server = Fake(box)
        server.fail({stage: "flood"}, times=1)
        table.configure(server.entry(1), False)
        began = time.monotonic()
        fax_id = folder.send(box, table.gateway)
        assert folder.ended(table.gateway, fax_id) == ["done"], stage
        assert time.monotonic() - began < 10, stage
        assert all(len(r["reply"]) < 600 for r in folder.rows(table.gateway, fax_id)), stage
    table.judge()
    assert "\x1b" not in table.gateway.log() and "\x07" not in table.gateway.log()


# ---- the flow --------------------------------------------------------------------------------------


@timeout(60)
def test_size_that_the_server_announces(box):
    """Larger than SIZE: not even tried; by the next it goes; where none may take it, it ends."""
    first, second = Fake(box, size=2000), Fake(box)
    gateway = start(box, {"one": first.entry(1), "two": second.entry(2)})
    fax_id = folder.send(box, gateway)
    assert folder.ended(gateway, fax_id) == ["done"]
    log = folder.lines(gateway, fax_id)
    assert log[0] == "S1 one TCP OK" and log[2:] == TO_TWO, log
    assert log[1].startswith("S10 one too large MAIL: "), log
    change_bypass(gateway, {"bypass": {"default": "deny"}})
    fax_id = folder.send(box, gateway)
    assert folder.ended(gateway, fax_id) == ["failed"]
    log = folder.lines(gateway, fax_id)
    assert len(log) == 2 and log[1].startswith("S6 one too large MAIL: "), log
    assert len(mailbox_of(gateway)) == 1
    assert "not delivered" in gateway.log()


@timeout(60)
def test_refused_by_every_server(box):
    """Struck off one after the other, also in later rounds; then it ends: report and copy."""
    one, two, three = Fake(box), Fake(box), Fake(box)
    one.fail({"final": "554:5.6.0 not this"})
    two.fail({"mail": "452:4.3.1 full"}, {"final": "552:5.3.4 too big"})
    three.fail({"data": "554:5.6.0 nor here"})
    gateway = start(box, {"one": one.entry(1), "two": two.entry(2), "three": three.entry(3)})
    fax_id = folder.send(box, gateway)
    assert folder.ended(gateway, fax_id) == ["failed"]
    expect(gateway, fax_id, [
        "S1 one TCP OK", "S10 one message refused final reply: 554 5.6.0 not this",
        "S10 two TCP OK", "S10 two server error MAIL: 452 4.3.1 full",
        "S10 three TCP OK", "S12 three message refused DATA: 554 5.6.0 nor here",
        "S10 two TCP OK", "S6 two too large final reply: 552 5.3.4 too big"])
    assert len(mailbox_of(gateway)) == 1
    assert gateway.log().count("not delivered") == 1


@timeout(60)
def test_temporary_errors_up_to_the_limit(box):
    """Three at one server are a server error; another outcome there clears the count."""
    one, two = Fake(box), Fake(box)
    later = {"rcpt": "450:4.2.1 later"}
    one.fail(later, times=3)
    gateway = start(box, {"one": one.entry(1), "two": two.entry(2)})
    fax_id = folder.send(box, gateway)
    assert folder.ended(gateway, fax_id) == ["done"]
    words = "temporary error RCPT: 450 4.2.1 later"
    expect(gateway, fax_id, [
        "S1 one TCP OK", f"S7 one {words}", "S7 one TCP OK", f"S7 one {words}", "S7 one TCP OK",
        f"S10 one {words}", *TO_TWO])

    # The second server's temporary errors are answered at the second.
    one.fail({"mail": "452:4.3.1 full"}, times=1)
    two.fail(later, times=2)
    fax_id = folder.send(box, gateway)
    assert folder.ended(gateway, fax_id) == ["done"]
    expect(gateway, fax_id, [
        "S1 one TCP OK", "S10 one server error MAIL: 452 4.3.1 full", "S10 two TCP OK",
        f"S7 two {words}", "S7 two TCP OK", f"S7 two {words}", "S7 two TCP OK", f"S4 two {QUEUED}"])

    # 450 450 452 450 450: never three in a row.
    two.well()
    one.fail(later, later, {"mail": "452:4.3.1 full"}, later, later, {})
    change_servers(gateway, {"one": one.entry(1)})
    fax_id = folder.send(box, gateway)
    assert folder.ended(gateway, fax_id) == ["done"]
    assert [line for line in folder.lines(gateway, fax_id) if "TCP" not in line] == [
        f"S7 one {words}", f"S7 one {words}", "S12 one server error MAIL: 452 4.3.1 full",
        f"S7 one {words}", f"S7 one {words}", f"S4 one {QUEUED}"]


@timeout(60)
def test_warning_and_end(box):
    """S12, S13 with a copy in the mailbox, doubling waits, the end at the age limit."""
    one = Fake(box)
    one.fail({"mail": "452:4.3.1 full"})
    gateway = start(box, {"one": one.entry(1)},
                    retry={"wait": "150ms", "wait_max": "400ms", "expire": "4s"})
    fax_id = folder.send(box, gateway)
    wait_for("the copy", lambda: mailbox_of(gateway))
    assert folder.deliveries(gateway, fax_id)[0]["state"] in ("waiting", "sending")
    assert folder.ended(gateway, fax_id) == ["failed"]
    rows = folder.rows(gateway, fax_id)
    log = folder.lines(gateway, fax_id)
    words = "one server error MAIL: 452 4.3.1 full"
    attempt = ["S1 one TCP OK"]
    assert log[:8] == attempt + [f"S12 {words}"] + attempt + [f"S12 {words}"] + attempt + [
        f"S13 {words}"] + attempt + [f"S12 {words}"], log
    times = [time_of(r) for r in rows if r["result"] == "TCP OK"]
    gaps = [b - a for a, b in zip(times, times[1:])]
    for gap, least in zip(gaps, [0.15, 0.15, 0.15, 0.3, 0.4, 0.4, 0.4]):
        assert least - 0.01 <= gap <= least + 1.5, gaps
    assert time_of(rows[-1]) - time_of(rows[0]) <= 4.5, "until the age limit, not longer"
    assert len(mailbox_of(gateway)) == 1, "one copy"
    text = gateway.log()
    assert text.count("settings are probably wrong fax=") == 1, "warned once"
    assert text.count("was not delivered") == 1


def time_of(row):
    """Seconds of a row's time."""
    value = row["time"]
    if isinstance(value, (int, float)):
        return value / 1000
    return datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()


@timeout(60)
def test_rounds_after_the_warning(box):
    one, two = Fake(box), Fake(box)
    one.fail({"mail": "452:4.3.1 full"})
    two.fail({"mail": "452:4.3.1 full too"})
    gateway = start(box, {"one": one.entry(1), "two": two.entry(2)}, retry={"limit": 2})
    fax_id = folder.send(box, gateway)
    wait_for("the copy", lambda: mailbox_of(gateway))
    wait_for("more rounds", lambda: len(folder.rows(gateway, fax_id)) >= 10)
    two.well()
    assert folder.ended(gateway, fax_id) == ["done"]
    log = [line for line in folder.lines(gateway, fax_id) if "TCP" not in line]
    assert log[:4] == ["S10 one server error MAIL: 452 4.3.1 full",
                       "S12 two server error MAIL: 452 4.3.1 full too",
                       "S10 one server error MAIL: 452 4.3.1 full",
                       "S13 two server error MAIL: 452 4.3.1 full too"], log
    assert all(line == "S12 two server error MAIL: 452 4.3.1 full too" for line in log[4:-1]), log
    assert log[-1] == f"S4 two {QUEUED}"


@timeout(60)
def test_uncertain_end_stays_with_its_server(box):
    """Pinned even while that server is down; the same bytes; marked for good."""
    one, two = Fake(box), Fake(box)
    one.fail({"final": "drop"}, times=1)
    gateway = start(box, {"one": one.entry(1), "two": two.entry(2)},
                    retry={"limit": 100, "wait": "1s"})
    sent = []
    one.keep = lambda number, octets, recipients: sent.append(octets)
    fax_id = folder.send(box, gateway)
    wait_for("an uncertain end", lambda: "uncertain" in str(folder.lines(gateway, fax_id)))
    one.close()
    wait_for("a refused connection", lambda: "refused" in str(folder.lines(gateway, fax_id)))
    back = Fake(box, port=one.port)
    assert folder.ended(gateway, fax_id, 20) == ["done"]
    log = folder.lines(gateway, fax_id)
    assert log[:3] == ["S1 one TCP OK", "S7 one uncertain final reply: the connection was lost",
                       "S7 one TCP error connection refused"], log
    assert log[-1] == f"S4 one {QUEUED}", log
    assert len(back.taken) == 1 and not two.taken
    assert folder.deliveries(gateway, fax_id)[0]["uncertain"], "the mark stays"


@timeout(60)
def test_uncertain_end_and_the_next_server(box):
    """[retry] uncertain = next: a second copy is better than a late one."""
    one, two = Fake(box), Fake(box)
    one.fail({"final": "drop"}, times=1)
    gateway = start(box, {"one": one.entry(1), "two": two.entry(2)}, retry={"uncertain": "next"})
    fax_id = folder.send(box, gateway)
    assert folder.ended(gateway, fax_id) == ["done"]
    expect(gateway, fax_id, [
        "S1 one TCP OK", "S10 one uncertain final reply: the connection was lost", *TO_TWO])
    assert folder.deliveries(gateway, fax_id)[0]["uncertain"]


def spooled(gateway, fax_id):
    """The message as it was composed, and its Message-ID."""
    show = gateway.faxpost("show", fax_id)["fax"]
    with open(os.path.join(gateway.state, show["folder"], "message.eml"), "rb") as file:
        return file.read(), show["message_id"]


@timeout(60)
def test_same_bytes_at_every_attempt(box):
    """What the servers had of it, at each of four attempts, is what lies in the spool."""
    one, two = Fake(box), Fake(box)
    one.fail({"final": "451:4.3.0 later"}, {"final": "drop"}, {"final": "451:4.3.0 later"}, {})
    gateway = start(box, {"one": one.entry(1), "two": two.entry(2)})
    fax_id = folder.put(gateway, folder.pages_of(box, 2, k="text", l=1000))
    assert folder.ended(gateway, fax_id) == ["done"]
    message, message_id = spooled(gateway, fax_id)
    assert [octets for octets, _ in one.offered] == [message] * 4
    assert message_id in message.decode() and not two.offered


@timeout(90)
def test_large_message_over_a_stalling_link(box):
    """8 MB: stalls within the time-out do no harm; longer ones and breaks end the attempt, and the
    next one has all of it. Never does a server take a shorter message."""
    one = Fake(box, narrow=True, after=1000000, pace=0.4)
    pages = folder.pages_of(box, 7, k="dense", l=2200)
    gateway = start(box, {"one": one.entry(1)}, timeouts=timeouts("2s"))
    fax_id = folder.put(gateway, pages)
    one.fail({"content": "drop"}, {"content": "reset"}, {"content": "pause:6"},
             {"content": "pause"})
    assert folder.ended(gateway, fax_id, 60) == ["done"]
    message, _ = spooled(gateway, fax_id)
    assert len(message) > 8000000, len(message)
    assert [octets for octets, _ in one.offered] == [message], "whole, and only once"
    assert folder.rows(gateway, fax_id)[-1]["result"] == "SMTP OK"
    lost = "temporary error data: the connection was lost within the message"
    expect(gateway, fax_id, [
        "S1 one TCP OK", f"S7 one {lost}", "S7 one TCP OK", f"S7 one {lost}", "S7 one TCP OK",
        "S12 one temporary error data: the transfer of the message stalled", "S1 one TCP OK",
        f"S4 one {QUEUED}"])


def timeouts(data):
    return {"connect": "5s", "greeting": "20s", "command": "20s", "data": data, "final": "20s"}


# ---- permission to bypass --------------------------------------------------------------------------


def bypass_cases():
    """(combine, default, sender's row, destination's row) and what comes of it."""
    for combine in ("any", "all"):
        for default in ("allow", "deny"):
            for sender in ("allow", "deny", None):
                for destination in ("allow", "deny", None):
                    opinions = {sender, destination} - {None}
                    if not opinions:
                        permitted = default == "allow"
                    elif combine == "any":
                        permitted = "allow" in opinions
                    else:
                        permitted = opinions == {"allow"}
                    yield combine, default, sender, destination, permitted


@timeout(90)
def test_bypass_table(box):
    """36 cases: the first server is full. Those that may go by the second; the others wait, and go
    by the first once it is well again."""
    one, two = Fake(box), Fake(box)
    numbers = {"allow": "1001", "deny": "1002", None: "1003"}
    routes = {f"route {word}": {"called": f"20{i}", "to": f"{word}@example.com"}
              for i, word in enumerate(("allow", "deny", "none"))}
    routes["route all"] = {"called": "299", "to": "nobody@example.com"}
    called = {"allow": "200", "deny": "201", None: "202"}
    gateway = start(box, {"one": one.entry(1, connections=8), "two": two.entry(2, connections=8)},
                    retry={"limit": 1000, "wait": "300ms", "wait_max": "300ms"}, **routes)
    cases = list(bypass_cases())
    for combine in ("any", "all"):
        for default in ("allow", "deny"):
            one.fail({"mail": "452:4.3.1 full"})
            change_bypass(gateway, {
                "bypass": {"combine": combine, "default": default},
                "sender": {"1001": "allow", "1002": "deny"},
                "destination": {"allow@example.com": "allow", "deny@example.com": "deny"}})
            faxes = {folder.send(box, gateway, caller=numbers[c[2]], called=called[c[3]]): c
                     for c in cases if c[:2] == (combine, default)}
            for fax_id, case in faxes.items():
                if case[4]:
                    assert folder.ended(gateway, fax_id) == ["done"], case
                else:
                    wait_for(f"two rounds {case}", lambda: len(folder.rows(gateway, fax_id)) >= 4)
            one.well()
            for fax_id, case in faxes.items():
                assert folder.ended(gateway, fax_id) == ["done"], case
                log = folder.lines(gateway, fax_id)
                full = "one server error MAIL: 452 4.3.1 full"
                if case[4]:
                    assert log == ["S1 one TCP OK", f"S10 {full}", *TO_TWO], (case, log)
                else:
                    assert "two" not in str(log), (case, log)
                    assert log[:3] == ["S1 one TCP OK", f"S12 {full}", "S1 one TCP OK"], (case, log)
                    assert log[-1] == f"S4 one {QUEUED}", (case, log)


@timeout(60)
def test_bypass_by_wildcard_line_and_station(box):
    """The most exact row wins, within a kind; the whole of a fax's identities counts."""
    one, two = Fake(box), Fake(box)
    one.fail({"mail": "452:4.3.1 full"})
    gateway = start(box, {"one": one.entry(1), "two": two.entry(2)}, retry={"limit": 1000}, bypass={
        "bypass": {"default": "deny"},
        "sender": {"555*": "allow", "5551*": "deny", "5551234": "allow", "trunk2": "allow",
                   "+4420*": "allow"}})
    cases = [({"caller": "5559000"}, True), ({"caller": "5551000"}, False),
             ({"caller": "5551234"}, True), ({"caller": "777", "line": "trunk2"}, True),
             ({"caller": "777", "station": "+442012"}, True), ({"caller": "777"}, False)]
    faxes = [(folder.send(box, gateway, **{"station": "", **fields}), permitted)
             for fields, permitted in cases]
    for (fax_id, permitted), (fields, _) in zip(faxes, cases):
        if permitted:
            assert folder.ended(gateway, fax_id) == ["done"], fields
            assert folder.lines(gateway, fax_id)[-2:] == TO_TWO, fields
        else:
            wait_for(f"two rounds {fields}", lambda: len(folder.rows(gateway, fax_id)) >= 4)
            assert "two" not in str(folder.lines(gateway, fax_id)), fields
    one.well()
    for fax_id, _ in faxes:
        assert folder.ended(gateway, fax_id) == ["done"]


@timeout(60)
def test_authority_narrows(box):
    """Servers that demand more than the sender has are skipped."""
    one, two, three = Fake(box), Fake(box), Fake(box)
    one.fail({"mail": "452:4.3.1 full"})
    gateway = start(box, {"one": one.entry(1), "two": two.entry(2, authority=2),
                          "three": three.entry(3)}, bypass={
        "bypass": {"default": "deny"},
        "sender": {"1001": "allow", "1002": "allow 2", "1003": "allow 1"}})
    full = ["S1 one TCP OK", "S10 one server error MAIL: 452 4.3.1 full"]
    for caller, server in (("1001", "three"), ("1002", "two"), ("1003", "three")):
        fax_id = folder.send(box, gateway, caller=caller)
        assert folder.ended(gateway, fax_id) == ["done"], caller
        expect(gateway, fax_id, full + [f"S10 {server} TCP OK", f"S4 {server} {QUEUED}"])


# ---- health ----------------------------------------------------------------------------------------


@timeout(60)
def test_known_to_be_down_is_passed_over(box):
    """One delivery finds out; the others pass it over without an attempt. Those that may not bypass
    wait, reach S13 by the waits alone, and go at once when the server is back."""
    two = Fake(box)
    port = refused_port(box)
    gateway = start(box, {"one": {"rank": 1, "host": "127.0.0.1", "port": port},
                          "two": two.entry(2)},
                    retry={"wait": "1s"},
                    bypass={"bypass": {"default": "allow"}, "sender": {"1002": "deny"}})
    fax_id = folder.send(box, gateway)
    assert folder.ended(gateway, fax_id) == ["done"]
    expect(gateway, fax_id, ["S1 one TCP error connection refused", *TO_TWO])
    assert not gateway.faxpost("status")["servers"][0]["up"]
    passed = [folder.send(box, gateway) for _ in range(5)]
    waiting = folder.send(box, gateway, caller="1002")
    for fax_id in passed:
        assert folder.ended(gateway, fax_id) == ["done"]
        # those that come while a connection is open share it, and have no TCP row of their own
        assert folder.lines(gateway, fax_id) in (TO_TWO, TO_TWO[1:])
        assert re.search(rf"fax={fax_id}.* passed=1", gateway.log()), "one line says so"
    wait_for("S13 by waits", lambda: "settings are probably wrong fax=" in gateway.log(), 8)
    assert len(mailbox_of(gateway)) == 1
    assert folder.rows(gateway, waiting) == [], "no attempt was made"
    one = Fake(box, port=port)
    assert folder.ended(gateway, waiting, 15) == ["done"]
    assert folder.lines(gateway, waiting) == ["S1 one TCP OK", f"S4 one {QUEUED}"]
    assert len(one.taken) == 1
    assert gateway.faxpost("status")["servers"][0]["up"]


@sanitized
@timeout(60)
def test_server_that_comes_back_wakes_all(box):
    """Many wait for the only server, with long waits: one probes, then all go."""
    port = refused_port(box)
    gateway = start(box, {"one": {"rank": 1, "host": "127.0.0.1", "port": port}},
                    retry={"wait": "1h"})
    faxes = [folder.send(box, gateway) for _ in range(12)]
    wait_for("the first attempt", lambda: "refused" in str(folder.rows(gateway)))
    one = Fake(box, port=port)
    one.wait_messages(12, 20)
    for fax_id in faxes:
        assert folder.ended(gateway, fax_id) == ["done"]
    # One found out for all; on a slow machine a probe may have come before the server.
    assert sum("refused" in r["reply"] for r in folder.rows(gateway)) <= 2


@timeout(60)
def test_connections_of_our_own_are_no_failure(box):
    """More deliveries than connections: they wait for a slot, and the log shows no failure."""
    one = Fake(box, delay=0.1)
    gateway = start(box, {"one": one.entry(1, connections=2)})
    faxes = [folder.send(box, gateway) for _ in range(12)]
    for fax_id in faxes:
        assert folder.ended(gateway, fax_id) == ["done"]
        assert folder.lines(gateway, fax_id)[-1] == f"S4 one {QUEUED}"
    assert one.most_live <= 2
    assert len(one.taken) == 12


# ---- recipients ------------------------------------------------------------------------------------


@sanitized
@timeout(60)
def test_recipients_are_judged_one_by_one(box):
    """One of three is refused: it alone ends, with its copy; the others have the mail once."""
    one = Fake(box, refuse="bad@")
    gateway = start(box, {"one": one.entry(1)}, **{
        "route all": {"to": "good@example.com, bad@example.com, fine@example.com"}})
    fax_id = folder.send(box, gateway)
    folder.ended(gateway, fax_id)
    states = {d["recipient"]: d["state"] for d in folder.deliveries(gateway, fax_id)}
    assert states == {"good@example.com": "done", "bad@example.com": "failed",
                      "fine@example.com": "done"}, states
    got = sorted(r for _, recipients in one.taken for r in recipients)
    assert [re.search("<(.*)>", r).group(1) for r in got] == ["fine@example.com",
                                                             "good@example.com"]
    assert len(mailbox_of(gateway, "bad@example.com")) == 1
    assert len(gateway.mail_paths()) == 1
    bad = [r for r in folder.rows(gateway, fax_id) if r["recipient"] == "bad@example.com"]
    assert (bad[-1]["step"], bad[-1]["result"]) == ("S6", "destination error")
    assert "550 5.1.1 no such user" in bad[-1]["reply"]


@timeout(60)
def test_more_recipients_than_a_transaction_takes(box):
    """452 4.5.3: the rest goes in further transactions, without a wait and without a failure."""
    one = Fake(box, most=2)
    people = [f"p{i}@example.com" for i in range(5)]
    gateway = start(box, {"one": one.entry(1)}, retry={"wait": "1h"},
                    **{"route all": {"to": ", ".join(people)}})
    fax_id = folder.send(box, gateway)
    assert folder.ended(gateway, fax_id) == ["done"] * 5
    got = sorted(re.search("<(.*)>", r).group(1) for _, rs in one.taken for r in rs)
    assert got == people
    assert not [r for r in folder.rows(gateway, fax_id) if "error" in r["result"]]


@sanitized
@timeout(60)
def test_421_between_messages(box):
    """A server that ends the connection at the second message: each mail arrives, once."""
    one, two = Fake(box, transaction=2, fail="mail=421:4.7.0 enough for now"), Fake(box)
    one.failures = fake.fake_smtp.Server.failures.__get__(one)  # by the options, not by plans
    gateway = start(box, {"one": one.entry(1, connections=1), "two": two.entry(2)},
                    limits={"workers": 2})
    faxes = [folder.send(box, gateway) for _ in range(8)]
    for fax_id in faxes:
        assert folder.ended(gateway, fax_id) == ["done"]
    assert sorted(message_id(o) for o, _ in one.taken + two.taken) == sorted(
        gateway.faxpost("show", f)["fax"]["message_id"] for f in faxes)


def message_id(octets):
    return re.search(rb"^Message-ID:\s*<([^>]*)>", octets, re.M | re.I).group(1).decode()


# ---- the tables, while it runs ---------------------------------------------------------------------


@timeout(60)
def test_tables_change_while_deliveries_wait(box):
    """A change makes waiting deliveries due; a removed server is passed over; without any server
    they wait, with an alarm."""
    one, two = Fake(box), Fake(box)
    one.fail({"mail": "452:4.3.1 full"})
    gateway = start(box, {"one": one.entry(1)}, retry={"wait": "1h"})
    fax_id = folder.send(box, gateway)
    wait_for("the first round", lambda: len(folder.rows(gateway, fax_id)) == 2)
    change_servers(gateway, {})
    wait_for("the alarm", lambda: "the last server was removed" in gateway.log())
    assert folder.deliveries(gateway, fax_id)[0]["state"] == "waiting"
    assert not gateway.mail_paths(), "the queue is not emptied into the mailbox"
    gateway.write("servers.ini", "[server two]\nrank = first\n")
    gateway.faxpost("reload", check=False)
    change_servers(gateway, {"two": two.entry(1)})
    assert folder.ended(gateway, fax_id) == ["done"]
    assert folder.lines(gateway, fax_id)[-2:] == ["S1 two TCP OK", f"S4 two {QUEUED}"]


@timeout(60)
def test_permission_is_asked_again_after_a_wait(box):
    one, two = Fake(box), Fake(box)
    one.fail({"mail": "452:4.3.1 full"})
    gateway = start(box, {"one": one.entry(1), "two": two.entry(2)}, bypass="deny",
                    retry={"limit": 1000})
    fax_id = folder.send(box, gateway)
    wait_for("two rounds", lambda: len(folder.rows(gateway, fax_id)) >= 4)
    assert not two.taken
    change_bypass(gateway, {"bypass": {"default": "deny"}, "destination": {"user@*": "allow"}})
    assert folder.ended(gateway, fax_id) == ["done"]
    assert folder.lines(gateway, fax_id)[-2:] == TO_TWO
    assert len(two.taken) == 1


@timeout(60)
def test_operator_commands_at_a_waiting_delivery(box):
    """retry: at once; hold and release; cancel: it ends."""
    one = Fake(box)
    one.fail({"mail": "452:4.3.1 full"})
    gateway = start(box, {"one": one.entry(1)}, retry={"wait": "1h"})
    first, second = folder.send(box, gateway), folder.send(box, gateway)
    for fax_id in (first, second):
        wait_for("the first round", lambda: len(folder.rows(gateway, fax_id)) == 2)
    gateway.faxpost("hold", first)
    gateway.faxpost("cancel", second)
    assert folder.ended(gateway, second) == ["cancelled"]
    one.well()
    time.sleep(0.3)
    assert [d["state"] for d in folder.deliveries(gateway, first)] == ["held"]
    gateway.faxpost("release", first)
    assert folder.ended(gateway, first) == ["done"]
    gateway.faxpost("retry", second)
    assert folder.ended(gateway, second) == ["done"]
    assert len(one.taken) == 2
