# SPDX-License-Identifier: MIT
"""faxpost modem probe and models: soft modems and scripted ones on ptys, and ports that cannot be
had. The set-up itself is tested on virtual time by test_modem_setup."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import tty

from harness import BUILD, sanitized, timeout, wait_for
from softmodem import SoftModem, need_ptys

NOBODY = 65534
GOOD = {"": "OK", "Z": "OK", "E0V1Q0": "OK", "S0=0": "OK", "I0": "56000|OK",
        "I3": "CX93001-EIS_V0.2002-V92|OK", "+FCLASS=?": "0,1,8|OK", "+FCLASS=1": "OK",
        "+FRM=?": "24,48,72,73,74,96,97,98,121,122,145,146|OK", "+FRS=?": "0-255|OK",
        "+FTS=?": "0-255|OK", "&K3": "OK", "+VCID=1": "OK"}


class Scripted:
    """A modem on a pty, at .device: answers of its table; ERROR to others, None is silence."""

    def __init__(self, box, answers, other="ERROR"):
        self.answers, self.other, self.commands = answers, other, []
        need_ptys()
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.device = os.ttyname(self.slave)
        self.ends, self.end = os.pipe()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        box.closers.append(self.stop)

    def _serve(self):
        command = b""
        while True:
            ready = select.select([self.master, self.ends], [], [])[0]
            if self.ends in ready:
                return
            for octet in os.read(self.master, 4096):
                if octet != 13:
                    command += bytes([octet])
                    continue
                self._answer(command.decode("latin-1"))
                command = b""

    def _answer(self, command):
        self.commands.append(command)
        answer = self.answers.get(command[2:], self.other) if command[:2] == "AT" else None
        for line in (answer or "").split("|"):
            if line:
                os.write(self.master, b"\r\n" + line.encode() + b"\r\n")

    def stop(self):
        if self.thread is None:
            return
        os.write(self.end, b"x")
        self.thread.join()
        self.thread = None
        for fd in (self.master, self.slave, self.ends, self.end):
            os.close(fd)


def settings(box, text=""):
    """faxpost.ini with the folder of the test for locks; gives its path."""
    os.chmod(box.folder, 0o755)
    path = box.path("faxpost.ini")
    with open(path, "w") as file:
        file.write(f"[gateway]\nlock_dir = {box.folder}\n{text}")
    return path


def modem(conf, *words, program=os.path.join(BUILD, "src/faxpost"), **options):
    return subprocess.run([program, "-c", conf, "modem", *words],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120,
                          **options)


def locks(box):
    return [name for name in os.listdir(box.folder) if name[:2] == "LC" or name[:2] == "LT"]


@sanitized
def test_soft_modem(box):
    soft = SoftModem(box)
    conf = settings(box)
    done = modem(conf, "probe", soft.device, "--trace")
    assert done.returncode == 0, done.stderr
    for words in ("driven by class 1", "V.17, up to 14400", "by AT+VCID=1",
                  f"To be put into {conf}:\n\n[line modem]\ntype = modem\ndevice = {soft.device}\n",
                  "rings = 2\n"):
        assert words in done.stdout, done.stdout
    assert " > ATZ\n" in done.stderr and " < OK\n" in done.stderr, done.stderr
    assert not locks(box), locks(box)
    # What it prints is what the settings take; a port that has a line is said to have one.
    section = done.stdout[done.stdout.index("[line modem]"):]
    conf = settings(box, section)
    check = subprocess.run([os.path.join(BUILD, "src/faxpostd"), "-t", "-c", conf],
                           capture_output=True, text=True, timeout=60)
    assert check.returncode == 0, check.stderr
    again = modem(conf, "probe", soft.device, "--json")
    reply = json.loads(again.stdout)
    assert reply["ok"] and reply["class"] == "1" and "1.0" in reply["classes"], reply
    assert reply["settings"] == section, reply
    done = modem(conf, "probe", soft.device)
    assert "as [line modem]" in done.stdout and "To be put" not in done.stdout, done.stdout


@sanitized
def test_wishes(box):
    """A line's own settings, and a model of the administrator's, are used; options before them."""
    scripted = Scripted(box, {**GOOD, "I4": "ACME 2000|OK", "&F1": "OK", "\\Q1": "OK", "*ID": "OK"})
    conf = settings(box, f"[line a]\ntype = modem\ndevice = {scripted.device}\ninit = &F1\n"
                         "caller_id = *ID\nflow = none\n")
    with open(box.path("modems.ini"), "w") as file:
        file.write("[model acme]\nmatch = I4:ACME*\nflow_xonxoff = \\Q1\nnote = made for a test\n")
    done = modem(conf, "probe", scripted.device, "--flow", "xonxoff", "--speed", "57600")
    assert done.returncode == 0, done.stderr
    for words in ("[model acme]", "ACME 2000 / CX93001", "xonxoff, by AT\\Q1", "by AT*ID",
                  "made for a test"):
        assert words in done.stdout, done.stdout
    assert scripted.commands.index("AT&F1") < scripted.commands.index("AT+FCLASS=1")
    models = json.loads(modem(conf, "models", "--json").stdout)
    assert models[0]["name"] == "acme" and len(models) > 15, models
    with open(box.path("modems.ini"), "a") as file:
        file.write("colour = red\n")
    done = modem(conf, "models")
    assert done.returncode == 78 and "modems.ini:5" in done.stderr, done.stderr


@sanitized
@timeout(240)
def test_what_is_no_modem(box):
    """Each says what is wrong; side by side, since silence takes its time."""
    conf = settings(box)
    table = [
        ({}, "ERROR", "says ERROR to everything, even to AT alone"),
        ({}, None, "does not answer to AT, at 115200 or any other speed"),
        ({**GOOD, "+FCLASS=?": "0,8|OK"}, "ERROR", "has no fax"),
        ({**GOOD, "+FCLASS=1": "ERROR"}, "ERROR", "takes no fax class"),
    ]
    started = []
    for answers, other, words in table:
        scripted = Scripted(box, answers, other)
        started.append((words, subprocess.Popen(
            [os.path.join(BUILD, "src/faxpost"), "-c", conf, "modem", "probe", scripted.device],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)))
    for words, process in started:
        said = process.communicate(timeout=200)
        assert process.returncode == 1 and words in said[1], (words, said)
    assert not locks(box), locks(box)


def test_ports(box):
    """Ports that cannot be had: what is said tells what to do."""
    conf = settings(box)
    scripted = Scripted(box, GOOD)
    name = os.path.basename(scripted.device)
    lock = box.path(f"LCK..pts_{name}")
    for device, words in (("/dev/ttyNONE7", "is the modem plugged in? Present are: "),
                          ("/dev/null", "is no serial port"), (conf, "is no device"),
                          (box.folder, "is a folder")):
        done = modem(conf, "probe", device)
        assert done.returncode == 1 and words in done.stderr, (device, done.stderr)
        reply = json.loads(modem(conf, "probe", device, "--json").stdout)
        assert not reply["ok"] and words in reply["why"], reply
    with open(lock, "w") as file:  # another program has it
        file.write(f"{os.getpid():10}\n")
    done = modem(conf, "probe", scripted.device)
    assert done.returncode == 1, done.stderr
    assert f"in use by pid {os.getpid()} (" in done.stderr, done.stderr
    assert scripted.commands == [], scripted.commands
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with open(lock, "w") as file:  # and has died
        file.write(f"{dead.pid:10}\n")
    assert modem(conf, "probe", scripted.device).returncode == 0
    if os.geteuid() == 0:
        os.chmod(scripted.device, 0o600)
        os.chmod(box.folder, 0o777)
        done = modem(conf, "probe", scripted.device, user=NOBODY, group=NOBODY, extra_groups=[],
                     program=box.reachable(os.path.join(BUILD, "src/faxpost")))
        assert done.returncode == 1 and "no rights to" in done.stderr, done.stderr
    assert not locks(box), locks(box)


def test_usage(box):
    conf = settings(box)
    for words in ((), ("probe",), ("probe", "a", "b"), ("models", "a"), ("dance",),
                  ("probe", "/dev/null", "--speed", "fast"), ("probe", "/dev/null", "--speed", "301"),
                  ("probe", "/dev/null", "--flow", "air")):
        done = modem(conf, *words)
        assert done.returncode == 2 and "usage: faxpost" in done.stderr, (words, done)
    done = modem(box.path("none.ini"), "models")  # there need not be settings
    assert done.returncode == 0 and "usr-5637" in done.stdout, done


def test_interrupted(box):
    """Ctrl-C leaves no lock behind."""
    conf = settings(box)
    scripted = Scripted(box, {}, None)
    process = subprocess.Popen(
        [os.path.join(BUILD, "src/faxpost"), "-c", conf, "modem", "probe", scripted.device],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for("a command", lambda: scripted.commands)
    assert locks(box)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)
    assert process.returncode == 1 and "interrupted" in said[1], said
    assert not locks(box), locks(box)
