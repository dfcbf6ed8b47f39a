# SPDX-License-Identifier: MIT
"""Strangers who send without a pause, or hold connections: none of them stops a call. How much is
borne in figures: test/bench/flood."""

import json
import re
import resource
import signal
import socket
import subprocess
import time

from harness import images, sanitized, timeout, tool, wait_for
from test_sip import Phone

SHORT = {"p": 1, "k": "text", "l": 300}
STRANGER = "127.0.0.2"


class Flood:
    """sipflood beside the test; end() gives what it tells."""

    def __init__(self, box, to, **options):
        command = [tool("sipflood"), "--to", to, "--seconds", "0"]
        for key, value in options.items():
            command += ["--" + key, str(value)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        text=True)
        box.closers.append(self.kill)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return json.loads(self.process.communicate(timeout=60)[0])


# ---- SIP by UDP ------------------------------------------------------------------------------------


@timeout(240)
def test_calls_in_a_flood(box):
    """The short form of test/bench/flood: one stranger with all that can be sent, and one of many
    addresses; four calls go on."""
    document = box.document(p=2, k="text", l=500)
    gateway = box.gateway(settings={"line trunk": {"t38": "accept", "deny": "127.0.0.3"}})
    floods = [Flood(box, gateway.address(), kind="invite,again,options,bye,register,garbage,slow",
                    rate=1500, **{"from": STRANGER}),
              Flood(box, gateway.address(), kind="invite", rate=300, **{"from": "127.0.0.3"}),
              Flood(box, gateway.address(), kind="invite,options", rate=200,
                    **{"from": "127.1.0.1/500"})]
    # No call was here before: its own first INVITEs stand among those of all the strangers.
    calls = [box.calling(gateway, document, t38="redundancy", rate=1, **{"from": f"+1555{number}"})
             for number in range(4)]
    results = [call.wait()[0] for call in calls]
    told = [flood.end() for flood in floods]
    assert all(result["ok"] for result in results), results
    mails = gateway.mails(4)
    sent = images(document)
    assert all(mail.images() == sent for mail in mails), "pages differ"
    log = gateway.log()
    assert f"flood: requests of peer={STRANGER}" in log or "flood: requests of peer=127." in log
    assert "what is no SIP message is dropped" in log
    assert set(told[1]["answers"]) <= {"403"}, told[1]
    # A few lines for thousands of requests; those of the calls that were taken are more.
    warnings = [line for line in log.splitlines() if " warning " in line]
    assert len(warnings) < 200, "\n".join(warnings[:50])


@timeout(120)
def test_what_is_slow_to_read(box):
    """8 kB of "a a a" would keep the SIP library busy for a tenth of a second, each."""
    gateway = box.gateway(settings={"limits": {"requests": "100000"}})
    flood = Flood(box, gateway.address(), kind="slow", rate=1000)
    wait_for("it is told", lambda: "what is no SIP message is dropped" in gateway.log())
    time.sleep(2)
    assert gateway._answers(), "no answer to OPTIONS"
    assert flood.end()["sent"] > 1000


@timeout(180)
def test_forged_addresses(box):
    """An INVITE that nobody knows is heard when it comes again, and calls that nobody acknowledges
    hold half of the sessions at most."""
    document = box.document(**SHORT)
    gateway = box.gateway(settings={"line trunk": {"t38": "accept"}, "limits": {"sessions": "20"}})
    flood = Flood(box, gateway.address(), kind="invite", rate=400, **{"from": "127.1.0.1/2000"})
    wait_for("calls of it are taken", lambda: gateway.log().count(" peer=127.1.") >= 3)
    first = box.calling(gateway, document, t38="redundancy")
    wait_for("a real one is among them", lambda: " peer=127.0.0.1:" in gateway.log(), 40)
    assert flood.end()["answers"].get("503", 0) == 0
    # Who repeats his forged ones gets further, but not into the other half.
    flood = Flood(box, gateway.address(), kind="again", rate=400, **{"from": "127.1.0.1/50"})
    wait_for("newcomers are turned away",
             lambda: "status=503 by too many calls that nobody acknowledged" in gateway.log())
    second = box.call(gateway, document, t38="redundancy")[0]
    told = flood.end()
    assert first.wait()[0]["ok"] and second["ok"], second
    assert told["answers"].get("503", 0) > 0, told
    assert "status=503 by [limits] sessions" not in gateway.log()
    gateway.mails(2)


@timeout(120)
def test_sessions_per_source(box):
    document = box.document(**SHORT)
    gateway = box.gateway(settings={"line trunk": {"t38": "accept"},
                                    "limits": {"sessions_per_source": "1"}})
    first = box.calling(gateway, document, t38="redundancy")
    wait_for("it is answered", lambda: "answered fax=" in gateway.log())
    result = box.call(gateway, document, t38="redundancy")[0]
    assert not result["ok"] and result["sip"] == 486, result
    assert "status=486 by [limits] sessions_per_source" in gateway.log()
    other = box.call(gateway, document, t38="redundancy", local_ip="127.0.0.9")[0]
    assert other["ok"], other
    assert first.wait()[0]["ok"]
    gateway.mails(2)


# ---- SIP by TCP ------------------------------------------------------------------------------------


def options_request(length=0, end="\r\n"):
    return (f"OPTIONS sip:test@gateway SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.2:5060;branch=z9hG4bK1\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:test@127.0.0.2>;tag=1\r\nTo: <sip:test@gateway>\r\n"
            f"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: {length}\r\n{end}").encode()


class Line:
    """A TCP connection to a SIP line."""

    def __init__(self, box, gateway, source=STRANGER):
        host, port = gateway.address().split(":")
        self.end = socket.socket()
        box.closers.append(self.end.close)
        self.end.bind((source, 0))
        self.end.settimeout(20)
        try:
            self.end.connect((host, int(port)))
        except ConnectionResetError:
            pass  # closed before we knew that it was open

    def send(self, octets):
        self.end.sendall(octets)

    def answers(self, count=1):
        """That many answers came."""
        octets = b""
        while octets.count(b"SIP/2.0 200") < count:
            more = self.end.recv(4000)
            assert more, f"closed after {octets!r}"
            octets += more
        return True

    def is_open(self):
        self.end.settimeout(0)
        try:
            return self.end.recv(4000) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self.end.settimeout(20)

    def is_closed_within(self, seconds):
        wait_for("the connection is closed", lambda: not self.is_open(), seconds)


@sanitized
@timeout(120)
def test_messages_by_tcp(box):
    """Messages in pieces, two at once, empty lines; and what is none ends the connection."""
    gateway = box.gateway()
    line = Line(box, gateway)
    for octet in options_request():
        line.send(bytes([octet]))
    assert line.answers()
    line.send(options_request() + options_request(4) + b"body" + options_request()[:50])
    assert line.answers(2)
    line.send(options_request()[50:])
    assert line.answers()
    line.send(b"\r\n" * 5000)  # a keep-alive of RFC 5626, too often
    assert line.end.recv(10) == b"\r\n"
    line.send(options_request())
    assert line.answers()
    for wrong in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
                  b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n",
                  b"a " * 4096,
                  options_request(999999999),
                  options_request(-1),
                  options_request()[:-2] + b"X: " + b"x" * 9000 + b"\r\n\r\n",
                  options_request()[:-2] + b"a:b\r\n" * 1000 + b"\r\n",
                  options_request().replace(b"Content-Length: 0\r\n", b"")):
        line = Line(box, gateway)
        try:
            line.send(wrong)
        except OSError:
            continue  # closed while we were talking
        line.is_closed_within(10)
    assert "what is no SIP message is dropped" in gateway.log()
    assert gateway._answers()


@timeout(150)
def test_connections_that_bring_nothing(box):
    """Silence, empty lines, and a request that does not end, octet by octet."""
    gateway = box.gateway()
    silent, lines, slow = (Line(box, gateway) for _ in range(3))
    good = Line(box, gateway)
    good.send(options_request())
    assert good.answers()
    begun = time.monotonic()
    request = options_request(end="X: " + "x" * 200)
    for octet in request:
        if not slow.is_open():
            break
        try:
            slow.send(bytes([octet]))
            lines.send(b"\r\n")
        except OSError:
            break
        time.sleep(0.25)
    assert not slow.is_open() and time.monotonic() - begun >= 9
    assert silent.is_open()
    silent.is_closed_within(60)
    lines.is_closed_within(60)
    assert time.monotonic() - begun >= 29
    assert good.is_open()
    good.send(options_request())
    assert good.answers()
    for words in ("connections ended that brought no message",
                  "connections ended in the middle of a message"):
        assert words in gateway.log(), words


@timeout(150)
def test_too_many_connections(box):
    gateway = box.gateway(settings={"line trunk": {"t38": "accept"},
                                    "limits": {"connections": "40", "connections_per_source": "10",
                                               "requests": "1000"}})
    document = box.document(**SHORT)
    mine = [Line(box, gateway) for _ in range(30)]
    wait_for("twenty are refused", lambda: sum(line.is_open() for line in mine) == 10)
    assert "connections refused: [limits] connections_per_source" in gateway.log()
    # Silent ones of many addresses take all places, and real callers take them from these.
    silent = [Line(box, gateway, f"127.0.1.{number // 10 + 1}") for number in range(30)]
    assert sum(line.is_open() for line in mine + silent) == 40
    result = box.call(gateway, document, t38="redundancy", transport="tcp")[0]
    assert result["ok"], result
    wait_for("some had to go", lambda: sum(line.is_open() for line in mine + silent) < 40)
    assert "idle connections ended, others come" in gateway.log()
    # And all that may be said is held, not read: 8 kB for each at most.
    for line in mine + silent:
        if line.is_open():
            line.send(options_request()[:-2] + b"X: " + b"x" * 7000)
    good = Line(box, gateway, "127.0.0.9")
    good.send(options_request())
    assert good.answers()
    gateway.mails(1)


@timeout(120)
def test_flood_by_tcp_closes_the_connection(box):
    gateway = box.gateway(settings={"limits": {"requests": "20"}})
    line = Line(box, gateway)
    try:
        for _ in range(300):
            line.send(options_request())
    except OSError:
        pass
    line.is_closed_within(10)
    wait_for("it is told", lambda: f"flood: requests of peer={STRANGER} " in gateway.log())
    more = [Line(box, gateway) for _ in range(200)]  # connections are requests too
    wait_for("some are refused", lambda: not all(line.is_open() for line in more))
    assert gateway._answers(), "others have to suffer"


@sanitized
@timeout(120)
def test_no_descriptor_is_left(box):
    """The connection that finds none is closed, and the next one is taken when there is one."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))  # faxpostd's too
    gateway = box.gateway(settings={"limits": {"connections_per_source": "0"}})
    assert "only 100 files can be open at once" in gateway.log()
    held = [Line(box, gateway) for _ in range(80)]
    wait_for("some are refused", lambda: not all(line.is_open() for line in held))
    assert gateway._answers()
    for line in held:
        line.end.close()
    good = Line(box, gateway)
    good.send(options_request())
    assert good.answers()


# ---- media -----------------------------------------------------------------------------------------


@timeout(180)
def test_strangers_at_the_media_ports(box):
    """Fifteen packets a millisecond to each open port, and as many to closed ones: no call notices."""
    document = box.document(p=2, k="text", l=500)
    gateway = box.gateway(settings={"line trunk": {"t38": "accept"}})
    calls = [box.calling(gateway, document, t38="redundancy"),
             box.calling(gateway, document, audio="alaw")]
    wait_for("media flow", lambda: gateway.log().count(" kind=") >= 2)
    ports = re.findall(r" kind=\w+ remote=\S+ port=(\d+)", gateway.log())
    time.sleep(3)  # the callers have been heard
    floods = [Flood(box, f"127.0.0.1:{port}", kind="rtp,udptl", rate=15000,
                    **{"from": STRANGER}) for port in ports]
    floods.append(Flood(box, "127.0.0.1:" + box.media_ports(), kind="rtp,udptl", rate=15000,
                        **{"from": STRANGER}))
    results = [call.wait()[0] for call in calls]
    for flood in floods:
        assert flood.end()["sent"] > 1000
    problems = [result for result in results if not result["ok"]]
    assert not problems or gateway.stood_still(), problems
    assert "flood: packets of strangers come to the media port" in gateway.log()


@sanitized
@timeout(60)
def test_caller_who_sends_too_much(box):
    """Packets of media above the limits are dropped and counted, and the call goes on."""
    gateway = box.gateway(settings={"line trunk": {"t38": "never"},
                                    "limits": {"media_packets": "100"}})
    end = Phone.open(box)
    phone = Phone(box, gateway.address(), end.getsockname())
    assert phone.hears(end)
    for number in range(2000):
        end.sendto(b"\x80\x08" + number.to_bytes(2, "big") + (number * 160).to_bytes(4, "big") +
                   b"mine" + b"\xd5" * 160, phone.media)
        if number % 20 == 0:
            time.sleep(0.01)
    assert phone.hears(end)
    phone.hang_up()
    gateway.wait_idle()
    surplus = re.search(r"call ended .* surplus=(\d+)", gateway.log())
    assert surplus and int(surplus.group(1)) > 500, gateway.log()[-2000:]
    assert gateway.log().count("[limits] media_packets, media_bytes") == 1
