# SPDX-License-Identifier: MIT
"""kill -9 at random moments while calls come in: every page whose MCF a far end heard is in a mail,
and no mail is there twice unless the transmission log calls it uncertain. test/campaign-crash runs
it at length, test_crash.py in short.

Callers keep calls by T.38 and audio going, each ModemCaller a soft modem; each page of each call is
like no other. Killer kills. judge() holds what the far ends have written down against the mails at
a server, which outlives it all, and in the mailbox."""

import collections
import multiprocessing.pool
import os
import random
import re
import signal
import threading
import time

import folder
from campaign import Slow, message_id
from harness import Mail, images, wait_for
from softmodem import SoftModem

TO = "user@example.com"
PAGES = (2, 7)
ROWS = (335, 360)  # at 98 dpi; with fewer, all pages of a number look the same
MEDIA = {  # ways to call, in turn
    "t38": [{"t38": "redundancy"}, {"t38": "fec", "no_ecm": True}, {"t38": "redundancy",
                                                                    "no_ecm": True}],
    "audio": [{"audio": "alaw"}, {"audio": "ulaw", "switch": "peer"}],
}
CALL_SECONDS = 150  # the most; on a busy machine a call takes longer than on a telephone
ROLES = ("receive", "deliver", "compose")
DRAIN_SECONDS = 3
# A role that is killed again and again is started again later and later, until all is begun anew.
ROLE_KILLS = 6
AIM = {  # what the log says when there is something to disturb
    "receive": re.compile(r"page stored"),
    "deliver": re.compile(r"fax taken over|mail filed|message composed"),
    "compose": re.compile(r"call ended|fax taken over"),
}


class Call:
    """What a far end did and what it heard."""

    def __init__(self, kind, caller, document):
        self.kind, self.caller, self.document = kind, caller, document
        self.ecm = True
        self.pages = images(document)
        self.confirmed, self.ok, self.error = 0, False, "under way"

    def note(self, result):
        self.confirmed, self.ok = result["pages_confirmed"], result["ok"]
        self.error = result["error"]


class World:
    """What all have in common."""

    def __init__(self, box, gateway, seed):
        self.box, self.gateway = box, gateway
        self.random = random.Random(seed)
        self.lock = threading.Lock()  # of calls and silent
        self.calls = []
        self.silent = 0  # far ends that ended without a report
        self.deaths = 0  # of the receive role so far: what was on the line then is broken
        self.over = threading.Event()

    def new_call(self, kind):
        with self.lock:
            number = len(self.calls) + 1
            self.calls.append(None)
        pages, rows = random.randint(*PAGES), random.randint(*ROWS)
        document = self.box.document(f"sent-{number}.tif", p=pages, k="text", l=rows, r=98,
                                     s=number * 100)
        call = Call(kind, f"+1700{number:07d}", document)
        with self.lock:
            self.calls[number - 1] = call
        return call

    def told(self):
        """The calls, and how many pages were confirmed."""
        with self.lock:
            calls = [c for c in self.calls if c is not None]
        return calls, sum(c.confirmed for c in calls)


# ---- far ends --------------------------------------------------------------------------------------


class Callers(threading.Thread):
    """Calls by SIP: so many of each kind at any time. One whose gateway has died under it goes on
    in vain; half of them until it notices, half until somebody presses the red button."""

    def __init__(self, world, **wanted):
        super().__init__(daemon=True)
        self.world, self.wanted = world, wanted
        self.most = 3 * sum(wanted.values())  # with those that go on in vain
        self.live = []
        self.placed = collections.Counter()
        world.box.closers.append(self.stop)

    def run(self):
        while not self.world.over.wait(0.15):
            self.look()
            kind = self.next_kind()
            if kind and len(self.live) < self.most:
                self.place(kind)

    def next_kind(self):
        there = collections.Counter(live.call.kind for live in self.live
                                    if live.deaths == self.world.deaths)
        missing = [kind for kind, count in self.wanted.items() if there[kind] < count]
        return random.choice(missing) if missing else None

    def place(self, kind):
        way = MEDIA[kind][self.placed[kind] % len(MEDIA[kind])]
        self.placed[kind] += 1
        call = self.world.new_call(kind)
        call.ecm = "no_ecm" not in way
        deaths = self.world.deaths
        caller = self.world.box.calling(self.world.gateway, call.document,
                                        **{"from": call.caller}, timeout=CALL_SECONDS, **way)
        self.live.append(Live(call, caller, deaths))

    def look(self):
        for live in self.live[:]:
            if live.caller.process.poll() is not None:
                self.live.remove(live)
                self.note(live)
            elif live.hangup_at is None and live.deaths != self.world.deaths:
                live.hangup_at = time.monotonic() + random.choice((random.uniform(0.5, 4), 1e6))
            elif live.hangup_at is not None and time.monotonic() > live.hangup_at:
                live.caller.process.send_signal(signal.SIGTERM)
                live.hangup_at = 1e12

    def note(self, live):
        try:
            live.call.note(live.caller.wait()[0])
        except AssertionError as error:
            print(f"no report: {error}")
            live.call.error = "no report"
            self.world.silent += 1
        live.caller.output.close()

    def finish(self):
        """No new calls; those under way come to their end."""
        self.join()
        wait_for("the end of the calls", lambda: self.look() or not self.live, CALL_SECONDS + 60)

    def stop(self):
        self.world.over.set()
        if self.is_alive():
            self.join()
        for live in self.live:
            if live.caller.process.poll() is None:
                live.caller.process.kill()
                live.caller.process.wait()
        self.live.clear()


class Live:
    def __init__(self, call, caller, deaths):
        self.call, self.caller, self.deaths = call, caller, deaths
        self.hangup_at = None


class ModemCaller(threading.Thread):
    """Calls one modem of the gateway, again and again; it rings until somebody answers."""

    def __init__(self, world, modem):
        super().__init__(daemon=True)
        self.world, self.modem = world, modem

    def run(self):
        while not self.world.over.wait(0.2):
            call = self.world.new_call("modem")
            ecm = random.choice(("yes", "no"))
            under_way = self.modem.calling(call.document, number=call.caller, ecm=ecm)
            try:
                call.note(under_way.wait(2 * CALL_SECONDS))
            except AssertionError as error:
                print(error)
                call.error = "no report"
                self.world.silent += 1
                return


# ---- kills -----------------------------------------------------------------------------------------


def roles(supervisor):
    """{"receive": pid, …} of the children of a supervisor that are alive."""
    found = {}
    try:
        with open(f"/proc/{supervisor}/task/{supervisor}/children") as file:
            children = file.read().split()
    except OSError:
        return found
    for pid in children:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        found.update({word[7:].decode(): int(pid) for word in words if word.startswith(b"--role=")})
    return found


class Killer:
    """quiet: seconds that calls are given, at least and at most, before the next kill that breaks
    them; deliver and compose are killed in between."""

    def __init__(self, world, quiet):
        self.world, self.gateway, self.random = world, world.gateway, world.random
        self.quiet = quiet
        self.done = collections.Counter()
        self.in_life = collections.Counter()  # of this daemon
        self.calls_die_at = self.next_death()

    def next_death(self):
        return time.monotonic() + self.random.uniform(*self.quiet)

    def kill_next(self):
        """One kill, after a pause; now and then it finds nobody to kill."""
        if time.monotonic() >= self.calls_die_at:
            self.break_calls()
            self.calls_die_at = self.next_death()
            return
        time.sleep(min(self.random.expovariate(0.8), 4))
        role = self.random.choice(("deliver", "deliver", "compose"))
        if self.in_life[role] < ROLE_KILLS:
            self.kill_role(role)

    def break_calls(self):
        """One to three kills: what died with the calls is taken over at once, a good moment."""
        tired = max(self.in_life.values(), default=0) >= ROLE_KILLS
        kind = self.random.choices(("receive", "everything", "supervisor", "stopping"),
                                   (2, 2, 1, 1) if tired else (12, 2, 1, 1))[0]
        if kind == "receive":
            self.kill_role(kind)
        else:
            self.kill_all(kind)
        for _ in range(self.random.randint(0, 2)):
            time.sleep(self.random.uniform(0, 0.8))
            self.kill_role(self.random.choice(("deliver", "compose")), aimed=False)

    def kill_role(self, role, aimed=None):
        pid = roles(self.gateway.process.pid).get(role)
        if pid is None:
            return
        if self.random.random() < 0.6 if aimed is None else aimed:
            self.aim(role)
        os.kill(pid, signal.SIGKILL)
        self.count(role)

    def aim(self, role):
        """Until there is something to disturb, but not for long; then a moment more."""
        with open(self.gateway.log_path, errors="replace") as log:
            log.seek(0, os.SEEK_END)
            until = time.monotonic() + 3
            while time.monotonic() < until and not AIM[role].search(log.read()):
                time.sleep(0.005)
        time.sleep(self.random.uniform(0, 2.5 if role == "receive" else 0.1))

    def count(self, kind):
        self.done[kind] += 1
        self.in_life[kind] += 1
        if kind not in ("deliver", "compose"):
            self.world.deaths += 1

    def kill_all(self, kind):
        """The whole group at once, or in the midst of an orderly end, or the supervisor, whose
        roles must follow; then it starts."""
        pid = self.gateway.process.pid
        left = list(roles(pid).values())
        if kind == "stopping":
            self.gateway.process.send_signal(signal.SIGTERM)
            time.sleep(self.random.uniform(0, 2 * DRAIN_SECONDS))
        if kind == "supervisor":
            os.kill(pid, signal.SIGKILL)
            self.gateway.process.wait()
        else:
            self.gateway.kill()
        self.count(kind)
        wait_for("all roles are gone", lambda: not any(map(lives, left)), 60, 0.02)
        time.sleep(self.random.uniform(0, 1))
        self.start()
        self.in_life.clear()

    def start(self):
        try:
            self.gateway.start()
        except AssertionError:
            if self.gateway.process.poll() is not None:
                raise
            wait_for("faxpostd is ready on a busy machine", self.gateway._is_ready, 200)


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


# ---- the campaign ----------------------------------------------------------------------------------


def start(box, modems):
    """A server that counts, and a gateway that sends to it and files all in its mailbox too."""
    server = Slow(box)
    settings = {"gateway": {"lock_dir": box.folder}, "limits": {"drain": f"{DRAIN_SECONDS}s"},
                "retry": {"wait": "200ms", "wait_max": "1s", "expire": "1h", "limit": 1000},
                "route all": {"called": "*", "to": TO, "attach": "tiff"}}
    for modem in modems:
        settings["line " + modem.name] = modem.settings(station="+15552000", called="5552100")
    gateway = box.gateway(servers={"server one": server.entry(1, connections=8)},
                          settings=settings)
    return gateway, server


def run(box, kills, seed, seconds=None, t38=9, audio=3, modems=2, quiet=(14, 30), say=print):
    """So many kills, or as many as fall into so many seconds. Gives what happened, in words; an
    assertion says what went wrong."""
    modems = [SoftModem(box, f"modem{number}") for number in range(1, modems + 1)]
    gateway, server = start(box, modems)
    world = World(box, gateway, seed)
    callers = Callers(world, t38=t38, audio=audio)
    modem_callers = [ModemCaller(world, modem) for modem in modems]
    for thread in [callers, *modem_callers]:
        thread.start()
    killer = Killer(world, quiet)
    kill(killer, kills, seconds, say)
    world.over.set()
    callers.finish()
    for thread in modem_callers:
        thread.join(2 * CALL_SECONDS + 60)
    settle(gateway)
    return judge(world, server, killer.done)


def kill(killer, kills, seconds, say):
    began = told = time.monotonic()
    while sum(killer.done.values()) < kills and (seconds is None or
                                                 time.monotonic() < began + seconds):
        killer.kill_next()
        if time.monotonic() > told + 15:
            told = time.monotonic()
            calls, confirmed = killer.world.told()
            say(f"{told - began:.0f} s: {sum(killer.done.values())} kills, {len(calls)} calls, "
                f"{confirmed} pages confirmed", flush=True)


def settle(gateway):
    """Nothing is under way any more, and stays so."""
    def quiet():
        status = gateway.faxpost("status", check=False)
        return status and not gateway.incoming() and not any(
            status["counts"][state] for state in ("taken", "waiting", "sending"))
    deadline = time.monotonic() + 180
    times = 0
    while times < 4:
        times = times + 1 if quiet() else 0
        assert time.monotonic() < deadline, (f"not settled: {gateway.incoming()}, "
                                             f"{gateway.faxpost('status', check=False)}")
        time.sleep(0.5)


# ---- the judgement ---------------------------------------------------------------------------------


class Arrived:
    """Mails of one place: what pages they hold and how often each is there."""

    def __init__(self, box, name, mails):
        self.count = collections.Counter()  # fax_id → mails
        self.pages = collections.defaultdict(list)  # image → callers, of each fax once
        self.most = collections.Counter()  # caller → pages of his longest fax
        once = {}
        for octets in mails:
            fax_id = message_id(octets).partition("@")[0]
            self.count[fax_id] += 1
            once[fax_id] = octets
        with multiprocessing.pool.ThreadPool(4) as pool:
            for caller, pages in pool.starmap(
                    read_mail, [(box, octets, f"{name}-{i}") for i, octets in
                                enumerate(once.values())]):
                self.most[caller] = max(self.most[caller], len(pages))
                for image in pages:
                    self.pages[image].append(caller)

    def has(self, call, number):
        """Is that page there? Without ECM a page that lost rows on the line may be confirmed too,
        and looks like none that was sent."""
        return call.pages[number - 1] in self.pages or (
            not call.ecm and self.most[call.caller] >= number)


def read_mail(box, octets, name):
    """The caller, None when the modem told him before a kill; and the pages."""
    mail = Mail(octets, box.folder, name)
    return mail["X-Faxpost-Caller"], mail.images() if mail.parts("image/tiff") else []


def judge(world, server, done):
    calls, confirmed = world.told()
    sent = {image: call.caller for call in calls for image in call.pages}
    assert len(sent) == sum(len(call.pages) for call in calls), "pages that cannot be told apart"
    places = [Arrived(world.box, "server", [octets for octets, _ in server.taken]),
              Arrived(world.box, "filed", [open(path, "rb").read() for path in
                                           world.gateway.mail_paths()])]
    missing = [f"page {number} of the {call.kind} call from {call.caller} ({call.error})"
               for call in calls for number in range(1, call.confirmed + 1)
               if not all(place.has(call, number) for place in places)]
    damaged = sum(image not in places[0].pages for call in calls if not call.ecm
                  for image in call.pages[:call.confirmed])
    twice, unexplained = doubles(world, *places)
    wrong = [f"a page of {sent[image]} is in the mail of {callers}" for place in places
             for image, callers in place.pages.items() if image in sent
             and (len(callers) > 1 or callers[0] not in (None, sent[image]))]
    text = (f"{sum(done.values())} kills ({words(done)}); {len(calls)} calls "
            f"({words(collections.Counter(c.kind for c in calls))}), "
            f"{sum(not c.ok for c in calls)} of them broken, "
            f"{sum(not c.ok and c.confirmed > 0 for c in calls)} after confirmed pages; "
            f"{confirmed} pages confirmed, {confirmed - len(missing)} found "
            f"({damaged} damaged on the line), {len(missing)} missing, "
            f"{len(wrong)} in a wrong mail; {len(places[0].count)} mails, "
            f"{len(twice)} of them twice at the server, {len(unexplained)} of these unexplained; "
            f"{world.silent} far ends without a report")
    assert not missing and not unexplained and not wrong, "\n".join(
        ["CONFIRMED PAGES LOST or there twice: " + text, *missing, *unexplained, *wrong])
    return text


def doubles(world, at_server, filed):
    """Mails that are there twice; and those of which the log knows no reason."""
    assert set(at_server.count) == set(filed.count), (
        f"mails at one place only: {set(at_server.count) ^ set(filed.count)}")
    twice = [fax_id for fax_id, count in at_server.count.items() if count > 1]
    unexplained = [fax_id for fax_id in twice if not any(
        row["result"] == "uncertain" for row in folder.rows(world.gateway, fax_id))]
    return twice, unexplained + [fax_id for fax_id, count in filed.count.items() if count > 1]


def words(counter):
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counter.items()))
