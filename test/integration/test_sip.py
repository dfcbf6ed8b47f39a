# SPDX-License-Identifier: MIT
"""The SIP line under load and at its end; the single scenarios are played by test_sipp.py."""

import glob
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time

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


# ---- where media go and come from ------------------------------------------------------------------


class Phone:
    """A call by hand: signalling as it should be, media from wherever the test wants."""

    def __init__(self, box, address, offered, acknowledges=True):
        host, port = address.split(":")
        self.gateway = (host, int(port))
        self.signal = self.open(box)
        self.here = "127.0.0.1:%d" % self.signal.getsockname()[1]
        self.call_id = f"{random.getrandbits(64):x}"
        self.to_tag = ""
        sdp = (f"v=0\r\no=- 1 1 IN IP4 {offered[0]}\r\ns=-\r\nc=IN IP4 {offered[0]}\r\nt=0 0\r\n"
               f"m=audio {offered[1]} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n")
        self.send("INVITE", 1, sdp)
        answer = self.final()
        assert answer.startswith("SIP/2.0 200"), answer
        self.to_tag = re.search(r"(?m)^To:[^\r\n]*(;tag=\S+)", answer).group(1)
        self.media = (host, int(re.search(r"m=audio (\d+)", answer).group(1)))
        if acknowledges:
            self.send("ACK", 1)

    @staticmethod
    def open(box):
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        box.closers.append(end.close)
        end.bind(("127.0.0.1", 0))
        end.settimeout(5)
        return end

    def send(self, method, number, body=""):
        kind = "Content-Type: application/sdp\r\n" if body else ""
        self.signal.sendto((
            f"{method} sip:5552100@{self.gateway[0]} SIP/2.0\r\nVia: SIP/2.0/UDP {self.here};"
            f"branch=z9hG4bK{random.getrandbits(64):x}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:5551234@{self.here}>;tag=1\r\nTo: <sip:5552100@{self.gateway[0]}>"
            f"{self.to_tag}\r\nCall-ID: {self.call_id}\r\nCSeq: {number} {method}\r\n"
            f"Contact: <sip:test@{self.here}>\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode(), self.gateway)

    def final(self):
        while True:
            answer = self.signal.recv(4000).decode()
            if not answer.startswith("SIP/2.0 1"):
                return answer

    def talk(self, end, packets=10):
        for number in range(packets):
            end.sendto(b"\x80\x08" + number.to_bytes(2, "big") + (number * 160).to_bytes(4, "big") +
                       b"mine" + b"\xd5" * 160, self.media)
            time.sleep(0.02)

    def hears(self, end, seconds=1.0):
        """True when RTP of the gateway comes to this end."""
        end.settimeout(seconds)
        try:
            return end.recv(2000)[:2] == b"\x80\x08"
        except OSError:
            return False

    def hang_up(self):
        self.send("BYE", 2)
        assert self.final().startswith("SIP/2.0 200")


@timeout(60)
def test_caller_behind_a_nat(box):
    """A private address was offered: media go to where the first come from, and to nobody else."""
    gateway = box.gateway(settings=lines(box))
    phone = Phone(box, gateway.address("never"), ("10.9.8.7", 4000))
    nat, stranger = phone.open(box), phone.open(box)
    nat.sendto(b"no RTP at all", phone.media)
    assert not phone.hears(nat), "latched to what is no media"
    phone.talk(nat)
    assert phone.hears(nat), "not latched"
    phone.talk(stranger)
    assert not phone.hears(stranger), "a stranger took the media over"
    assert phone.hears(nat), "the media do not come any more"
    assert gateway.log().count("latched fax=") == 1
    phone.hang_up()
    gateway.wait_idle()
    assert re.search(r"call ended .* packets_in=10 .* strangers=1[01] ", gateway.log())


@timeout(60)
def test_media_go_where_the_offer_says(box):
    gateway = box.gateway(settings=lines(box))
    end = Phone.open(box)
    phone = Phone(box, gateway.address("never"), end.getsockname())
    assert phone.hears(end), "nothing came before we sent anything"
    phone.talk(end)
    phone.hang_up()
    gateway.wait_idle()
    assert "latched" not in gateway.log()


@timeout(60)
def test_reload_with_live_calls(box):
    """A line on all addresses stays open; one that changes opens when its last call is over."""
    settings = lines(box)
    port = settings["line never"]["listen"].split(":")[1]
    settings["line never"]["listen"] = "0.0.0.0:" + port
    gateway = box.gateway(settings=settings)
    address = "127.0.0.1:" + port
    end = Phone.open(box)
    first = Phone(box, address, end.getsockname())
    gateway.reload()
    wait_for("reloaded", lambda: "lines reloaded" in gateway.log())
    second = Phone(box, address, end.getsockname())
    second.hang_up()
    assert "cannot be opened" not in gateway.log()
    with open(gateway.conf) as file:
        text = file.read()
    with open(gateway.conf, "w") as file:
        file.write(text.replace("0.0.0.0:" + port, address))
    gateway.reload()
    wait_for("the line waits", lambda: 'line "never" opens when' in gateway.log())
    first.hang_up()
    wait_for("it opens", lambda: gateway.log().count('line opened line="never"') == 2)
    Phone(box, address, end.getsockname()).hang_up()
    gateway.wait_idle()
