# SPDX-License-Identifier: MIT
"""Faxes without a telephone: folders as the receive role leaves them, written straight into
STATE/incoming, and the transmission log that comes of them. A call takes half a minute; this takes
milliseconds."""

import os
import random
import re
import shutil
import time

from harness import PATIENCE_SECONDS, wait_for

DIGITS = "0123456789abcdefghijklmnopqrstuv"
NOBODY = 65534  # the account of the roles
ENDS = ("done", "failed", "cancelled")


def new_fax_id():
    """As spool/fax_id.c makes them."""
    now = time.time()
    return (time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f"{int(now * 1000) % 1000:03d}-" +
            "".join(random.choice(DIGITS) for _ in range(12)))


def call_ini(fax_id, pages, **fields):
    """call.ini of a call that ended well, in the keys of spool/call_info.c."""
    now_ms = int(time.time() * 1000)
    call = {
        "fax_id": fax_id, "line": "trunk", "called": "5552100", "caller": "5551000",
        "caller_name": "", "peer": "127.0.0.1:5060", "call_ref": fax_id[-8:],
        "started_ms": now_ms - 40000, "answered_ms": now_ms - 39000, "ended_ms": now_ms,
        "media": "t38", "station": "+1 555 1000", "own_station": "+1 555 2000", "bit_rate": 14400,
        "ecm": "yes", "compression": "T.6", "pages": pages, "unconfirmed": 0, "rows": 0,
        "width": 1728, "x_per_m": 8040, "y_per_m": 7700, "verdict": "complete", "error": "",
    }
    call.update(fields)
    return "[call]\n" + "".join(f"{key} = {escape(str(value))}\n" for key, value in call.items())


def escape(text):
    octets = text.encode()
    return "".join(chr(c) if 0x20 <= c <= 0x7e and c not in b"%;#" and
                   not (c == 0x20 and i in (0, len(octets) - 1)) else f"%{c:02X}"
                   for i, c in enumerate(octets))


def pages_of(box, count=1, **options):
    """Paths of single-page documents; made once for a test."""
    options = {"k": "letter", "l": 300, "c": "t6", **options}
    stem = "page-" + "-".join(f"{k}{v}" for k, v in sorted(options.items()))
    paths = []
    for number in range(count):
        path = box.path(f"{stem}-{number}.tif")
        if not os.path.exists(path):
            box.document(os.path.basename(path), p=1, s=number + 1, **options)
        paths.append(path)
    return paths


def put(gateway, pages, **fields):
    """One fax that has just come in; fields are those of call.ini. Gives its fax_id."""
    fax_id = new_fax_id()
    incoming = os.path.join(gateway.state, "incoming")
    hidden = os.path.join(incoming, f".{fax_id}.new")
    os.mkdir(hidden, 0o700)
    for number, page in enumerate(pages, 1):
        shutil.copyfile(page, os.path.join(hidden, f"page-{number:04d}.tif"))
    with open(os.path.join(hidden, "call.ini"), "w") as file:
        file.write(call_ini(fax_id, len(pages), **fields))
    if os.geteuid() == 0:
        for name in os.listdir(hidden):
            os.chown(os.path.join(hidden, name), NOBODY, NOBODY)
        os.chown(hidden, NOBODY, NOBODY)
    os.rename(hidden, os.path.join(incoming, fax_id))
    return fax_id


def send(box, gateway, **fields):
    """One short fax."""
    return put(gateway, pages_of(box), **fields)


# ---- what becomes of it ----------------------------------------------------------------------------


def rows(gateway, fax_id=None):
    """The transmission log, or the part of one fax."""
    only = ["--fax", fax_id] if fax_id else ["--limit", "1000"]
    reply = gateway.faxpost("log", *only, check=False)
    return reply["rows"] if reply else []


def lines(gateway, fax_id):
    """The log of a fax as a test compares it: (step, server, result, reply) in few words, the reply
    from its first digit on where it has a code."""
    return [" ".join(filter(None, (r["step"], r["server"], r["result"], words(r["reply"]))))
            for r in rows(gateway, fax_id)]


def words(reply):
    """A server's reply without what differs from run to run."""
    return re.sub(r"queued as .*", "queued", reply)


def deliveries(gateway, fax_id):
    shown = gateway.faxpost("show", fax_id, check=False)
    return shown["fax"]["deliveries"] if shown and "fax" in shown else []


def ended(gateway, fax_id, seconds=PATIENCE_SECONDS):
    """Waits until every delivery of a fax has come to an end; gives their states."""
    def look():
        states = [d["state"] for d in deliveries(gateway, fax_id)]
        return states if states and all(s in ENDS for s in states) else None
    try:
        return wait_for(f"the end of {fax_id}", look, seconds, 0.02)
    except AssertionError as error:
        raise AssertionError(f"{error}; its log: {lines(gateway, fax_id)}") from None


def all_ended(gateway, count, seconds=PATIENCE_SECONDS, step=0.1):
    """Waits until so many faxes have come to an end."""
    def look():
        counts = gateway.faxpost("status", check=False)
        counts = counts["counts"] if counts else None
        return counts and counts["faxes"] >= count and not any(
            counts[state] for state in ("taken", "waiting", "sending")) and counts
    return wait_for(f"the end of {count} faxes", look, seconds, step)
