# SPDX-License-Identifier: MIT
"""faxpost servers and faxpost bypass: each command, comments kept, bad changes refused, in force at
once in a running daemon."""

import json
import os
import resource
import signal
import socket
import ssl
import subprocess
import threading
import time

import postfix
from fake import Fake
from harness import BUILD, Skip, ini, sanitized

SETTINGS = ("[gateway]\nstate_dir = state\nrun_dir = run\noperator = op@example.com\n")
SERVERS = """\
# SPDX-License-Identifier: MIT
# Our servers.

; The usual one
[server  one]  ; in the cellar
rank = 1 ; first
host   =  localhost
port=2501\t; odd

# For bad days
[server two]
  rank = 2
  host = 127.0.0.1
  # port = 25
  port = 2502

[server three]
rank = 4
host = ::1
port = 2503
"""
BYPASS = """\
[bypass]
combine = all ; both must agree

# Lines
[sender]
trunk = allow
; +1555* = allow
"""


def folder(box, servers=SERVERS, bypass=BYPASS, name="conf"):
    """A folder of settings that no daemon uses; gives the path of faxpost.ini."""
    os.mkdir(box.path(name), 0o755)
    for file, text in (("faxpost.ini", SETTINGS), ("servers.ini", servers), ("bypass.ini", bypass)):
        if text is not None:
            with open(box.path(name, file), "w", newline="") as out:
                out.write(text)
    return box.path(name, "faxpost.ini")


def run(conf, *words):
    return subprocess.run([os.path.join(BUILD, "src/faxpost"), "-c", conf, *words],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)


def good(conf, *words):
    done = run(conf, *words)
    assert done.returncode == 0, f"{words}: {done.returncode}: {done.stderr}"
    return done.stdout


def table(conf, name="servers.ini"):
    with open(os.path.join(os.path.dirname(conf), name), newline="") as file:
        return file.read()


def listed(conf, *words):
    return json.loads(good(conf, *(words or ("servers", "list")), "--json"))


def names(conf):
    return [server["name"] for server in listed(conf)["servers"]]


# ---- the text --------------------------------------------------------------------------------------

# words, what is replaced in SERVERS by what: nothing else may change
EDITS = [
    (["set", "one", "port=2599"], [("port=2501\t; odd", "port=2599\t; odd")]),
    (["set", "two", "port=26", "host=localhost"], [("port = 2502", "port = 26"),
                                                   ("host = 127.0.0.1", "host = localhost")]),
    (["set", "two", "connections=7"], [("  port = 2502\n", "  port = 2502\n  connections = 7\n")]),
    (["set", "two", "port="], [("  port = 2502\n", "")]),
    (["set", "one", "rank=1"], []),
    (["move", "three", "1"], [("rank = 1 ; first", "rank = 2 ; first"), ("rank = 2\n", "rank = 3\n"),
                              ("rank = 4", "rank = 1")]),
    (["move", "two", "1"], [("rank = 2\n", "rank = 1\n"), ("rank = 1 ; first", "rank = 2 ; first")]),
    (["move", "one", "3"], [("rank = 1 ; first", "rank = 3 ; first")]),
    (["move", "two", "2"], []),
    (["remove", "two"], [(SERVERS[SERVERS.index("# For bad"):SERVERS.index("[server three]")], "")]),
    (["remove", "three"], [(SERVERS[SERVERS.index("\n[server three]"):], "")]),
    (["add", "four", "host=a.example.com", "tls=starttls"],
     [("port = 2503\n", "port = 2503\n\n[server four]\nrank = 5\nhost = a.example.com\n"
       "tls = starttls\n")]),
    (["add", "four", "host=a.example.com", "rank=3"],
     [("port = 2503\n", "port = 2503\n\n[server four]\nhost = a.example.com\nrank = 3\n")]),
]


@sanitized
def test_servers_are_edited_and_nothing_else(box):
    for number, (words, changes) in enumerate(EDITS):
        for line_end in ("\n", "\r\n"):
            expected = SERVERS
            for old, new in reversed(changes):
                assert expected.count(old) == 1, (words, old)
                expected = expected.replace(old, new)
            conf = folder(box, SERVERS.replace("\n", line_end), name=f"{number}{len(line_end)}")
            before = os.stat(box.path(f"{number}{len(line_end)}", "servers.ini"))
            told = good(conf, "servers", *words)
            assert table(conf) == expected.replace("\n", line_end), (words, table(conf))
            if not changes:
                assert "nothing to change" in told, told
                after = os.stat(box.path(f"{number}{len(line_end)}", "servers.ini"))
                assert after.st_ino == before.st_ino, "an unchanged file is left alone"
            else:
                assert "no daemon is running" in told, told


@sanitized
def test_bypass_is_edited_and_nothing_else(box):
    conf = folder(box)
    steps = [
        (["allow", "sender", "+1555*", "2"],
         ("trunk = allow\n", "trunk = allow\n+1555* = allow 2\n")),
        (["deny", "sender", "TRUNK"], ("trunk = allow", "trunk = deny")),
        (["allow", "sender", "trunk"], ("trunk = deny", "trunk = allow")),
        (["deny", "destination", "*@example.com"],
         ("; +1555* = allow\n", "; +1555* = allow\n\n[destination]\n*@example.com = deny\n")),
        (["remove", "sender", "+1555*"], ("+1555* = allow 2\n", "")),
    ]
    expected = BYPASS
    for words, (old, new) in steps:
        good(conf, "bypass", *words)
        expected = expected.replace(old, new)
        assert table(conf, "bypass.ini") == expected, (words, table(conf, "bypass.ini"))
    reply = listed(conf, "bypass", "list")
    assert (reply["combine"], reply["default"]) == ("all", "deny")
    assert [(r["kind"], r["pattern"], r["answer"]) for r in reply["rows"]] == [
        ("sender", "trunk", "allow"), ("destination", "*@example.com", "deny")], reply
    assert "*@example.com" in good(conf, "bypass", "list")


# words, what the refusal must name
REFUSED = [
    (["servers", "set", "one", "port=70000"], ["servers.ini:8:", "70000"]),
    (["servers", "set", "one", "porte=70"], ["servers.ini:9:", "porte", "did you mean port"]),
    (["servers", "set", "one", "rank=2"], ["servers.ini:", "rank 2"]),
    (["servers", "set", "one", "rank="], ["servers.ini:", "rank"]),
    (["servers", "set", "one", "host=a b"], ["servers.ini:7:", "host"]),
    (["servers", "set", "one", "host=a\n[server x]"], ["host"]),
    (["servers", "set", "one", "host=a ; b"], ["host"]),
    (["servers", "set", "one", "hostess"], ["KEY=VALUE"]),
    (["servers", "set", "one", "authority=2"], ["servers.ini:", "authority"]),
    (["servers", "set", "one", "auth=plain", "user=a", "password_file=none"],
     ["servers.ini:", "password_file"]),
    (["servers", "set", "four", "port=1"], ["four"]),
    (["servers", "add", "one", "host=a"], ["one", "already"]),
    (["servers", "add", "four", "port=1"], ["servers.ini:", "host"]),
    (["servers", "add", "f]our", "host=a"], ["name"]),
    (["servers", "add", "four five", "host=a"], ["servers.ini:", "name"]),
    (["servers", "move", "one", "0"], ["1 to 10000"]),
    (["servers", "move", "four", "1"], ["four"]),
    (["servers", "remove", "four"], ["four"]),
    (["bypass", "allow", "sender", "a", "much"], ["bypass.ini:", "allow"]),
    (["bypass", "allow", "destination", "a", "2"], ["bypass.ini:", "allow 2"]),
    (["bypass", "allow", "caller", "a"], ["sender or destination"]),
    (["bypass", "allow", "sender", "sip:a@b"], ["sip:a@b"]),
    (["bypass", "deny", "sender", "a\nb"], ["bypass.ini"]),
    (["bypass", "remove", "sender", "nobody"], ["nobody"]),
]


@sanitized
def test_bad_changes_are_refused(box):
    conf = folder(box)
    for words, expected in REFUSED:
        before = {name: os.stat(os.path.join(os.path.dirname(conf), name)).st_ino
                  for name in ("servers.ini", "bypass.ini")}
        done = run(conf, *words)
        assert done.returncode == 1, f"{words}: {done.returncode}: {done.stdout}{done.stderr}"
        for word in expected:
            assert word in done.stderr, f"{words}: no {word!r} in: {done.stderr}"
        reply = json.loads(run(conf, *words, "--json").stdout)
        assert reply["ok"] is False and reply["why"], reply
        assert table(conf) == SERVERS and table(conf, "bypass.ini") == BYPASS, words
        after = {name: os.stat(os.path.join(os.path.dirname(conf), name)).st_ino
                 for name in ("servers.ini", "bypass.ini")}
        assert after == before, f"{words}: the file was written"
    left = set(os.listdir(os.path.dirname(conf)))
    assert left == {"faxpost.ini", "servers.ini", "bypass.ini", ".faxpost-tables.lock"}, left


def test_wrong_usage(box):
    conf = folder(box)
    for words in (["servers"], ["servers", "lst"], ["servers", "add", "x"], ["servers", "move", "a"],
                  ["bypass"], ["bypass", "allow", "sender"], ["bypass", "explain", "a"],
                  ["bypass", "explain", "colour=a", "b"]):
        done = run(conf, *words)
        assert done.returncode == 2 and "usage:" in done.stderr, (words, done)


def test_a_wrong_file_can_be_mended(box):
    conf = folder(box, SERVERS.replace("port=2501", "port=many"))
    done = run(conf, "servers", "list")
    assert done.returncode == 1 and "servers.ini:8" in done.stderr, done
    assert run(conf, "servers", "set", "two", "port=1").returncode == 1, "still wrong elsewhere"
    good(conf, "servers", "set", "one", "port=25")
    assert names(conf) == ["one", "two", "three"]


# ---- the file --------------------------------------------------------------------------------------


def test_files_are_made(box):
    conf = folder(box, servers=None, bypass=None)
    assert "mailbox" in good(conf, "servers", "list")
    assert "nobody" in good(conf, "bypass", "list")
    done = run(conf, "servers", "add", "main", "host=mail.example.com")
    assert done.returncode == 0 and "mailbox" in done.stderr, "what changes is told"
    assert table(conf) == "[server main]\nrank = 1\nhost = mail.example.com\n"
    good(conf, "bypass", "allow", "sender", "trunk")
    assert table(conf, "bypass.ini") == "[sender]\ntrunk = allow\n"


def test_removing_the_last_server_warns(box):
    conf = folder(box, "[server main]\nrank = 1\nhost = localhost\n")
    done = run(conf, "servers", "remove", "main")
    assert done.returncode == 0 and "deliveries wait" in done.stderr, done
    assert table(conf) == ""
    good(conf, "servers", "add", "main", "host=localhost")
    reply = json.loads(good(conf, "servers", "remove", "main", "--json"))
    assert reply["changed"] and "deliveries wait" in reply["warnings"][0], reply


def test_mode_owner_and_link_stay(box):
    conf = folder(box)
    path = box.path("conf", "servers.ini")
    real = box.path("real.ini")
    os.rename(path, real)
    os.symlink(real, path)
    os.chmod(real, 0o640)
    if os.geteuid() == 0:
        os.chown(real, 12345, 23456)
    before = os.stat(real)
    good(conf, "servers", "set", "one", "port=26")
    after = os.stat(real)
    assert os.path.islink(path) and "port=26" in open(real).read()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid,
                                                           before.st_gid)
    assert after.st_ino != before.st_ino, "replaced as a whole"


def test_who_may_not_write_is_told(box):
    if os.geteuid() != 0:
        raise Skip("needs root to become somebody else")
    conf = folder(box)
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                           os.path.join(BUILD, "src/faxpost"), "-c", conf, "servers", "set", "one",
                           "port=26"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "ermission denied" in done.stderr, done
    assert table(conf) == SERVERS


def test_no_room_leaves_the_file(box):
    """A write that fails: the old file stays, and nothing beside it."""
    def no_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    conf = folder(box)
    done = subprocess.run([os.path.join(BUILD, "src/faxpost"), "-c", conf, "servers", "set", "one",
                           "port=26"], capture_output=True, text=True, timeout=60,
                          preexec_fn=no_room)
    assert done.returncode == 1 and "cannot be written" in done.stderr, done
    assert "too large" in done.stderr, "the system's reason is told: " + done.stderr
    assert table(conf) == SERVERS
    assert not [n for n in os.listdir(os.path.dirname(conf)) if n.endswith(".tmp")]


def test_many_at_once_lose_nothing(box):
    conf = folder(box)
    command = [os.path.join(BUILD, "src/faxpost"), "-c", conf, "bypass", "allow", "sender"]
    running = [subprocess.Popen([*command, f"number-{i}"], stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True) for i in range(24)]
    for process in running:
        _, told = process.communicate(timeout=60)
        assert process.returncode == 0, told
    rows = [row["pattern"] for row in listed(conf, "bypass", "list")["rows"]]
    assert sorted(rows) == sorted(["trunk"] + [f"number-{i}" for i in range(24)]), rows


def test_password_that_the_account_cannot_read(box):
    """Root can read it; the role that needs it runs as another account, and would fail."""
    if os.geteuid() != 0:
        raise Skip("needs root to have another account")
    conf = folder(box)
    with open(conf, "a") as file:
        file.write("user = nobody\n")
    with open(box.path("conf", "password"), "w") as file:
        file.write("secret\n")
    os.chmod(box.path("conf", "password"), 0o600)
    words = ["servers", "set", "one", "auth=plain", "user=me", "password_file=password"]
    done = run(conf, *words)
    assert done.returncode == 1 and "password: not permitted" in done.stderr, done
    assert table(conf) == SERVERS
    os.chown(box.path("conf", "password"), 65534, 65534)
    if subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "test", "-r",
                       box.path("conf", "password")]).returncode == 0:
        good(conf, *words)


# ---- explain ---------------------------------------------------------------------------------------


@sanitized
def test_explain(box):
    conf = folder(box, SERVERS.replace("port = 2503", "port = 2503\nauthority = 2"),
                  "[bypass]\ncombine = all\n[sender]\n+1555* = allow 1\n+15551* = deny\n"
                  "trunk = allow 3\n[destination]\n*@example.com = deny\nboss@example.com = allow\n")
    for sender, destination, permitted, authority, servers, counts in [
            ("+15552", "boss@example.com", True, 1, ["one", "two"], ["+1555*", "boss@example.com"]),
            ("+15551", "boss@example.com", False, 0, ["one"], ["+15551*", "boss@example.com"]),
            ("+15552", "x@example.com", False, 1, ["one"], ["+1555*", "*@example.com"]),
            ("line=trunk,caller=+15551", "x@example.net", True, 3, ["one", "two", "three"],
             ["trunk"]),
            ("nobody", "x@example.net", False, 0, ["one"], [])]:
        reply = listed(conf, "bypass", "explain", sender, destination)
        case = (sender, destination, reply)
        assert reply["permitted"] == permitted and reply["authority"] == authority, case
        assert [s["name"] for s in reply["servers"] if s["may_use"]] == servers, case
        assert [row["pattern"] for row in reply["sender_rows"] + reply["destination_rows"]
                if row["counts"]] == counts, case
    text = good(conf, "bypass", "explain", "+15551", "boss@example.com")
    for expected in ("line 5: +15551* = deny   <- counts", "line 4: +1555* = allow 1\n",
                     "combine: all, default: deny", "bypass: denied",
                     "server two, rank 2: no (bypass is denied)"):
        assert expected in text, text


# ---- a running daemon ------------------------------------------------------------------------------


def status(gateway):
    return {server["name"]: server for server in gateway.faxpost("status")["servers"]}


@sanitized
def test_changes_are_in_force_at_once(box):
    gateway = box.gateway(answers=False, servers={
        "server one": {"rank": 1, "host": "127.0.0.1", "port": 2501}})
    pid = gateway.process.pid
    told = gateway.faxpost("servers", "add", "two", "host=127.0.0.2", "port=2502", json_=False)
    assert "in force" in told, told
    assert {name: server["rank"] for name, server in status(gateway).items()} == {
        "one": 1, "two": 2}
    assert gateway.faxpost("servers", "set", "two", "port=2600")["daemon"] is True
    assert status(gateway)["two"]["address"] == "127.0.0.2:2600"
    gateway.faxpost("servers", "move", "two", "1")
    assert [s["name"] for s in gateway.faxpost("status")["servers"]] == ["two", "one"]
    rows = gateway.faxpost("servers", "list")["servers"]
    assert [(s["name"], s["in_force"], s["health"]["up"]) for s in rows] == [
        ("two", True, True), ("one", True, True)], rows
    assert "up" in gateway.faxpost("servers", "list", json_=False)
    before = gateway.log().count("reload done")
    assert gateway.faxpost("servers", "set", "two", "port=x", check=False) is None
    assert status(gateway)["two"]["address"] == "127.0.0.2:2600", "a bad change is nowhere"
    assert gateway.log().count("reload done") == before, "the daemon is not bothered with it"
    gateway.faxpost("bypass", "allow", "sender", "trunk")
    assert gateway.log().count("reload done") == before + 1
    gateway.faxpost("servers", "remove", "one")
    gateway.faxpost("servers", "remove", "two")
    reply = gateway.faxpost("status")
    assert reply["servers"] == [] and not reply["mailbox_only"], reply
    assert gateway.process.pid == pid and gateway.process.poll() is None


def test_what_the_daemon_does_not_take_is_told(box):
    gateway = box.gateway(answers=False, servers={
        "server one": {"rank": 1, "host": "127.0.0.1", "port": 2501}})
    gateway.sections["gateway"]["state_dir"] = "elsewhere"  # needs a restart
    gateway.write_settings()
    done = run(gateway.conf, "servers", "set", "one", "port=2600")
    assert done.returncode == 1 and "goes on with the old settings" in done.stderr, done
    assert "restart" in done.stderr, done
    assert "2600" in open(os.path.join(gateway.folder, "servers.ini")).read()
    assert status(gateway)["one"]["address"] == "127.0.0.1:2501"


@sanitized
def test_a_change_by_hand_shows(box):
    gateway = box.gateway(answers=False, servers={
        "server one": {"rank": 1, "host": "127.0.0.1", "port": 2501}})
    gateway.write("servers.ini", open(os.path.join(gateway.folder, "servers.ini")).read() +
                  "[server two]\nrank = 2\nhost = localhost\n")
    rows = {s["name"]: s for s in gateway.faxpost("servers", "list")["servers"]}
    assert rows["one"]["in_force"] and not rows["two"]["in_force"], rows
    assert "not in force" in gateway.faxpost("servers", "list", json_=False)


# ---- check -----------------------------------------------------------------------------------------


def checked(conf, *words):
    """Exit code, and {server: (fine, {stage: (fine, text)})}."""
    done = run(conf, "servers", "check", *words, "--json")
    reply = json.loads(done.stdout)
    return done.returncode, {
        server["name"]: (server["ok"], {s["stage"]: (s["ok"], s["text"]) for s in server["steps"]})
        for server in reply["servers"]}


def implicit(box, authority):
    """Port of a server that speaks TLS from the first octet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.cert, authority.key)
    listener = socket.create_server(("127.0.0.1", 0))
    box.closers.append(listener.close)

    def serve():
        with context.wrap_socket(listener.accept()[0], server_side=True) as client:
            client.sendall(b"220 hello\r\n")
            while client.recv(1000)[:4] != b"QUIT":
                client.sendall(b"250 yes\r\n")

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


@sanitized
def test_check(box):
    authority = postfix.Authority(box.path("ca"))
    with open(box.path("pair.pem"), "w") as pair:
        pair.write(open(authority.cert).read() + open(authority.key).read())
    plain = Fake(box)
    login = Fake(box, login="me:secret")
    tls = Fake(box, cert=box.path("pair.pem"), login="me:secret")
    mute, rude = Fake(box), Fake(box)
    mute.fail({"greeting": "hang"})
    rude.fail({"ehlo": "control"})
    closed = box.port()
    for name, text in (("right", "secret\n"), ("wrong", "guess\n")):
        box.write(name, text)
        os.chmod(box.path(name), 0o644)
    who = {"host": "localhost", "auth": "plain", "user": "me", "password_file": box.path("right")}
    table_ = {
        "plain": {"host": "127.0.0.1", "port": plain.port},
        "login": dict(who, port=login.port, host="127.0.0.1", auth="login"),
        "wrong": dict(who, port=login.port, host="127.0.0.1", password_file=box.path("wrong")),
        "tls": dict(who, port=tls.port, tls="starttls", ca_file=authority.ca),
        "smtps": {"host": "localhost", "port": implicit(box, authority), "tls": "implicit",
                  "ca_file": authority.ca},
        "stranger": dict(who, port=tls.port, tls="starttls"),
        "notls": {"host": "127.0.0.1", "port": plain.port, "tls": "starttls"},
        "hint": {"host": "127.0.0.1", "port": tls.port},
        "mute": {"host": "127.0.0.1", "port": mute.port},
        "rude": {"host": "127.0.0.1", "port": rude.port},
        "closed": {"host": "127.0.0.1", "port": closed},
        "nowhere": {"host": "no-such-name.invalid"},
    }
    conf = folder(box, ini({f"server {name}": dict(keys, rank=rank + 1)
                            for rank, (name, keys) in enumerate(table_.items())}))
    with open(conf, "a") as file:
        file.write("[timeouts]\ncommand = 2s\n")
    began = time.monotonic()
    code, result = checked(conf)
    assert time.monotonic() - began < 30 and code == 1
    for name, fine, stage, words in [
            ("plain", True, "EHLO", "250"), ("login", True, "AUTH", "235"),
            ("wrong", False, "AUTH", "535"), ("tls", True, "STARTTLS", "TLSv1"),
            ("tls", True, "AUTH", "235"), ("stranger", False, "STARTTLS", "certificate"),
            ("smtps", True, "EHLO", "250"), ("smtps", True, "STARTTLS", "TLSv1"),
            ("notls", False, "STARTTLS", "not offer"), ("hint", True, "STARTTLS", "tls = starttls"),
            ("mute", False, "greeting", "no answer in time"), ("rude", False, "EHLO", "550"),
            ("closed", False, "TCP", "refused"), ("nowhere", False, "name", "")]:
        assert result[name][0] == fine, (name, result[name])
        assert words in result[name][1][stage][1], (name, stage, result[name])
    assert "\x1b" not in json.dumps(result) + run(conf, "servers", "check", "rude").stdout
    code, result = checked(conf, "plain")
    assert code == 0 and list(result) == ["plain"], result
    assert not (plain.taken or login.taken or tls.taken), "no mail is sent"
    assert run(conf, "servers", "check", "nobody").returncode == 1
    text = run(conf, "servers", "check", "tls").stdout
    assert "fine" in text and "secret" not in text, text
