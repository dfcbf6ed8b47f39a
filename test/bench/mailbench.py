# SPDX-License-Identifier: MIT
"""What the measurements of delivery share: a gateway full of faxes that wait, Postfix's smtp-sink."""

import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
sys.dont_write_bytecode = True
import folder  # noqa: E402
import harness  # noqa: E402
import postfix  # noqa: E402

signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves no daemon behind


class Sink:
    """smtp-sink of Postfix: takes mail and throws it away, and counts."""

    def __init__(self, box, name="sink"):
        root = postfix.find_root()
        if root is None:
            raise SystemExit("smtp-sink is missing: test/fetch-postfix build/mta")
        self.port = box.port()
        self.root = root
        self.path = box.path(name)
        environment = dict(os.environ)
        if root:
            environment["LD_LIBRARY_PATH"] = root + "/usr/lib/postfix"
        self.environment = environment
        self.output = open(self.path, "wb")
        self.process = subprocess.Popen(
            [root + "/usr/sbin/smtp-sink", *(["-u", "nobody"] if os.geteuid() == 0 else []),
             "-c", f"127.0.0.1:{self.port}", "1000"],
            stdout=self.output, stderr=subprocess.STDOUT, env=environment,
            stdin=subprocess.DEVNULL)
        box.closers.append(self.close)
        time.sleep(0.3)

    def counts(self):
        """(connections, messages)"""
        with open(self.path, "rb") as file:
            file.seek(max(0, os.path.getsize(self.path) - 200))
            last = file.read().replace(b"\n", b"\r").split(b"\r")
        numbers = {}
        for line in reversed(last[:-1] if len(last) > 1 else last):
            for word in line.decode(errors="replace").split():
                name, _, value = word.partition("=")
                if value.isdigit():
                    numbers.setdefault(name, int(value))
            if numbers:
                break
        return numbers.get("sess", 0), numbers.get("mesg", 0)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
        self.output.close()


def gateway(box, servers, bypass=None, workers=8, **more):
    """A gateway whose deliveries wait for long where `servers` cannot take them."""
    return box.gateway(
        answers=False, servers=servers, bypass=bypass,
        settings={"retry": {"wait": "1h", "wait_max": "1h", "limit": 1000, "expire": "5d"},
                  "mail": {"mailbox": "no"}, "limits": {"workers": workers},
                  "route all": {"to": "user@example.com"}, **more})


def fill(gateway_, count, pages):
    """So many faxes more, until all of them are composed and wait."""
    began = time.monotonic()
    total = gateway_.faxpost("status")["counts"]["faxes"] + count
    for _ in range(count):
        folder.put(gateway_, pages)
    harness.wait_for("all faxes are composed", lambda: ready(gateway_, total), 600, 1)
    seconds = time.monotonic() - began
    print(f"{count} faxes taken over and composed in {seconds:.1f} s "
          f"({count / seconds:.0f} per second)", flush=True)


def ready(gateway, count):
    """All are composed, and none is being sent."""
    status = gateway.faxpost("status", check=False)
    if status is None:
        return False
    counts = status["counts"]
    return counts["faxes"] >= count and counts["taken"] == 0 and counts["sending"] == 0


def done(gateway):
    status = gateway.faxpost("status", check=False)
    return status["counts"]["done"] if status else 0
