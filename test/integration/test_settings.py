# SPDX-License-Identifier: MIT
"""Bad settings: each mistake is told with file, line and what to do; the exit code is EX_CONFIG."""

import os
import subprocess

from harness import BUILD, Gateway, ini, sanitized, wait_for

GOOD = {
    "gateway": {"state_dir": "state", "run_dir": "run", "operator": "operator@example.com"},
    "line trunk": {"type": "sip", "listen": "127.0.0.1:5999"},
}

# name, text of faxpost.ini (or servers.ini), line that is to blame, words that must be in the report
TABLE = [
    ("unknown key", "[gateway]\noperater = a@example.com\n", 2, ["operater"]),
    ("unknown section", "[gatway]\noperator = a@example.com\n", None, ["gatway"]),
    ("double key", "[gateway]\noperator = a@example.com\noperator = b@example.com\n", 3,
     ["operator", "2"]),
    ("duration without unit", "[retry]\nwait = 3\n", 2, ["wait", "3"]),
    ("value out of range", "[limits]\nworkers = 100000\n", 2, ["workers", "256"]),
    ("no such choice", "[line a]\nt38 = perhaps\n", 2, ["perhaps", "accept"]),
    ("no address", "[line a]\nlisten = here\n", 2, ["listen", "here"]),
    ("route without to", "[route sales]\ncalled = 5*\n", None, ["sales", "to"]),
    ("unknown template variable", "[mail]\nsubject = {colour}\n", 2, ["colour"]),
    ("no mail address", "[route sales]\nto = nobody at all\n", 2, ["nobody"]),
    ("not a setting", "[gateway]\nthis is no setting\n", 2, []),
]


def check(folder):
    return subprocess.run([os.path.join(BUILD, "src/faxpostd"), "-t", "-c", folder + "/faxpost.ini"],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20)


@sanitized
def test_mistakes_are_told(box):
    for number, (name, text, line, words) in enumerate(TABLE):
        folder = box.path(str(number))
        os.mkdir(folder)
        box.write(f"{number}/faxpost.ini", text)
        done = check(folder)
        report = done.stdout + done.stderr
        assert done.returncode == 78, f"{name}: exit code {done.returncode}: {report}"
        assert "faxpost.ini" in report, f"{name}: no file name in: {report}"
        if line is not None:
            assert f"faxpost.ini:{line}" in report, f"{name}: no line {line} in: {report}"
        for word in words:
            assert word in report, f"{name}: no {word!r} in: {report}"


def test_all_mistakes_of_a_file_are_told(box):
    box.write("faxpost.ini", "[gateway]\na = 1\nb = 2\n[limits]\nworkers = many\n")
    report = check(box.folder).stderr
    for line in (2, 3, 5):
        assert f"faxpost.ini:{line}" in report, report


def test_missing_file(box):
    done = check(box.folder)
    assert done.returncode == 78, done.returncode
    assert "faxpost.ini" in done.stderr, done.stderr


def test_mistake_in_servers(box):
    box.write("faxpost.ini", ini(GOOD))
    box.write("servers.ini", "[server one]\nrank = 1\nhost = localhost\ntls = maybe\n")
    done = check(box.folder)
    assert done.returncode == 78 and "servers.ini:4" in done.stderr, done.stderr


def test_good_file_passes_and_dump_is_read_back(box):
    box.write("faxpost.ini", ini(GOOD))
    done = check(box.folder)
    assert done.returncode == 0, done.stderr
    dump = subprocess.run([os.path.join(BUILD, "src/faxpostd"), "-T", "-c",
                           box.path("faxpost.ini")], capture_output=True, text=True, timeout=20)
    assert dump.returncode == 0 and "operator = operator@example.com" in dump.stdout, dump
    assert "workers = 8" in dump.stdout, "defaults are part of a dump"


def test_bad_reload_leaves_the_settings_in_force(box):
    gateway = box.gateway()
    before = len(gateway.log())
    good = open(gateway.conf).read()
    gateway.write("faxpost.ini", good + "\n[nonsense]\nkey = 1\n")
    gateway.reload()
    wait_for("the mistake is logged", lambda: "nonsense" in gateway.log()[before:])
    assert gateway.process.poll() is None
    assert gateway._answers(), "the line must go on answering"
    gateway.write("faxpost.ini", good)
    assert gateway.faxpost("status")["ok"]


def test_start_with_bad_settings_fails(box):
    box.write("faxpost.ini", "[gateway]\nnonsense = 1\n")
    done = subprocess.run([os.path.join(BUILD, "src/faxpostd"), "-F", "-c",
                           box.path("faxpost.ini")], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=20)
    assert done.returncode == 78, done.returncode
    assert "faxpost.ini:2" in done.stderr, done.stderr


def test_port_in_use_is_told(box):
    """A second gateway on the same port: says which, and what to do; does not run on deaf."""
    gateway = box.gateway()
    second = Gateway(box, settings={"line trunk": {"listen": gateway.address()}}, name="second")
    done = subprocess.run([os.path.join(BUILD, "src/faxpostd"), "-F", "-c", second.conf],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode != 0
    assert str(gateway.sip_port) in done.stderr, done.stderr[-2000:]
