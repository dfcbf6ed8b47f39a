# SPDX-License-Identifier: MIT
"""Every call ends, as the network sees it: far ends that do not answer, hang up or acknowledge, and
those that ask in between whether the call still lives. What T.30 does for ever is shown on virtual
time by test/unit/test_ends.c."""

import re
import time

from harness import sanitized, timeout, wait_for
from test_calls import SHORT, check_mail, lines, mail_of
from test_sip import Phone


def end_of(gateway, seconds=60):
    """The log line of the one call that ended."""
    wait_for("the call ends", lambda: "call ended fax=" in gateway.log(), seconds)
    found = re.findall(r"call ended fax=.*", gateway.log())
    assert len(found) == 1, found
    return found[0]


def is_free(gateway):
    return not gateway.faxpost("status")["calls"] and not gateway.incoming()


def impatient(box, **limits):
    return {**lines(box), "limits": {"stall": "3s", "drain": "2s", **limits}}


@sanitized
@timeout(120)
def test_bye_without_an_answer(box):
    """No media come; our BYE gets no answer. The call is over at once, and so is the gateway when it
    is told to stop."""
    gateway = box.gateway(settings=impatient(box))
    end = Phone.open(box)
    phone = Phone(box, gateway.address("never"), end.getsockname())
    phone.signal.settimeout(20)
    assert phone.signal.recv(4000).startswith(b"BYE ")
    assert 'why="no media came any more"' in end_of(gateway)
    wait_for("nothing is left of it", lambda: is_free(gateway), 10)
    assert phone.signal.recv(4000).startswith(b"BYE "), "it is repeated"
    began = time.monotonic()
    gateway.stop()
    assert time.monotonic() - began < 35, "stopping took too long"


@timeout(120)
def test_200_without_an_ack(box):
    """Media come, no ACK does: whichever is first, T1 of T.30 without a fax (20 s) or 64 times T1 of
    SIP (RFC 3261 13.3.1.4)."""
    gateway = box.gateway(settings=impatient(box, stall="60s"))
    end = Phone.open(box)
    phone = Phone(box, gateway.address("never"), end.getsockname(), acknowledges=False)
    wait_for("the call ends", lambda: phone.talk(end, 25) or "call ended fax=" in gateway.log(), 60)
    assert re.search('why="(no fax was heard|the caller does not answer any more)', end_of(gateway))
    wait_for("nothing is left of it", lambda: is_free(gateway), 10)


@timeout(120)
def test_longest_call(box):
    """Media without end, and no fax in them that gets anywhere."""
    gateway = box.gateway(settings=impatient(box, stall="60s", session_seconds="10s"))
    end = Phone.open(box)
    phone = Phone(box, gateway.address("never"), end.getsockname())
    wait_for("the call ends", lambda: phone.talk(end, 25) or "call ended fax=" in gateway.log(), 60)
    assert "longer than limits.session_seconds allows" in end_of(gateway)


@timeout(120)
def test_nobody_hangs_up(box):
    """The fax is over, the far end says no BYE, or nothing more at all: we hang up."""
    gateway = box.gateway(settings=impatient(box, stall="15s"))
    document = box.document(**SHORT)
    calls = [(caller, box.calling(gateway, document, line=line, timeout=90, hangup=hangup,
                                  **{"from": caller}, **media))
             for line, media in (("accept", {"t38": "redundancy"}), ("never", {"audio": "alaw"}))
             for hangup, caller in (("none", f"+1777{line[0]}1"), ("silent", f"+1777{line[0]}2"))]
    for _, call in calls:
        result = call.wait()[0]
        assert result["ok"] and result["pages_confirmed"] == 2, result
    wait_for("the log tells", lambda: gateway.log().count("call ended fax=") == len(calls), 30)
    assert len(re.findall(r"call ended fax=.* verdict=complete pages=2 ", gateway.log())) == 4
    wait_for("nothing is left of them", lambda: is_free(gateway), 30)
    gateway.mails(len(calls))


@sanitized
@timeout(180)
def test_session_refresh(box):
    """The caller asks every other second whether the call lives, as it would after half an hour."""
    gateway = box.gateway(settings=lines(box))
    calls = []
    for number, (line, media) in enumerate((
            ("accept", {"t38": "redundancy"}), ("never", {"audio": "alaw"}),
            ("ask", {"audio": "alaw", "switch": "peer", "expect": "t38"}))):
        for by in ("invite", "update"):
            caller = f"+1888{number}{by == 'update':d}"
            document = box.document(f"sent{caller}.tif", **dict(SHORT, s=number + 1))
            calls.append((caller, document, box.calling(
                gateway, document, line=line, refresh=2, refresh_by=by, **{"from": caller},
                **media)))
    results = [call.wait()[0] for _, _, call in calls]
    assert all(r["ok"] and not r["error"] for r in results), results
    assert "re-INVITE refused" not in gateway.log()
    mails = gateway.mails(len(calls), 60)
    for caller, document, _ in calls:
        check_mail(mail_of(mails, caller), document)


@timeout(60)
def test_refresh_of_an_unknown_call(box):
    """Who is told that we do not know it can give the call up."""
    gateway = box.gateway(settings=lines(box))
    phone = Phone(box, gateway.address("never"), Phone.open(box).getsockname())
    phone.send("UPDATE", 2)
    assert phone.final().startswith("SIP/2.0 200")
    phone.call_id += "0"
    phone.send("UPDATE", 3)
    assert phone.final().startswith("SIP/2.0 481")
    phone.call_id = phone.call_id[:-1]
    phone.send("BYE", 4)
    assert phone.final().startswith("SIP/2.0 200")
