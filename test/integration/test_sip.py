# SPDX-License-Identifier: MIT
"""The SIP line under load and at its end; the single scenarios are played by test_sipp.py."""

import glob
import os
import shutil
import signal
import subprocess

from harness import Skip, sanitized, timeout, wait_for
from test_calls import lines

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sipp")


class Sipp:
    """A scenario that runs beside the test."""

    def __init__(self, box, address, scenario, transport="u1", calls=1, rate=25):
        if shutil.which("sipp") is None:
            raise Skip("SIPp is not installed")
        self.name = scenario
        self.folder = box.path(f"sipp-{scenario}-{box.port()}")
        os.mkdir(self.folder)
        command = ["sipp", address, "-sf", os.path.join(FOLDER, scenario + ".xml"),
                   "-m", str(calls), "-l", str(calls), "-r", str(rate), "-t", transport,
                   "-i", "127.0.0.1", "-p", str(box.port()), "-mi", "127.0.0.1",
                   "-mp", str(box.port(4)), "-nostdin", "-timeout", "50", "-timeout_error",
                   "-trace_err", "-error_file", "errors"]
        self.output = open(os.path.join(self.folder, "output"), "w+")
        self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL,
                                        stdout=self.output, stderr=subprocess.STDOUT,
                                        env=dict(os.environ, TERM="dumb"))
        box.closers.append(self.end)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()

    def wait(self):
        status = self.process.wait(60)
        errors = "".join(open(path, errors="replace").read()
                         for path in glob.glob(os.path.join(self.folder, "errors*")))
        assert status == 0, f"{self.name}: sipp ended with {status}\n{errors[-3000:]}"


@sanitized
@timeout(90)
def test_stopped_with_live_calls(box):
    """SIGTERM with live calls: they may go on for `drain`, then the gateway says BYE."""
    gateway = box.gateway(settings={**lines(box), "limits": {"drain": "1s"}})
    calls = [Sipp(box, gateway.address(line), "hangs_up", transport)
             for line, transport in (("accept", "u1"), ("never", "t1"))]
    wait_for("both calls are answered", lambda: gateway.log().count("answered fax=") >= 2)
    gateway.process.send_signal(signal.SIGTERM)
    for call in calls:
        call.wait()
    gateway.stop()


@sanitized
@timeout(120)
def test_many_short_calls(box):
    """25 calls a second, all hung up by the caller; each is recorded once."""
    gateway = box.gateway(settings=lines(box))
    Sipp(box, gateway.address("accept"), "call", calls=80).wait()
    gateway.wait_idle()
    assert gateway.log().count("call ended fax=") == 80
