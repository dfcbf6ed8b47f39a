# SPDX-License-Identifier: MIT
"""A plain SIP client (SIPp, scenarios in sipp/) speaks with the gateway: calls, refusals, changes
within a call. What the fax itself does is told by the other files."""

import glob
import os
import shutil
import signal
import subprocess

from harness import Skip, sanitized, timeout, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))

# A call rings this long, so that there is something to cancel.
OPEN_DELAY = {"FAXPOST_TEST_OPEN_DELAY_MS": "400"}


def lines(box, **trunk):
    """Besides the trunk a line for each t38 setting, and one that takes calls from nobody here."""
    settings = {"line trunk": {"t38": "ask", **trunk}}
    first, last = (int(p) for p in box.media_ports().split("-"))
    share = (last - first) // 5
    for number, (name, keys) in enumerate((
            ("accept", {"t38": "accept"}), ("never", {"t38": "never"}),
            ("closed", {"peers": "192.0.2.0/24"}), ("single", {"t38": "accept", "max_calls": 1}))):
        start = first + (number + 1) * share
        settings["line " + name] = {
            "type": "sip", "listen": f"127.0.0.1:{box.port()}", "transport": "udp,tcp",
            "media_address": "127.0.0.1", "media_ports": f"{start}-{start + share - 1}", **keys}
    return settings


class Sipp:
    """A running scenario."""

    def __init__(self, box, gateway, scenario, line="accept", transport="u1", calls=1):
        if shutil.which("sipp") is None:
            raise Skip("no sipp")
        self.name = scenario
        self.folder = box.path(f"sipp-{scenario}-{line}-{transport}-{box.port()}")
        os.mkdir(self.folder)
        command = ["sipp", gateway.address(line), "-sf", os.path.join(HERE, "sipp", scenario + ".xml"),
                   "-m", str(calls), "-l", str(calls), "-i", "127.0.0.1", "-p", str(box.port()),
                   "-mi", "127.0.0.1", "-mp", str(box.port()), "-t", transport, "-nostdin",
                   "-timeout", "50s", "-timeout_error", "-trace_err", "-error_file", "errors"]
        self.output = open(os.path.join(self.folder, "output"), "w+")
        self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL,
                                        stdout=self.output, stderr=subprocess.STDOUT)
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


def sipp(*arguments, **options):
    Sipp(*arguments, **options).wait()


@sanitized
@timeout(240)
def test_scenarios(box):
    """One after the other, by UDP and by TCP."""
    gateway = box.gateway(settings=lines(box), environment=OPEN_DELAY)
    for transport in ("u1", "t1"):
        for scenario in ("options", "call", "call_t38", "call_both", "cancel", "reinvite_t38",
                         "refresh", "update", "methods", "malformed_sdp", "no_common_media",
                         "other_body", "require", "offerless", "offerless_no_answer"):
            sipp(box, gateway, scenario, transport=transport)
        sipp(box, gateway, "refuse_t38", line="never", transport=transport)
        sipp(box, gateway, "wrong_peer", line="closed", transport=transport)
    gateway.wait_idle()
    assert "call ended" in gateway.log()


@timeout(120)
def test_gateway_asks_for_t38(box):
    """Refused it goes on as audio; after glare it asks again."""
    gateway = box.gateway(settings=lines(box))
    running = [Sipp(box, gateway, scenario, line="trunk", transport=transport)
               for scenario in ("ask_refused", "ask_glare") for transport in ("u1", "t1")]
    for scenario in running:
        scenario.wait()


@timeout(60)
def test_line_is_busy(box):
    """max_calls = 1: the second call gets 486, and the line is free again afterwards."""
    gateway = box.gateway(settings=lines(box))
    first = Sipp(box, gateway, "hangs_up", line="single")
    wait_for("the first call is answered", lambda: "answered" in gateway.log())
    sipp(box, gateway, "busy", line="single")
    first.end()


@sanitized
@timeout(90)
def test_gateway_hangs_up(box):
    """Stopped with a live call the gateway says BYE, after `drain`."""
    gateway = box.gateway(settings={**lines(box), "limits": {"drain": "1s"}})
    calls = [Sipp(box, gateway, "hangs_up", line=line, transport=transport)
             for line, transport in (("accept", "u1"), ("never", "t1"))]
    wait_for("both calls are answered", lambda: gateway.log().count("answered") >= 2)
    gateway.process.send_signal(signal.SIGTERM)
    for call in calls:
        call.wait()
    gateway.stop()


@sanitized
@timeout(90)
def test_many_short_calls(box):
    """Calls at 25 a second; each is recorded once."""
    gateway = box.gateway(settings=lines(box))
    sipp(box, gateway, "call", calls=60)
    gateway.wait_idle()
    assert gateway.log().count("call ended") == 60
