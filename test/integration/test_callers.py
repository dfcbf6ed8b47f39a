# SPDX-License-Identifier: MIT
"""Who may call: [line] allow and deny, and [limits] requests."""

import random
import socket
import time

from harness import timeout, wait_for

SHORT = {"p": 1, "k": "text", "l": 300}


def invite(peer, port, to):
    return (f"INVITE sip:5552100@127.0.0.1:{to} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {peer}:{port};branch=z9hG4bK{random.getrandbits(60):x};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:5559999@{peer}>;tag={random.getrandbits(32):x}\r\n"
            f"To: <sip:5552100@127.0.0.1>\r\nCall-ID: {random.getrandbits(64):x}\r\n"
            f"CSeq: 1 INVITE\r\nContact: <sip:5559999@{peer}:{port}>\r\n"
            f"Content-Length: 0\r\n\r\n").encode()


def statuses(client):
    """Numbers of all final replies that have come."""
    found = []
    client.settimeout(0.5)
    try:
        while True:
            code = int(client.recv(4000).split(b" ", 2)[1])
            if code >= 200:
                found.append(code)
    except OSError:
        return found


@timeout(180)
def test_allow_and_deny(box):
    document = box.document(**SHORT)
    gateway = box.gateway(settings={"line trunk": {"allow": "555*, 198.51.100.0/24",
                                                   "deny": "5556*, 192.0.2.0/24"}})
    for number, status in (("5556000", 603), ("5566000", 603), ("anonymous", 603)):
        result = box.call(gateway, document, **{"from": number}, t38="redundancy")[0]
        assert not result["ok"] and result["sip"] == status, result
        assert f'caller="{number}" status={status} by [line] allow and deny' in gateway.log()
    assert not gateway.incoming()
    result = box.call(gateway, document, **{"from": "5555000"}, t38="redundancy")[0]
    assert result["ok"], result
    # A reload lets others in.
    gateway.sections["line trunk"]["deny"] = "127.0.0.0/8"
    gateway.write_settings()
    gateway.reload()
    wait_for("the settings are in force", lambda: "reload done" in gateway.log())

    def refused():
        result = box.call(gateway, document, **{"from": "5555000"}, t38="redundancy")[0]
        return not result["ok"] and result["sip"] == 403
    wait_for("the address is refused", refused, 60)
    gateway.mails(1)


@timeout(180)
def test_flood_of_one_address(box):
    """Beyond [limits] requests nothing is answered, and others do not notice."""
    gateway = box.gateway(settings={"limits": {"requests": "20"},
                                    "line trunk": {"deny": "5559*"}})
    port = int(gateway.address().rsplit(":", 1)[1])
    document = box.document(**SHORT)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.2", 0))
        for i in range(1000):
            client.sendto(invite("127.0.0.2", client.getsockname()[1], port),
                          ("127.0.0.1", port))
            if i % 50 == 0:
                time.sleep(0.01)
        answered = statuses(client)
    assert set(answered) == {603}, set(answered)
    assert 20 * 5 <= len(answered) < 600, len(answered)
    wait_for("the flood is told", lambda: "flood: requests of peer=127.0.0.2" in gateway.log())
    result = box.call(gateway, document, t38="redundancy")[0]
    assert result["ok"], result
    gateway.mails(1)


def test_lists_are_checked(box):
    gateway = box.gateway(answers=False)
    gateway.sections["line trunk"]["deny"] = "192.0.2.0/99"
    gateway.write_settings()
    gateway.reload()
    wait_for("it is told", lambda: "is no list of networks and numbers" in gateway.log())
