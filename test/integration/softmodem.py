# SPDX-License-Identifier: MIT
"""Modems that nobody needs to buy: a soft modem on a pty with a telephone line behind it
(SoftModem), and efax, a fax program with a T.30 of its own, at another one (Efax)."""

import json
import os
import random
import shutil
import subprocess
import threading
import urllib.parse

from harness import REPORTS, Pixels, Skip, run, tool, wait_for

# Real telephones ring every 6 s; so long a pause shows nothing here.
RING_EVERY_MS = 1500
EFAX_BLANK_ROWS = 20  # in front of each page, where its header would be


def need_ptys():
    try:
        for fd in os.openpty():
            os.close(fd)
    except OSError:
        raise Skip("there are no pseudo terminals here: /dev/pts is not mounted") from None


class SoftModem:
    """test/tools/softmodem at work: a modem at .device for a line, and the commands to its line.

    Options are softmodem's own: mode_bits=600 becomes --mode-bits 600. second=True puts a modem at
    the other end too, at .second, for efax to dial with."""

    def __init__(self, box, name="desk", second=False, **options):
        need_ptys()
        self.name = name
        self.device = box.path(name)
        self.second = box.path(name + "-caller") if second else None
        self.trace_path = box.path(name + "-trace")
        options.setdefault("ring_every", RING_EVERY_MS)
        command = [tool("softmodem"), "--control", "--trace", self.trace_path, "--pty", self.device]
        command += ["--pty", self.second] if second else []
        for key, value in options.items():
            command.append("--" + key.replace("_", "-"))
            if value is not True:
                command.append(str(value))
        self.events, self.results, self.calls = [], [], 0
        self.errors = open(box.path(name + "-errors"), "w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True)
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        box.closers.append(self.stop)
        wait_for(f"modem {name}", lambda: os.path.exists(self.device) and (
            not second or os.path.exists(self.second)), 20)

    def _read(self):
        for line in self.process.stdout:
            said = json.loads(line)
            (self.events if "event" in said else self.results).append(said)

    def settings(self, **keys):
        """Keys of the [line] of this modem."""
        return {"type": "modem", "device": self.device, "rings": "2", **keys}

    def command(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def count(self, event):
        return sum(1 for e in self.events if e["event"] == event)

    def wait_event(self, event, count=1, seconds=60):
        """Waits until something has happened so many times since the modem is there."""
        wait_for(f"{self.name}: {count} times {event}", lambda: self.count(event) >= count, seconds)

    def calling(self, document=None, **words):
        """The tool's own fax machine calls, or what sound= says; .wait() gives its report. Calls
        for one modem wait for each other."""
        if document:
            words["file"] = document
        self.command("call " + " ".join(
            f"{key}={urllib.parse.quote(str(value), safe='/,.:=+-')}"
            for key, value in words.items()))
        self.calls += 1
        return SoftCall(self, self.calls - 1)

    def call(self, document=None, **words):
        return self.calling(document, **words).wait()

    def trace(self):
        """What host and modem have said: "MS MODEM DIRECTION TEXT" a line."""
        with open(self.trace_path, errors="replace") as file:
            return file.read()

    def stop(self):
        if self.process is None:
            return
        process, self.process = self.process, None
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"soft modem {self.name} did not end") from None
        self.reader.join()
        self.errors.seek(0)
        said = self.errors.read()
        self.errors.close()
        process.stdout.close()
        assert not REPORTS.search(said), said
        assert process.returncode == 0, f"soft modem {self.name}: {process.returncode}\n{said}"


class SoftCall:
    def __init__(self, modem, number):
        self.modem, self.number = modem, number

    def wait(self, seconds=200):
        wait_for(f"{self.modem.name}: the report of call {self.number + 1}",
                 lambda: len(self.modem.results) > self.number, seconds)
        return self.modem.results[self.number]


# ---- efax ------------------------------------------------------------------------------------------


def need_efax():
    if not shutil.which("efax") or not shutil.which("efix"):
        raise Skip("efax is not installed")


class Efax:
    """efax sends pages by the second modem of a SoftModem. .wait() gives its exit code: 0 when all
    were confirmed."""

    def __init__(self, box, modem, count, station="+15559000", seed=1, **options):
        need_efax()
        self.pages, files = [], []
        stem = f"efax-{random.getrandbits(32):08x}"
        for number in range(count):
            page = box.document(f"{stem}-{number}.tif", p=1, k="text", c="1d", s=seed + number,
                                **{"l": 700, **options})
            # efax reads on behind the strip: it needs a file that ends with the page.
            run(["efix", "-o", "tiffg3", "-n", f"{page}.%03d", page])
            self.pages.append(page)
            files.append(page + ".001")
        self.log_path = box.path(stem + ".log")
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(
                ["efax", "-d", modem.second, "-o1", "-l", station, "-h", "", "-vewinc",
                 "-t", "5552100", *files], cwd=box.folder, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT)

    def wait(self, seconds=200):
        return self.process.wait(seconds)

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def images(self):
        """What was sent, as images_below() gives what came."""
        return [image for page in self.pages for image in images_below(page, 0)]


def images_below(path, rows=EFAX_BLANK_ROWS):
    """Images of a TIFF without the first rows of each page."""
    return [Pixels(line.split()).image
            for line in run([tool("tiffpixels"), "-s", str(rows), path]).splitlines()]
