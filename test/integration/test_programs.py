# SPDX-License-Identifier: MIT
"""The programs: supervisor and roles, start and end, the control socket and the faxpost command."""

import glob
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

from harness import BUILD, Gateway, Skip, sanitized, timeout, wait_for

NOBODY = 65534
STRANGER = 64999  # an account that nothing belongs to
TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
DAEMON = os.path.join(BUILD, "src/faxpostd")
COMMAND = os.path.join(BUILD, "src/faxpost")


def quiet(box, **arguments):
    """A gateway that is not asked by SIP."""
    return box.gateway(answers=False, **arguments)


def ended(command, **options):
    """A program's end, whatever it is."""
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=options.pop("timeout", 60), **options)


def command(gateway, *arguments, **options):
    return ended([COMMAND, "-c", gateway.conf, *arguments], **options)


def as_somebody(arguments, user=NOBODY, group=NOBODY):
    if os.geteuid() != 0:
        raise Skip("needs root to become somebody else")
    return ["setpriv", "--reuid", str(user), "--regid", str(group), "--clear-groups", *arguments]


def roles(pid):
    """{"receive": pid, …} of the children of a supervisor."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            parent = int(open(path).read().rsplit(")", 1)[1].split()[1])
            line = open(os.path.join(os.path.dirname(path), "cmdline")).read().split("\0")
        except OSError:
            continue
        if parent == pid and len(line) > 1 and line[1].startswith("--role="):
            found[line[1][7:]] = int(path.split("/")[2])
    return found


def lives(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def status_of(pid):
    """/proc/PID/status as a dictionary."""
    return dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status").read().splitlines()
                if ":\t" in line)


# ---- roles -----------------------------------------------------------------------------------------


@sanitized
def test_killed_roles_are_started_again(box):
    gateway = quiet(box)
    supervisor = gateway.process.pid
    for role in ("compose", "receive", "deliver"):
        before = roles(supervisor)
        os.kill(before[role], signal.SIGKILL)
        wait_for(f"{role} is back",
                 lambda: roles(supervisor).get(role) not in (None, before[role]))
        others = {name: pid for name, pid in before.items() if name != role}
        now = roles(supervisor)
        assert others == {name: pid for name, pid in now.items() if name != role}, "others died too"
        wait_for("the control socket answers",
                 lambda: gateway.faxpost("status", check=False) is not None)
    log = gateway.log()
    assert log.count('why="signal 9 (Killed)"') == 3, log
    assert len(re.findall("role ready role=", log)) >= 6, log


@sanitized
def test_restarts_back_off(box):
    gateway = quiet(box)
    supervisor = gateway.process.pid
    times = []
    for _ in range(4):
        pid = wait_for("compose runs", lambda: roles(supervisor).get("compose"))
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        wait_for("compose is back",
                 lambda: roles(supervisor).get("compose") not in (None, pid), step=0.01)
        times.append(time.monotonic() - began)
    assert times[3] > 0.7, f"100 ms doubled three times: {times}"


@sanitized
def test_no_role_outlives_its_supervisor(box):
    gateway = quiet(box)
    left = roles(gateway.process.pid)
    assert len(left) == 3, left
    gateway.process.kill()
    gateway.process.wait()
    gateway.process = None
    wait_for("all roles are gone", lambda: not any(map(lives, left.values())), 25)
    again = Gateway.start(gateway)  # the spool is free and whole
    assert again.faxpost("status")["daemon"]


def test_roles_have_no_privileges(box):
    gateway = quiet(box)
    for role, pid in roles(gateway.process.pid).items():
        status = status_of(pid)
        assert status["NoNewPrivs"] == "1", role
        assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0, role
        assert status["Umask"] == "0077", role
        names = [os.readlink(path) for path in glob.glob(f"/proc/{pid}/fd/*")]
        assert not [n for n in names if n.endswith(".ini")], f"{role}: {names}"


def test_root_makes_roles_another_account(box):
    if os.geteuid() != 0:
        raise Skip("needs root")
    os.chmod(box.folder, 0o755)
    gateway = quiet(box, settings={"gateway": {"user": "nobody"}})
    for role, pid in roles(gateway.process.pid).items():
        assert status_of(pid)["Uid"].split() == [str(NOBODY)] * 4, role
        assert status_of(pid)["Groups"].strip() == "", role
    assert os.stat(gateway.state).st_uid == NOBODY
    assert os.stat(gateway.state).st_mode & 0o777 == 0o700
    # While no daemon runs, root's command does not leave files of its own behind.
    gateway.stop()
    assert command(gateway, "list").returncode == 0
    owners = {os.stat(path).st_uid for path in glob.glob(gateway.state + "/*")}
    assert owners == {NOBODY}, owners


# ---- start and end ---------------------------------------------------------------------------------


@sanitized
def test_second_daemon_on_the_same_spool(box):
    gateway = quiet(box)
    other = box.write("gateway/other.ini", open(gateway.conf).read().replace(
        f":{gateway.sip_port}", f":{box.port()}").replace("run_dir = run", "run_dir = run2"))
    done = ended([DAEMON, "-F", "-c", other])
    assert done.returncode == 1, done
    assert "the spool is in use" in done.stderr, done.stderr
    assert gateway.faxpost("status")["daemon"]


@timeout(60)
def test_becomes_a_daemon(box):
    """Without -F: returns when it is ready, and stays."""
    gateway = Gateway(box, answers=False)
    done = ended([DAEMON, "-c", gateway.conf])
    assert done.returncode == 0, done
    assert gateway.faxpost("status")["daemon"], "ready when the caller returns"
    log = open(gateway.state + "/faxpostd.log").read()
    pid = int(re.search(r"started pid=(\d+)", log).group(1))
    box.closers.append(lambda: lives(pid) and os.kill(pid, signal.SIGKILL))
    left = roles(pid)
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert os.getsid(pid) != os.getsid(0)
    os.kill(pid, signal.SIGTERM)
    wait_for("all are gone", lambda: not any(map(lives, [pid, *left.values()])))


def test_daemon_that_cannot_start_says_so(box):
    gateway = Gateway(box, answers=False)
    box.write("gateway/state", "in the way")
    done = ended([DAEMON, "-c", gateway.conf])
    assert done.returncode == 1, done


@sanitized
def test_ends_in_order(box):
    gateway = quiet(box)
    left = roles(gateway.process.pid)
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(30) == 0
    assert not any(map(lives, left.values()))
    ends = re.findall(r"role ended role=(\w+)", gateway.log())
    assert ends == ["receive", "deliver", "compose"], ends
    assert not os.path.exists(os.path.join(gateway.folder, "run/control.sock"))


@sanitized
def test_ctrl_c_ends_it_too(box):
    gateway = quiet(box)
    os.killpg(gateway.process.pid, signal.SIGINT)  # as a terminal does: to all of them
    assert gateway.process.wait(30) == 0
    assert "role died" not in gateway.log(), gateway.log()


@sanitized
def test_tells_systemd(box):
    """READY=1, RELOADING=1 and READY=1 again, STOPPING=1."""
    path = box.path("notify")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(path)
    listener.settimeout(20)
    gateway = quiet(box, environment={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"})
    texts = []

    def seen(word):
        while not any(word in text for text in texts):
            texts.append(listener.recv(4000).decode())
        texts.clear()
    seen("READY=1")
    seen("WATCHDOG=1")
    gateway.reload()
    seen("RELOADING=1")
    seen("READY=1")
    gateway.process.send_signal(signal.SIGTERM)
    seen("STOPPING=1")
    gateway.process.wait(20)
    listener.close()


# ---- reload ----------------------------------------------------------------------------------------


@sanitized
def test_reload_by_command(box):
    gateway = quiet(box)
    gateway.sections["limits"]["workers"] = 3
    gateway.write_settings()
    done = command(gateway, "reload")
    assert done.returncode == 0 and "in force" in done.stdout, done
    good = open(gateway.conf).read()
    gateway.write("servers.ini", "[server one]\nrank = 1\nhost = localhost\ntls = maybe\n")
    done = command(gateway, "reload")
    assert done.returncode == 1, done
    assert "servers.ini:4" in done.stderr and "old settings stay in force" in done.stderr, done
    os.unlink(os.path.join(gateway.folder, "servers.ini"))
    gateway.write("faxpost.ini", good.replace("state_dir = state", "state_dir = elsewhere"))
    gateway.reload()
    wait_for("the refusal", lambda: "state_dir cannot change" in gateway.log())
    gateway.write("faxpost.ini", good)
    assert command(gateway, "reload").returncode == 0
    assert len(roles(gateway.process.pid)) == 3


# ---- the command -----------------------------------------------------------------------------------


@sanitized
def test_command_while_no_daemon_runs(box):
    gateway = Gateway(box, answers=False)
    done = command(gateway, "list")
    assert done.returncode == 1 and "no daemon is running" in done.stderr, done
    gateway.start()
    gateway.stop()
    done = command(gateway, "list", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["faxes"] == [], done
    done = command(gateway, "status", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["daemon"] is False, done
    done = command(gateway, "reload")
    assert done.returncode == 1 and "no daemon is running" in done.stderr, done
    done = command(gateway, "retry", "nothing")
    assert done.returncode == 1 and "no fax is called" in done.stderr, done


@sanitized
def test_command_does_not_keep_a_daemon_from_starting(box):
    gateway = quiet(box)
    gateway.stop()
    busy = [subprocess.Popen(["sh", "-c", f"for i in 1 2 3 4 5 6 7 8; do {COMMAND} -c "
                              f"{gateway.conf} status >/dev/null 2>&1; done"])]
    gateway.start()
    for process in busy:
        process.wait(60)


def test_root_asks_before_the_daemon_runs(box):
    """What root's command leaves in a spool of another account must not keep that account out."""
    if os.geteuid() != 0:
        raise Skip("only root can be somebody else")
    gateway = box.gateway(account=STRANGER)
    gateway.stop()
    os.remove(os.path.join(gateway.state, "faxpost.lock"))
    assert gateway.process is None
    subprocess.run([COMMAND, "-c", gateway.conf, "status"], check=False, timeout=30)
    gateway.start()
    for name in os.listdir(gateway.state):
        assert os.stat(os.path.join(gateway.state, name)).st_uid == STRANGER, name


def test_others_are_refused(box):
    gateway = quiet(box)
    os.chmod(box.folder, 0o755)
    done = ended(as_somebody([COMMAND, "-c", gateway.conf, "status"], STRANGER, STRANGER))
    assert done.returncode == 1 and "permission denied" in done.stderr, done
    # A member of the group may look, and change nothing.
    os.chown(os.path.join(gateway.folder, "run"), -1, 1)
    os.chown(os.path.join(gateway.folder, "run/control.sock"), -1, 1)
    done = ended(as_somebody([COMMAND, "-c", gateway.conf, "status"], STRANGER, 1))
    assert done.returncode == 0, done
    for word in (["retry", "abc"], ["reload"]):
        done = ended(as_somebody([COMMAND, "-c", gateway.conf, *word], STRANGER, 1))
        assert done.returncode == 1 and "only root" in done.stderr, done


@sanitized
def test_unprivileged_user_runs_all_of_it(box):
    """From a folder of their own, with programs that anybody may execute."""
    if os.geteuid() != 0:
        raise Skip("is unprivileged already")
    os.chmod(box.folder, 0o755)
    gateway = Gateway(box, answers=False)
    for name in ("", "faxpost.ini"):
        os.chown(os.path.join(gateway.folder, name), NOBODY, NOBODY)
    programs = box.path("bin")
    os.mkdir(programs)
    for name in ("faxpostd", "faxpost"):
        shutil.copy(os.path.join(BUILD, "src", name), programs)
    log = open(gateway.log_path, "w")
    process = subprocess.Popen(as_somebody([programs + "/faxpostd", "-F", "-c", gateway.conf]),
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    gateway.process = process
    box.closers.append(gateway.stop)

    def ask(*arguments):
        return ended(as_somebody([programs + "/faxpost", "-c", gateway.conf, *arguments]))
    wait_for("faxpostd is ready", lambda: ask("status").returncode == 0)
    assert ask("reload").returncode == 0
    assert ask("list", "--json").returncode == 0
    assert os.stat(gateway.state).st_uid == NOBODY


@sanitized
def test_control_socket_stands_nonsense(box):
    gateway = quiet(box)
    path = os.path.join(gateway.folder, "run/control.sock")
    table = [
        (b"\n", "JSON object"),
        (b"[1]\n", "JSON object"),
        (b"\xff\xfe\n", "JSON object"),
        (b"{}\n", "no such command"),
        (b'{"command": "explode"}\n', "no such command"),
        (b'{"command": 7}\n', "no such command"),
        (b'{"command": "show", "id": ["x"]}\n', "name a fax"),
        (b'{"command": "show", "id": "%s"}\n' % (b"x" * 3000), "no fax is called"),
        (b'{"command": "list", "limit": -5}\n', '"ok":true'),
        (b'{"command": "log", "after": 1e99}\n', '"ok":true'),
        (b"x" * 25000, "too long"),
    ]
    for request, answer in table:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(path)
            client.sendall(request)
            reply = client.recv(100000).decode()
            assert answer in reply, f"{request[:60]}: {reply}"
    crowd = []
    for _ in range(40):
        crowd.append(socket.socket(socket.AF_UNIX))
        crowd[-1].connect(path)
    crowd[-1].settimeout(10)
    assert b"too many connections" in crowd[-1].recv(1000)
    for client in crowd:
        client.close()
    wait_for("the crowd is gone", lambda: gateway.faxpost("status", check=False) is not None)
    with socket.socket(socket.AF_UNIX) as client:  # several requests on one connection
        client.settimeout(10)
        client.connect(path)
        client.sendall(b'{"command": "version"}\n' * 50)
        got = b""
        while got.count(b"\n") < 50:
            got += client.recv(100000)
    assert gateway.faxpost("status")["daemon"]


def lingering(peers):
    """A socket whose last close lasts a minute: its peer reads nothing of what is to be sent."""
    listener = socket.create_server(("127.0.0.1", 0))
    sender = socket.create_connection(listener.getsockname())
    peers += [listener, listener.accept()[0]]
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
    sender.setblocking(False)
    try:
        while True:
            sender.send(bytes(65536))
    except BlockingIOError:
        return sender


@timeout(60)
def test_control_socket_waits_for_no_close(box):
    """Descriptors that a client sent, and some that nobody read, close in their own time."""
    gateway = quiet(box)
    path = os.path.join(gateway.folder, "run/control.sock")
    deliver = roles(gateway.process.pid)["deliver"]
    peers = []
    os.kill(deliver, signal.SIGSTOP)  # or it might close them first, and leave the wait to us
    for octets in (b"x", b"x" * 100000):  # as a request, and more than is read at once
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(path)
        client.setblocking(False)
        for _ in range(2):
            with lingering(peers) as sender:
                socket.send_fds(client, [octets], [sender.fileno()])
        client.close()
    os.kill(deliver, signal.SIGCONT)
    for _ in range(3):
        status = ended([COMMAND, "-c", gateway.conf, "status"], timeout=20)
        assert status.returncode == 0, status.stderr
    assert roles(gateway.process.pid)["deliver"] == deliver
    for peer in peers:  # what lasts comes to its end
        peer.close()


def test_usage(box):
    table = [
        ([DAEMON, "-V"], 0, "faxpostd "), ([DAEMON, "-h"], 0, "usage:"),
        ([DAEMON, "-x"], 2, "usage:"), ([DAEMON, "more"], 2, "unexpected argument"),
        ([DAEMON, "--role=cook"], 2, "no such role"),
        ([COMMAND], 2, "usage:"), ([COMMAND, "fly"], 2, "no such command"),
        ([COMMAND, "show"], 2, "ID"), ([COMMAND, "list", "x"], 2, "unexpected argument"),
        ([COMMAND, "export", "abc"], 2, "-o FILE"), ([COMMAND, "--limit", "0", "list"], 2, "limit"),
        ([COMMAND, "version"], 0, "faxpost "), ([COMMAND, "help"], 0, "usage:"),
        ([COMMAND, "-c", box.path("none.ini"), "list"], 78, "no such file"),
    ]
    for arguments, code, words in table:
        done = ended(arguments)
        assert done.returncode == code, f"{arguments}: {done}"
        assert words in done.stdout + done.stderr, f"{arguments}: {done}"


# ---- what is installed -----------------------------------------------------------------------------


def test_samples_are_good(box):
    """The sample files as they are, and with every key that is commented out put in."""
    for name in ("faxpost.ini", "servers.ini", "bypass.ini"):
        shutil.copy(os.path.join(TOP, "etc", name), box.folder)
    text = open(box.path("faxpost.ini")).read()
    box.write("faxpost.ini", text.replace("\nuser = faxpost", "\nuser = root"))
    done = ended([DAEMON, "-t", "-c", box.path("faxpost.ini")])
    assert done.returncode == 0, done.stderr
    for name in ("faxpost.ini", "servers.ini", "bypass.ini"):
        text = open(box.path(name)).read().replace("\n;", "\n")
        box.write(name, text)
    open(box.path("password"), "w").write("secret\n")
    os.chmod(box.path("password"), 0o600)
    done = ended([DAEMON, "-t", "-c", box.path("faxpost.ini")])
    assert done.returncode == 0, done.stderr
    dump = ended([DAEMON, "-T", "-c", box.path("faxpost.ini")]).stdout
    assert "secret" not in dump


def test_manual_has_every_key(box):
    for file, page in (("faxpost.ini", "faxpost.ini.5"), ("templates", "faxpost.ini.5"),
                       ("servers.ini", "faxpost-servers.ini.5"),
                       ("bypass.ini", "faxpost-bypass.ini.5"),
                       ("modems.ini", "faxpost-modems.ini.5")):
        table = ended([DAEMON, "--man-keys", file]).stdout
        text = open(os.path.join(TOP, "doc", page)).read()
        assert len(table) > 200 and table in text, \
            f"doc/{page} does not hold the table of `faxpostd --man-keys {file}`"
