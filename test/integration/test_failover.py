# SPDX-License-Identifier: MIT
"""Failures on demand: what a server does wrong, the transmission log line by line, and where the
mail is in the end. spec: failover, S1 to S13."""

import glob
import json
import os
import subprocess
import sys
import threading
import time

from harness import Mail, images, timeout, wait_for

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tools/fake_smtp.py")
QUICK = {"retry": {"wait": "400ms", "limit": "3"},
         "timeouts": {"connect": "3s", "greeting": "2s", "command": "2s", "data": "2s",
                      "final": "2s"},
         "mail": {"mailbox": "no"}}
ALLOW = {"bypass": {"default": "allow"}}


class Fake:
    """fake_smtp.py at work."""

    def __init__(self, box, *arguments):
        self.store = box.path(f"store{len(box.closers)}")
        os.mkdir(self.store)
        self.process = subprocess.Popen(
            [sys.executable, FAKE, "--store", self.store, *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, text=True)
        box.closers.append(self.stop)
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.events = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def mails(self):
        return [open(path, "rb").read() for path in sorted(glob.glob(self.store + "/*.eml"))]

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.reader.join()


def servers(*fakes, **more):
    return {f"server {name}": {"rank": rank, "host": "127.0.0.1", "port": port, **more}
            for rank, (name, port) in enumerate(
                zip(("one", "two", "three"), (getattr(f, "port", f) for f in fakes)), 1)}


def send_one(box, gateway):
    document = box.document(p=1, k="text", l=300)
    result = box.call(gateway, document, t38="redundancy")[0]
    assert result["ok"], result
    return images(document)


def log(gateway):
    """The transmission log as "step server result"."""
    return [f"{row['step']} {row['server']} {row['result']}"
            for row in gateway.faxpost("log")["rows"]]


def wait_log(gateway, expected, seconds=30):
    wait_for(f"{len(expected)} rows", lambda: len(log(gateway)) >= len(expected), seconds)
    time.sleep(0.3)
    assert log(gateway)[:len(expected)] == expected, log(gateway)


@timeout(120)
def test_greylisting(box):
    """S7: the same server again, after the wait."""
    fake = Fake(box, "--fail", "rcpt=450:4.2.0 greylisted", "--times", "2")
    gateway = box.gateway(settings=QUICK, servers=servers(fake, box.port()), bypass=ALLOW)
    sent = send_one(box, gateway)
    wait_log(gateway, ["S1 one TCP OK", "S7 one temporary error", "S7 one TCP OK",
                       "S7 one temporary error", "S7 one TCP OK", "S4 one SMTP OK"])
    assert Mail(fake.mails()[0], box.folder, "0").images() == sent
    assert not gateway.mail_paths()


@timeout(120)
def test_bypass_allowed(box):
    """S2, S10: a dead server, then one whose disk is full, then one that takes it; no waiting."""
    full = Fake(box, "--fail", "mail=452:4.3.1 insufficient storage")
    good = Fake(box)
    gateway = box.gateway(settings=QUICK, servers=servers(box.port(), full, good), bypass=ALLOW)
    sent = send_one(box, gateway)
    wait_log(gateway, ["S1 one TCP error", "S10 two TCP OK", "S10 two server error",
                       "S10 three TCP OK", "S4 three SMTP OK"])
    assert Mail(good.mails()[0], box.folder, "0").images() == sent
    assert not full.mails()


@timeout(120)
def test_bypass_denied(box):
    """S8, S12, S13: nobody but the first may have it; after the limit there is a copy to read."""
    good = Fake(box)
    gateway = box.gateway(settings=QUICK, servers=servers(box.port(), good))
    sent = send_one(box, gateway)
    assert gateway.mails(1)[0].images() == sent
    assert not good.mails()
    assert all(" one " in line for line in log(gateway))
    assert "settings are probably wrong" in gateway.log()


@timeout(120)
def test_unknown_recipient(box):
    """S6: the end, with a copy; the second server is not asked."""
    fake = Fake(box, "--refuse", "operator")
    second = Fake(box)
    gateway = box.gateway(settings=QUICK, servers=servers(fake, second), bypass=ALLOW)
    sent = send_one(box, gateway)
    wait_log(gateway, ["S1 one TCP OK", "S6 one destination error"])
    assert gateway.mails(1)[0].images() == sent
    assert not second.mails()


@timeout(120)
def test_uncertain(box):
    """No reply after the dot: the same server, the same octets, the mark in the log."""
    fake = Fake(box, "--fail", "final=drop", "--times", "1")
    second = Fake(box)
    gateway = box.gateway(settings=QUICK, servers=servers(fake, second), bypass=ALLOW)
    send_one(box, gateway)
    wait_log(gateway, ["S1 one TCP OK", "S7 one uncertain", "S7 one TCP OK", "S4 one SMTP OK"])
    assert not second.mails()


@timeout(150)
def test_rude_servers(box):
    """Each ends in bounded time, and the next server is asked."""
    rude = [Fake(box, "--fail", "ehlo=flood"),
            Fake(box, "--fail", "greeting=trickle", "--pace", "0.5")]
    good = Fake(box)
    gateway = box.gateway(
        settings={**QUICK, "retry": {"wait": "400ms", "same_server_limit": "1"}},
        servers=servers(*rude, good), bypass=ALLOW)
    sent = send_one(box, gateway)
    wait_log(gateway, ["S1 one TCP OK", "S10 one temporary error", "S10 two TCP OK",
                       "S10 two temporary error", "S10 three TCP OK", "S4 three SMTP OK"])
    assert Mail(good.mails()[0], box.folder, "0").images() == sent
