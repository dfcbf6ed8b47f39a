# SPDX-License-Identifier: MIT
"""The sandbox of the roles: what faxpost status says of it, kernels that lack something, and new
settings that need another one. What each role cannot do is tried by test/unit/test_sandbox."""

import ctypes
import os
import signal
import subprocess

from harness import BUILD, Gateway, Skip, wait_for
from test_programs import command, quiet, roles, status_of

LANDLOCK = 444  # landlock_create_ruleset(2), on every architecture
ROLES = {"receive", "compose", "deliver"}


def needs_landlock():
    version = ctypes.CDLL(None, use_errno=True).syscall(LANDLOCK, None, ctypes.c_size_t(0), 1)
    if version < 2:
        raise Skip("this kernel has no Landlock, or one too old")


def hide_landlock():
    """In a child before exec: from here on the kernel has no Landlock."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    allow, not_there = 0x7fff0000, 0x00050000 | 38  # ENOSYS
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(allow)))
    if not context or seccomp.seccomp_rule_add(context, ctypes.c_uint32(not_there), LANDLOCK, 0) or \
            seccomp.seccomp_load(context):
        os._exit(99)


def on_an_old_kernel(box, mode, name):
    """A gateway that is started where there is no Landlock; not waited for."""
    gateway = Gateway(box, answers=False, name=name, settings={"gateway": {"sandbox": mode}})
    with open(gateway.log_path, "a") as log:
        gateway.process = subprocess.Popen(
            [os.path.join(BUILD, "src/faxpostd"), "-F", "-c", gateway.conf],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=hide_landlock)
    return gateway


def states(gateway):
    """Of each role, as it is told so far."""
    notes = gateway.faxpost("status").get("notes", [])
    return {note["name"]: note["state"] for note in notes if note["kind"] == "sandbox"}


def test_status_shows_the_sandbox(box):
    needs_landlock()
    gateway = quiet(box, settings={"gateway": {"sandbox": "required"}})
    wait_for("all roles are told of", lambda: set(states(gateway)) == ROLES)
    assert states(gateway) == {role: "whole" for role in ROLES}, states(gateway)
    shown = command(gateway, "status").stdout
    assert "\nsandbox     whole\n" in shown, shown
    for role, pid in roles(gateway.process.pid).items():
        assert status_of(pid)["Seccomp"].strip() == "2", role
    assert "the sandbox of the roles is" not in gateway.log()


def test_off_is_told(box):
    gateway = quiet(box, settings={"gateway": {"sandbox": "off"}})
    wait_for("all roles are told of", lambda: set(states(gateway)) == ROLES)
    assert set(states(gateway).values()) == {"off"}, states(gateway)
    assert gateway.log().count('the sandbox of the roles is "off"') == 1, gateway.log()


def test_kernel_without_landlock(box):
    needs_landlock()
    gateway = on_an_old_kernel(box, "auto", "auto")
    box.closers.append(gateway.stop)
    wait_for("faxpostd is ready", gateway._is_ready)
    wait_for("all roles are told of", lambda: set(states(gateway)) == ROLES)
    assert all(state.startswith("without Landlock") for state in states(gateway).values())
    assert "sandbox     without Landlock" in command(gateway, "status").stdout
    assert gateway.log().count("the sandbox of the roles is") == 1, gateway.log()


def test_required_refuses_a_kernel_without_landlock(box):
    needs_landlock()
    gateway = on_an_old_kernel(box, "required", "required")
    assert gateway.process.wait(60) == 1, gateway.log()
    assert "sandbox is required and lacks Landlock" in gateway.log(), gateway.log()


def test_new_settings_that_need_another_sandbox(box):
    needs_landlock()
    gateway = quiet(box)
    before = roles(gateway.process.pid)
    gateway.sections["gateway"]["alarm_command"] = "/bin/true"
    gateway.write_settings()
    done = command(gateway, "reload")
    assert done.returncode == 0, done
    wait_for("deliver is another one",
             lambda: roles(gateway.process.pid).get("deliver") not in (None, before["deliver"]))
    wait_for("the control socket answers",
             lambda: gateway.faxpost("status", check=False) is not None)
    now = roles(gateway.process.pid)
    assert (now["receive"], now["compose"]) == (before["receive"], before["compose"]), "they died too"
    wait_for("its sandbox is told", lambda: states(gateway).get("deliver"))
    assert states(gateway)["deliver"] == "whole, programs may be started", states(gateway)
    assert "\nsandbox     deliver: whole, programs may be started\n" in \
        command(gateway, "status").stdout
    # Without it again: the wider sandbox will do, and nothing is started anew.
    del gateway.sections["gateway"]["alarm_command"]
    gateway.write_settings()
    os.kill(gateway.process.pid, signal.SIGHUP)
    wait_for("the settings are in force", lambda: gateway.log().count("reload done") == 2)
    assert roles(gateway.process.pid) == now


def test_sandbox_itself_needs_a_restart(box):
    gateway = quiet(box)
    gateway.sections["gateway"]["sandbox"] = "off"
    gateway.write_settings()
    done = command(gateway, "reload")
    assert done.returncode == 1 and "[gateway] sandbox cannot change" in done.stdout + done.stderr, done
