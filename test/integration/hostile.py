# SPDX-License-Identifier: MIT
"""What strangers may send, and what must become of it: scripts for faxcall (faxcall_script.c says how
they are written), far ends that play them, and a judge who reads the log. All of it comes in at once,
run() by run(): it ends, the log tells how, and ordinary calls on the same process do not notice.
test_hostile.py runs it in short, test/campaign-hostile at length."""

import json
import os
import random
import re
import subprocess

from crash import roles
from harness import REPORTS, tool, wait_for
from test_calls import WAYS, judge as judge_good, lines, place

DCS = "v21 ff1383 00 62f844; wait 100; tcf; expect CFR 25000; wait 300"  # V.17 14400, ECM, T.6
PLAIN_DCS = "v21 ff1383 00 6278; wait 100; tcf; expect CFR 25000; wait 300"  # T.4 1-D, no ECM
START = "dis; " + DCS
PLAIN = "dis; " + PLAIN_DCS
PAGE = "fcd 0 4 35 256; rcp; wait 100"  # 35: some rows
PPS = "v21 ff13bf 2e 00 00 03"  # PPS-EOP of page 0, block 0, four frames
MORE = "v21 ff13bf 4e 00 00 03"  # PPS-MPS
WELL = f"{PAGE}; {PPS}; expect MCF 25000; wait 100; v21 ff13fb; wait 300"
FORGED = ("dcs-width", "dcs-rate", "dcs-long", "fcd-short", "fcd-rows", "pps-short", "ctc-short",
          "ctc-rate", "eor-short")
FULL = {"p": 1, "k": "dense", "l": 80}  # enough octets for more rows than a page may have
MEMORY_MB = 300  # 106 were seen
DCN = "v21 ff13fb; wait 300"
ROWS = "why=\"a page is longer than limits.rows allows\""
NO_CONTENT = "why=\"the sender ended a page that had no content\""


def dropped(why):
    return f"last=\"{why}\""


# The waits are long because a machine may be slow; on a fast one nothing waits for them.
# name, script, what is heard at the end, verdict, what stands in the log of the call.
# WELL behind a frame means: it was as if the frame had been damaged on the line.
KNOWN = [
    ("FCD of 3 octets", f"{START}; image ff0306; {WELL}", "MCF", "complete",
     dropped("FCD of a wrong length")),
    ("FCD of 4 octets", f"{START}; image ff030600; {WELL}", "MCF", "complete",
     dropped("FCD of a wrong length")),
    ("FCD of 2 octets", f"{START}; image ff03; {WELL}", "MCF", "complete",
     dropped("frame of a wrong length")),
    ("FCD of 3 octets by V.21", f"{START}; v21 ff0306; {WELL}", "MCF", "complete",
     dropped("FCD of a wrong length")),
    ("FCD of 261 octets", f"{START}; image ff0306 00*258; {WELL}", "MCF", "complete", ""),
    ("FCD of 1500 octets", f"{START}; image ff0306 00*1497; {WELL}", "MCF", "complete", ""),
    ("nothing but FCD of 3 octets", f"{START}; mark; image ff0306; again 300; rcp; {PPS}; answer 25000;"
     f" {DCN}", "PPR", "empty", dropped("FCD of a wrong length")),
    ("DCS with both width bits", "dis; v21 ff1383 00 62fb44; tcf; answer 25000", "DCN", "empty",
     'why="DCS with an impossible width"'),
    ("DCS with both width bits, later", f"{START}; v21 ff1383 00 62fb44; tcf; answer 25000", "DCN",
     "empty", 'why="DCS with an impossible width"'),
    ("DCS of 26 octets", f"dis; v21 ff1383 00 62f8c4 80*19 00; {DCS}; {WELL}", "MCF", "complete",
     dropped("DCS of a wrong length")),
    ("DCS of 100 octets", f"dis; v21 ff1383 00 62f8c4 80*94; {DCS}; {WELL}", "MCF", "complete",
     dropped("DCS of a wrong length")),
    ("DCS of 250 octets", f"dis; v21 ff1383 00 62f8c4 ff*244; {DCS}; {WELL}", "MCF", "complete",
     dropped("DCS of a wrong length")),
    ("DCS of an unknown rate", "dis; v21 ff1383 00 7ef844; tcf; answer 25000", "DCN", "empty",
     'why="DCS with an unknown rate"'),
    ("DCS for T.85", "dis; v21 ff1383 00 62f8c4 80*5 20; tcf; answer 25000", "DCN", "empty",
     'why="DCS asks for what was not offered"'),
    ("T.6 without ECM", "dis; v21 ff1383 00 62f840; tcf; answer 25000", "DCN", "empty",
     'why="DCS asks for T.6 without error correction"'),
    ("CTC of an unknown rate", f"{START}; v21 ff1313 00 3c; {WELL}", "MCF", "complete",
     dropped("malformed CTC")),
    ("CTC of 3 octets", f"{START}; v21 ff1313; {WELL}", "MCF", "complete",
     dropped("malformed CTC")),
    ("CTC of 4 octets", f"{START}; v21 ff131300; {WELL}", "MCF", "complete",
     dropped("malformed CTC")),
    ("PPS of 3 octets", f"{START}; {PAGE}; v21 ff13bf; wait 3000; {PPS}; expect MCF 25000; {DCN}",
     "MCF", "complete", dropped("malformed PPS")),
    ("PPS of 6 octets", f"{START}; {PAGE}; v21 ff13bf2e0000; wait 3000; {PPS}; expect MCF 25000; {DCN}",
     "MCF", "complete", dropped("malformed PPS")),
    ("PPS of 6 octets, and silence", f"{START}; {PAGE}; v21 ff13bf2e0000; silence", "", "empty",
     dropped("malformed PPS")),
    ("EOR of 3 octets", f"{START}; v21 ff13cf; {WELL}", "MCF", "complete",
     dropped("malformed EOR")),
    ("one block of T.6 rows without content", f"{START}; fcd 0 256 ff 256; rcp; wait 100;"
     " v21 ff13bf 2e 00 00 ff; answer 25000", "DCN", "empty", ROWS),
    ("T.6 rows without content, block by block", f"{START}; " + "; ".join(
        f"fcd 0 4 ff 256; rcp; wait 100; v21 ff13bf 00 00 {block:02x} 03; answer 25000"
        for block in range(8)), "DCN", "empty", ROWS),
    ("a block of such rows, and a hang-up", f"{START}; fcd 0 256 ff 256; rcp; wait 300", "CFR",
     "empty", 'why="the caller hung up"'),
    ("a block of such rows, and silence", f"{START}; fcd 0 256 ff 256; rcp; silence", "", "empty",
     ""),
    ("rows without content, no ECM", f"{PLAIN}; octets 0010*60000; v21 ff132f; answer 25000", "",
     "empty", ""),
    ("PPS-EOP repeated", f"{START}; {PAGE}; {PPS}; expect MCF 25000; wait 500; {PPS}; expect MCF 25000;"
     f" wait 500; {PPS}; expect MCF 25000; {DCN}", "MCF MCF MCF", "complete", ""),
    ("an ECM page without a row", f"{START}; image ff030600 000880 00*253; rcp; wait 100;"
     " v21 ff13bf 2e 00 00 00; answer 25000", "DCN", "empty", NO_CONTENT),
    ("a first page that calls itself 255", f"{START}; {PAGE}; v21 ff13bf 2e ff 00 03; answer 25000",
     "DCN", "empty", NO_CONTENT),
    ("EOP without a page", f"{PLAIN}; v21 ff132f; answer 25000; {DCN}", "RTN", "empty", ""),
    ("PPS without a page", f"{START}; v21 ff13bf 2e 00 00 00; answer 25000; {DCN}", "PPR", "empty",
     ""),
    ("DCS before our DIS", f"v21 ff1383 00 62f844; wait 100; tcf; {START}; {WELL}", "MCF",
     "complete", dropped("DCS before our DIS")),
    ("CTC without end", f"{START}; mark; v21 ff1313 00 20; wait 300; again 60; {DCN}", "", "empty",
     ""),
    ("RR without end", f"{START}; mark; v21 ff136f; wait 300; again 60; {DCN}", "", "empty", ""),
    ("RNR without end", f"{START}; mark; v21 ff13ed; wait 300; again 60; {DCN}", "", "empty", ""),
    ("nothing at all", "silence", "", "empty", ""),
    ("nothing after DIS", "dis; silence", "", "empty", ""),
    ("nothing after CFR", f"{START}; silence", "", "empty", ""),
    ("half a page, then nothing", f"{START}; fcd 0 2 35 256; silence", "", "empty", ""),
    ("nothing after the page", f"{START}; {PAGE}; {MORE}; expect MCF 25000; silence", "", "partial",
     ""),
    ("nothing after the last page", f"{START}; {PAGE}; {PPS}; expect MCF 25000; silence", "MCF",
     "complete", ""),
    ("a V.21 frame without an end", "dis; ind 3; mark; ifp c0 01 40 00 7f 55*128; again 400; silence",
     "", "empty", ""),
    ("training without an end", "dis; v21 ff1383 00 62f844; octets- 00*60000; silence", "", "empty",
     ""),
    ("indicators without end", "dis; mark; ind 3; wait 40; ind 0; wait 40; again 200; silence", "",
     "empty", ""),
    ("every indicator", "dis; " + "; ".join(f"ind {n}" for n in range(40)) + f"; {DCS}; {WELL}",
     "MCF", "complete", ""),
    ("IFP packets of one octet", "dis; " + "; ".join(f"ifp {n:02x}" for n in range(256)) +
     "; silence", "", "", ""),
    ("IFP packets of two octets", "dis; " + "; ".join(f"ifp c0{n:02x}" for n in range(256)) +
     "; silence", "", "", ""),
    ("IFP with fields that are not there", "dis; ifp c0ff; ifp c01f40ffff; ifp c00140ffff00;"
     f" ifp 80; ifp c0; ifp 00; ifp ff*200; wait 500; {DCS}; {WELL}", "", "", ""),
    ("UDPTL without anything", "dis; udptl 00; udptl 0000; udptl 000000; udptl ffff00; udptl 0001;"
     f" udptl 000001; udptl 00000100; {DCS}; {WELL}", "MCF", "complete", ""),
    ("UDPTL that says more than it holds", "dis; udptl 0005ff; udptl 00057f00; udptl 0005bfff;"
     " udptl 0005c1; udptl 000501060000ff; udptl 000501060080ffff; udptl 00050106008003ff;"
     f" udptl 000501068001ff; {DCS}; {WELL}", "", "", ""),
    ("UDPTL numbers that jump", "dis; " + "; ".join(
        f"udptl {n:04x}010600" for n in (0x8000, 0, 0xffff, 0x7fff, 0x4000, 5)) +
     f"; {DCS}; wait 500; {DCN}", "", "", ""),
    ("UDPTL with FEC of nothing", "dis; " + "; ".join(
        f"udptl {n:04x}01068001{span:02x}01{count:02x}00*4" for n, span, count in
        ((300, 1, 1), (301, 0, 1), (302, 255, 255), (303, 3, 0), (304, 127, 127))) +
     f"; {DCS}; wait 500; {DCN}", "", "", ""),
]


def truncated(chance, share=1.0):
    """Frames of every control field, cut at every length from 0 to 40, in three phases of a call;
    the order of lengths is left to chance, for some end the call."""
    scripts = []
    for phase, start in (("B", "dis"), ("C", START),
                         ("D", f"{START}; {PAGE}; {MORE}; expect MCF 25000; wait 300")):
        for fcf in range(0, 256, 2):
            if chance.random() >= share:
                continue
            fcf |= chance.random() < 0.5  # the X bit
            lengths = list(range(41))
            chance.shuffle(lengths)
            steps = [start]
            for length in lengths:
                fill = [chance.randrange(256) for _ in range(37)] if chance.random() < 0.5 else \
                    [chance.choice((0x00, 0xff))] * 37
                frame = bytes([0xff, chance.choice((0x13, 0x13, 0x03)), fcf] + fill)[:length]
                kind = "image" if phase != "B" and chance.random() < 0.3 else "v21"
                steps.append(f"{kind} {frame.hex()}; wait {chance.choice((0, 20, 60, 60))}")
            steps.append(chance.choice(("silence", DCN, "answer 4000")))
            scripts.append((f"{fcf:02x} cut, phase {phase}", "; ".join(steps), "", "", ""))
    return scripts


def noise(chance, count):
    scripts = []
    for number in range(count):
        start = chance.choice(("dis", START, PLAIN, f"{START}; {PAGE}; {MORE}; expect MCF 25000"))
        parts = [f"noise {chance.choice(('ifp', 'udptl', 'v21', 'image'))} {chance.randrange(1, 60)};"
                 f" wait {chance.choice((0, 100, 1000))}" for _ in range(chance.randrange(1, 6))]
        end = chance.choice(("silence", DCN, PPS + "; answer 3000", WELL))
        scripts.append((f"noise {number}", "; ".join([start, *parts, end]), "", "", ""))
    return scripts


# ---- far ends --------------------------------------------------------------------------------------


class Scripts:
    """Plays scripts, each in a call of its own, many at once. Caller's numbers are prefix and four
    digits."""

    def __init__(self, box, gateway, line, scripts, prefix, seed=1, concurrent=100, timeout=150):
        self.scripts, self.prefix = scripts, prefix
        stem = box.path(f"scripts-{prefix}")
        self.results_path = stem + ".json"
        with open(stem, "w") as file:
            for name, script, *_ in scripts:
                assert ":" not in name and "\n" not in name + script
                file.write(f"{name}: {script}\n")
        self.output = open(stem + ".log", "w+")
        self.process = subprocess.Popen(
            [tool("faxcall"), "--scripts", stem, "--to", f"sip:5552100@{gateway.address(line)}",
             "--from", prefix, "--json", self.results_path, "--seed", str(seed), "--timeout",
             str(timeout), "--rate", "40", "--concurrent", str(concurrent)],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)
        box.closers.append(self.end)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()

    def wait(self, seconds=300):
        """Results by caller's number."""
        self.process.wait(seconds)
        self.output.seek(0)
        text = self.output.read()
        assert self.process.returncode in (0, 1) and not REPORTS.search(text), text[-3000:]
        with open(self.results_path) as file:
            results = [json.loads(line) for line in file]
        assert len(results) == len(self.scripts), f"{len(results)} results"
        return {result["caller"]: result for result in results}


def forged(box, gateway, media, prefix):
    """A fax machine of which one kind of frame is forged, for each kind."""
    document = box.document(f"forged-{prefix}.tif", **FULL)
    line = "never" if "audio" in media else "accept"
    return [box.calling(gateway, document, line=line, forge=kind, timeout=140, station=kind,
                        **{"from": f"{prefix}{number:04d}"}, **media)
            for number, kind in enumerate(FORGED, 1)]


def mutated(box, gateway, prefix, calls, seed):
    """Fax machines whose packets are damaged, none of which hangs up."""
    document = box.document(f"mutated-{prefix}.tif", p=2, k="text", l=200)
    ways = [{"mutate_ifp": share, "no_ecm": no_ecm, "t38": "redundancy"}
            for share in ("0.1%", "1%", "3%", "10%") for no_ecm in (False, True)]
    ways += [{"mutate_udptl": share, "t38": how}
             for share in ("3%", "30%") for how in ("redundancy", "fec")]
    far = []
    for number, way in enumerate(ways):
        way = {key: value for key, value in way.items() if value is not False}
        far.append(box.calling(gateway, document, line="accept", calls=calls, rate=1, concurrent=3,
                               timeout=150, hangup="none", seed=seed % 1000000 + number,
                               **{"from": f"{prefix}{number:04d}"}, **way))
    return far


# ---- the log ---------------------------------------------------------------------------------------


def ends(log):
    """For each caller's number what the log says about the call's frames and end, and its verdict."""
    faxes = dict(re.findall(r"info receive: call fax=(\S+) .*caller=\"?(\+?\d+)", log))
    told = {}
    for fax, text in re.findall(r"frames dropped fax=(\S+) (.*)", log):
        told[fax] = text
    over = {}
    for fax, text in re.findall(r"call ended fax=(\S+) (.*)", log):
        over.setdefault(faxes.get(fax, "?"), []).append(text + " " + told.get(fax, ""))
    return over


def judge_scripts(far, over):
    """What is wrong with the calls of one Scripts."""
    results = far.wait()
    problems = []
    for number, (name, _, heard, verdict, says) in enumerate(far.scripts, 1):
        caller = f"{far.prefix}{number:04d}"
        result, end = results[caller], over.get(caller, [])
        if not result["ok"] or len(end) != 1:
            problems.append(f"{name}: {result}, ended {len(end)} times")
        elif not result["heard"].endswith(heard):
            problems.append(f"{name}: heard {result['heard']}, not {heard}; {end[0]}")
        elif verdict and f"verdict={verdict} " not in end[0] or says not in end[0]:
            problems.append(f"{name}: {end[0]}, not {verdict} {says}; heard {result['heard']}")
    return problems


def judge_forged(calls, over):
    """No forged page was confirmed, and each call ended."""
    problems = []
    for call in calls:
        result = call.wait()[0]
        end = over.get(result["caller"], [])
        if len(end) != 1 or result["pages_confirmed"] != 0:
            problems.append(f"{result}: {end}")
    return problems


def judge_mutated(calls):
    return [f"not ended by the gateway: {result}" for call in calls for result in call.wait()
            if result["error"] == "timed out"]


# ---- the process -----------------------------------------------------------------------------------


class Receiver:
    """The receive role: the same process from begin to end, and not grown."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.pid = roles(gateway.process.pid)["receive"]
        self.files = self.count_files()

    def count_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def peak_mb(self):
        """The most memory that it had so far."""
        with open(f"/proc/{self.pid}/status") as file:
            return int(re.search(r"VmHWM:\s+(\d+)", file.read()).group(1)) // 1024

    def is_sanitized(self):
        """Sanitizers need memory of their own."""
        with open(f"/proc/{self.pid}/maps") as file:
            return re.search(r"lib[at]san", file.read()) is not None

    def is_alive(self):
        return roles(self.gateway.process.pid).get("receive") == self.pid


# ---- all at once -----------------------------------------------------------------------------------


def settings_of(box):
    """Impatient, so that what must be ended by a limit is over soon."""
    settings = {**lines(box), "limits": {"stall": "20s", "session_seconds": "150", "sessions": "400",
                                         "drain": "10s"}}
    settings["line accept"]["media_ports"] = box.media_ports()
    return settings


def run(box, gateway, seed, share=0.1, noises=30, damaged=2):
    """One round of strangers beside ordinary calls. Gives what there is to say about it."""
    chance = random.Random(seed)
    receiver = Receiver(gateway)
    begun = len(gateway.log())
    prefix = f"+1{chance.randrange(1000, 9000)}"
    far = [Scripts(box, gateway, "accept", scripts, prefix + digit, seed % 1000000, concurrent)
           for scripts, digit, concurrent in ((KNOWN, "1", 100),
                                              (truncated(chance, share), "2", 50),
                                              (noise(chance, noises), "3", 30))]
    machines = forged(box, gateway, {"audio": "alaw"}, prefix + "4")
    machines += forged(box, gateway, {"t38": "redundancy"}, prefix + "5")
    broken = mutated(box, gateway, prefix + "6", damaged, seed)
    good = place(box, gateway, [WAYS[0], WAYS[1], WAYS[6], WAYS[9]])
    for calls in (*broken, *machines, *far):
        calls.wait()
    wait_for("all calls are over", lambda: not gateway.faxpost("status")["calls"], 60)
    gateway.wait_idle(60)
    log = gateway.log()[begun:]
    assert receiver.is_alive(), "the receive role died:\n" + log[-3000:]
    over = ends(log)
    problems = [p for scripts in far for p in judge_scripts(scripts, over)]
    problems += judge_forged(machines, over) + judge_mutated(broken)
    assert not problems, f"{len(problems)} problems, seed {seed}\n" + "\n".join(problems[:20])
    judge_good(good, gateway)
    for path in gateway.mail_paths():
        os.remove(path)  # the next round has the same callers
    assert receiver.count_files() <= receiver.files + 4, "descriptors are left"
    if not receiver.is_sanitized():
        assert receiver.peak_mb() < MEMORY_MB, f"{receiver.peak_mb()} MB"
    return (f"seed {seed}: {log.count('call ended fax=')} calls, {log.count('frames dropped')} with "
            f"frames dropped, {receiver.peak_mb()} MB at most")
