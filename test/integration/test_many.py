# SPDX-License-Identifier: MIT
"""Twenty calls at once: each page identical, each mail exactly once."""

import time

import postfix
from harness import Mail, Skip, alone, images, timeout, wait_for

CALLS = 20


def place(box, gateway):
    """Twenty documents, half by T.38, half by audio; gives caller's number → its images. They are
    placed a second time if the machine stood still: live audio bears no gap."""
    for prefix in ("+1666", "+1555"):
        sent, calls = {}, []
        for number in range(CALLS):
            caller = f"{prefix}{number:04d}"
            document = box.document(f"sent{caller}.tif", p=2, k="text", l=700, s=number + 100)
            sent[caller] = images(document)
            media = {"t38": "redundancy"} if number % 2 else {"audio": "alaw"}
            calls.append(box.calling(gateway, document, **{"from": caller}, **media))
        problems = [result for call in calls for result in call.wait() if not result["ok"]]
        if not problems or not gateway.stood_still():
            break
        print("once more:", problems)
    assert not problems, problems
    return sent


def judge(mails, sent):
    """Of these callers each mail is there once, with its pages."""
    prefix = next(iter(sent))[:5]
    mails = [m for m in mails if prefix in m["Subject"]]
    assert len(mails) == CALLS, f"{len(mails)} mails"
    assert len({m["Message-ID"] for m in mails}) == CALLS
    for caller, pages in sent.items():
        found = [m for m in mails if caller in m["Subject"]]
        assert len(found) == 1, f"{len(found)} mails from {caller}"
        assert found[0].images() == pages, f"the pages from {caller} differ"


def in_mailbox(gateway):
    wait_for("the mails", lambda: len(gateway.mail_paths()) >= CALLS and not gateway.incoming(), 60)
    return gateway.mails(len(gateway.mail_paths()))


@alone
@timeout(240)
def test_twenty_calls_to_the_mailbox(box):
    gateway = box.gateway()
    sent = place(box, gateway)
    judge(in_mailbox(gateway), sent)


@alone
@timeout(240)
def test_twenty_calls_to_postfix(box):
    if not postfix.available():
        raise Skip("Postfix needs root, and test/fetch-postfix build/mta")
    server = postfix.Postfix(box.path("postfix"), box.port())
    box.closers.append(server.stop)
    server.start()
    gateway = box.gateway(servers={"server one": {
        "rank": 1, "host": "127.0.0.1", "port": server.port, "connections": 3}})
    sent = place(box, gateway)
    wait_for("twenty mails at Postfix", lambda: len(server.mails()) >= CALLS, 60)
    time.sleep(1)  # time for one too many
    mails = [Mail(octets, box.folder, str(i)) for i, octets in enumerate(server.mails())]
    judge(mails, sent)
    judge(in_mailbox(gateway), sent)  # [mail] mailbox = yes keeps a copy of each
    for mail in mails:
        assert mail["Delivered-To"] == "operator@example.com", mail["Delivered-To"]
        assert mail["Return-Path"] == "<operator@example.com>", mail["Return-Path"]
