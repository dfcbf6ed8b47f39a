#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py [--jobs N] [--marked] [--list] [NAME...]: runs the integration tests of a build.

Every test_* function of test_*.py runs in a process and a folder of its own, several at once, since
they mostly wait; @alone ones run one after the other at the end. NAME is part of a test's name.
BUILD_DIR says where the programs are. Runs with the same TEST_LOCK, a file, respect each other's
@alone tests. Folders of failed tests are kept. The last line is "N passed, N failed"."""

import argparse
import fcntl
import glob
import importlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import harness  # noqa: E402


def discover(noun="*"):
    """All test functions, or those of one file, in the order of files and lines."""
    tests = []
    for path in sorted(glob.glob(os.path.join(HERE, f"test_{noun}.py"))):
        module = importlib.import_module(os.path.basename(path)[:-3])
        functions = [f for n, f in vars(module).items() if n.startswith("test_") and callable(f)]
        tests += sorted(functions, key=lambda f: f.__code__.co_firstlineno)
    return tests


def name_of(test):
    return test.__module__[5:] + ":" + test.__name__[5:]


def run_one(name, folder):
    """The body of a child: one test, its outcome as the exit code."""
    test = next(t for t in discover(name.partition(":")[0]) if name_of(t) == name)
    box = harness.Box(folder)
    try:
        test(box)
        status = 0
    except harness.Skip as reason:
        print(reason)
        status = 77
    except BaseException:
        traceback.print_exc()
        status = 1
    try:
        box.close()
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


class Child:
    """A running test."""

    def __init__(self, test, top):
        self.test = test
        self.name = name_of(test)
        self.folder = os.path.join(top, self.name.replace(":", "-"))
        if os.path.exists(self.folder):
            self.folder += "-again"
        os.mkdir(self.folder, 0o755)
        self.mark = f"{os.getpid()}-{self.name}-{random.getrandbits(32):08x}"
        self.began = time.monotonic()
        self.output = os.path.join(self.folder, "output")
        environment = dict(os.environ, FAXPOST_TEST_ID=self.mark, PYTHONDONTWRITEBYTECODE="1")
        with open(self.output, "w") as output:
            self.process = subprocess.Popen(
                [sys.executable, os.path.abspath(__file__), "--one", self.name, self.folder],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
                start_new_session=True)
        scale = float(os.environ.get("TEST_TIME_SCALE", "1"))
        self.deadline = self.began + harness.attribute(test, "timeout", 120) * scale

    def poll(self):
        """None while it runs, else (outcome, text)."""
        status = self.process.poll()
        late = status is None and time.monotonic() > self.deadline
        if status is None and not late:
            return None
        if late:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
        left = self.clean_up()
        try:
            with open(self.output, errors="replace") as file:
                text = file.read()
        except OSError as error:
            return "FAIL", f"its folder was removed by somebody: {error}\n"
        if late:
            return "FAIL", text + f"still running after {self.deadline - self.began:.0f} s\n"
        if left and status == 0:
            return "FAIL", text + "left processes behind: " + ", ".join(left) + "\n"
        return {0: "PASS", 77: "SKIP"}.get(status, "FAIL"), text

    def clean_up(self):
        """Ends every process that carries the mark of this test; says which there were."""
        left = []
        for entry in glob.glob("/proc/[0-9]*"):
            try:
                with open(entry + "/environ", "rb") as file:
                    if f"FAXPOST_TEST_ID={self.mark}".encode() not in file.read().split(b"\0"):
                        continue
                with open(entry + "/cmdline", "rb") as file:
                    left.append(file.read().replace(b"\0", b" ").decode(errors="replace"))
                os.kill(int(entry[6:]), signal.SIGKILL)
            except OSError:
                pass
        return left


class Lock:
    """Held together by the runs that go on beside each other, by one of them for tests alone."""

    def __init__(self):
        path = os.environ.get("TEST_LOCK")
        self.file = open(path, "w") if path else None
        self.take(fcntl.LOCK_SH)

    def take(self, kind):
        if self.file:
            fcntl.flock(self.file, kind)


def run_all(tests, jobs, top):
    """Gives the counts of outcomes. Calls are live, and a shared machine may stand still in the
    middle of one: a test that fails is shown as AGAIN and has one more try, alone. What a
    sanitizer reports has none, nor a page that was lost."""
    counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}
    waiting = [t for t in tests if not harness.attribute(t, "alone", False)]
    waiting.sort(key=lambda t: -harness.attribute(t, "timeout", 120))  # the long ones first
    alone = [t for t in tests if harness.attribute(t, "alone", False)]
    running = []
    tried = set()
    lock = Lock()
    signal.signal(signal.SIGTERM, lambda *_: give_up(running))
    while waiting or alone or running:
        while waiting and len(running) < jobs:
            running.append(Child(waiting.pop(0), top))
        if not waiting and not running and alone:
            lock.take(fcntl.LOCK_EX)
            running.append(Child(alone.pop(0), top))
        for child in running[:]:
            outcome = child.poll()
            if outcome is None:
                continue
            running.remove(child)
            if (outcome[0] == "FAIL" and child.name not in tried
                    and not harness.REPORTS.search(outcome[1])):
                tried.add(child.name)
                alone.append(child.test)
                report(child, "AGAIN", outcome[1])
                continue
            report(child, *outcome)
            counts[outcome[0]] += 1
        time.sleep(0.05)
    return counts


def give_up(running):
    """What a signal does: nothing is left running."""
    for child in running:
        child.clean_up()
    sys.exit("ended by a signal")


def report(child, outcome, text):
    seconds = time.monotonic() - child.began
    print(f"{outcome} {child.name} {seconds:.1f} s", flush=True)
    if outcome == "PASS":
        shutil.rmtree(child.folder, ignore_errors=True)
        return
    for line in text.splitlines()[-40:]:
        print("  | " + line)
    if outcome != "SKIP":
        print(f"  | its folder: {child.folder}", flush=True)


def set_sanitizer_options(top):
    """The suppressions of make check, where every account can read them."""
    for name, variable in (("lsan", "LSAN_OPTIONS"), ("tsan", "TSAN_OPTIONS")):
        path = shutil.copy(os.path.join(HERE, "..", name + ".supp"), top)
        os.environ.setdefault(variable, f"suppressions={path}:print_suppressions=0")
    os.environ.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")


def main():
    if sys.argv[1:2] == ["--one"]:
        run_one(sys.argv[2], sys.argv[3])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=int(os.environ.get("TEST_JOBS", "9")))
    parser.add_argument("--marked", action="store_true", help="only tests marked @sanitized")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    tests = [t for t in discover()
             if (not options.names or any(n in name_of(t) for n in options.names))
             and (not options.marked or harness.attribute(t, "sanitized", False))]
    if options.list:
        print("\n".join(name_of(t) for t in tests))
        return 0
    top = tempfile.mkdtemp(prefix="faxpost-test-")
    os.chmod(top, 0o755)  # roles and Postfix run as other users
    set_sanitizer_options(top)
    counts = run_all(tests, options.jobs, top)
    if counts["FAIL"] == 0:
        shutil.rmtree(top, ignore_errors=True)
    if counts["SKIP"]:
        print(f"{counts['SKIP']} skipped")
    print(f"{counts['PASS']} passed, {counts['FAIL']} failed")
    return 1 if counts["FAIL"] or not counts["PASS"] else 0


if __name__ == "__main__":
    sys.exit(main())
