# SPDX-License-Identifier: MIT
"""kill -9 at random moments while faxes flow to a server that counts them: every mail arrives,
whole, and none twice unless the transmission log calls it uncertain. test/campaign-kill runs it at
length, test_kill.py in short."""

import collections
import glob
import os
import random
import re
import signal
import threading
import time

import folder
from fake import Fake
from harness import wait_for

AT_ONCE = 40  # faxes on their way; more come when these are through
EVERYTHING = 4  # each so many kills it is the whole daemon, not only its deliver role


def deliver_role(supervisor):
    """The process of the deliver role, a child of the supervisor; None while it is down."""
    try:
        with open(f"/proc/{supervisor}/task/{supervisor}/children") as file:
            children = file.read().split()
        for pid in children:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if b"--role=deliver" in file.read().split(b"\0"):
                    return int(pid)
    except OSError:
        pass
    return None


class Feeder(threading.Thread):
    """Puts faxes into incoming/, without a pause, but not more than AT_ONCE before the server."""

    def __init__(self, box, gateway, server):
        super().__init__(daemon=True)
        self.gateway, self.server = gateway, server
        self.pages = folder.pages_of(box, 2, k="text", l=400)
        self.faxes = []
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.005):
            if len(self.faxes) - len(self.server.taken) < AT_ONCE:
                self.faxes.append(folder.put(self.gateway, self.pages))


class Slow(Fake):
    """Takes its time before the final reply, so that many kills fall just there."""

    def see(self, octets, recipients):
        super().see(octets, recipients)
        time.sleep(random.random() * 0.03)


def kill_once(gateway, number):
    """Says what was killed."""
    if number % EVERYTHING == EVERYTHING - 1:
        gateway.kill()
        gateway.start()
        return "everything"
    pid = wait_for("the deliver role", lambda: deliver_role(gateway.process.pid), 30, 0.005)
    time.sleep(random.random() * 0.5)
    os.kill(pid, signal.SIGKILL)
    wait_for("the deliver role again",
             lambda: deliver_role(gateway.process.pid) not in (None, pid), 30, 0.005)
    return "deliver"


def message_id(octets):
    found = re.search(rb"^Message-ID:\s*<([^>]*)>", octets, re.M | re.I)
    return found.group(1).decode() if found else "none"


def run(box, kills, seed):
    """Gives what happened, in words; an assertion says what went wrong."""
    random.seed(seed)
    server = Slow(box)
    gateway = box.gateway(
        answers=False, servers={"server one": server.entry(1, connections=8)},
        settings={"retry": {"wait": "200ms", "wait_max": "1s", "expire": "1h", "limit": 1000},
                  "mail": {"mailbox": "no"}, "limits": {"workers": 8},
                  "route all": {"to": "user@example.com"}})
    feeder = Feeder(box, gateway, server)
    feeder.start()
    done = collections.Counter()
    for number in range(kills):
        time.sleep(random.random() * 0.3)
        done[kill_once(gateway, number)] += 1
    feeder.over.set()
    feeder.join()
    folder.all_ended(gateway, len(feeder.faxes), 120)
    time.sleep(0.3)
    return judge(gateway, feeder.faxes, server, done)


def judge(gateway, faxes, server, done):
    arrived = collections.Counter(message_id(octets) for octets, _ in server.taken)
    missing, twice, unexplained = [], [], []
    for fax_id in faxes:
        count = arrived.pop(f"{fax_id}@fax.example.com", 0)
        if count == 0:
            missing.append(fax_id)
        elif count > 1:
            twice.append(fax_id)
            if not any(r["result"] == "uncertain" for r in folder.rows(gateway, fax_id)):
                unexplained.append(fax_id)
    assert not missing, f"{len(missing)} of {len(faxes)} never arrived: {missing[:5]}"
    assert not unexplained, (f"{len(unexplained)} arrived twice and the log does not call them "
                             f"uncertain: {unexplained[:5]}")
    assert not arrived, f"unknown mails: {list(arrived)[:5]}"
    check_octets(gateway, server)
    uncertain = sum(any(d["uncertain"] for d in folder.deliveries(gateway, f)) for f in faxes)
    return (f"{sum(done.values())} kills ({done['deliver']} of the deliver role, "
            f"{done['everything']} of everything): {len(faxes)} faxes, all arrived, "
            f"{uncertain} called uncertain, {len(twice)} of them twice")


def check_octets(gateway, server):
    """Every mail is the one in the spool, octet for octet."""
    paths = {os.path.basename(os.path.dirname(path)): path for path in
             glob.glob(os.path.join(gateway.state, "fax/*/*/*/*/message.eml"))}
    for octets, _ in server.taken:
        with open(paths[message_id(octets).partition("@")[0]], "rb") as file:
            assert file.read() == octets, f"{message_id(octets)} differs"
