# SPDX-License-Identifier: MIT
"""The server of test/tools/fake_smtp.py within the test: what fails can be changed at any time, and
what arrived is at hand."""

import os
import sys
import threading

from harness import PATIENCE_SECONDS, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tools"))
import fake_smtp  # noqa: E402


class Fake(fake_smtp.Server):
    """fake = Fake(box); fake.fail({"mail": "452:4.3.1 full"}, times=2); ... fake.taken

    fail() may also be given several plans, one for each transaction to come (from MAIL on) or
    connection (before it); the last one stays."""

    def __init__(self, box, port=None, **options):
        arguments = ["--port", str(port or box.port())]
        for key, value in options.items():
            arguments += ["--" + key] + ([] if value is True else [str(value)])
        self.plans = [{}]
        self.events = []
        self.taken = []  # (octets, recipients) of each accepted message
        self.offered = []  # and of those that came whole but were not accepted
        super().__init__(fake_smtp.read_options(arguments))
        self.port = self.listener.getsockname()[1]
        box.closers.append(self.close)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            self.run()
        except OSError:
            pass  # closed

    def fail(self, *plans, times=None):
        """times: the one plan counts so often, then all is well."""
        plans = list(plans) * (times or 1) + ([{}] if times else [])
        with self.lock:
            self.plans = plans

    def well(self):
        self.fail({})

    def failures(self, connection, transaction):
        """A plan is used up by a transaction, or by a connection that names a stage before one."""
        early = {"connect", "greeting", "ehlo", "starttls", "auth"}
        with self.lock:
            plan = self.plans[0]
            mine = bool(early & set(plan)) == (transaction == 0)
            if not mine:
                return {}
            if len(self.plans) > 1:
                self.plans.pop(0)
            return plan

    def see(self, octets, recipients):
        with self.lock:
            self.offered.append((octets, recipients))

    def keep(self, number, octets, recipients):
        with self.lock:
            self.taken.append((octets, recipients))

    def tell(self, event, **more):
        with self.lock:
            self.events.append({"event": event, **more})

    def count(self, event):
        with self.lock:
            return sum(e["event"] == event for e in self.events)

    def wait_messages(self, count, seconds=PATIENCE_SECONDS):
        wait_for(f"{count} messages at port {self.port}", lambda: len(self.taken) >= count, seconds)
        return [octets for octets, _ in self.taken]

    def close(self):
        """Nobody listens any more: connections are refused."""
        if self.listener.fileno() >= 0:
            try:
                self.listener.shutdown(fake_smtp.socket.SHUT_RDWR)  # wakes accept()
            except OSError:
                pass
            self.listener.close()

    def entry(self, rank, **more):
        """Its section of servers.ini."""
        return {"rank": rank, "host": "127.0.0.1", "port": self.port, **more}
