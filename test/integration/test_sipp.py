# SPDX-License-Identifier: MIT
"""What a plain SIP client sees: scenarios of SIPp, over UDP and TCP."""

import concurrent.futures
import glob
import os
import shutil
import subprocess

from harness import Skip, sanitized, timeout, wait_for
from test_calls import lines

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sipp")

# Scenarios that one gateway with three lines serves: name → the line's t38.
PLAIN = {
    "ask_glare": "ask", "ask_refused": "ask", "call": "accept", "call_both": "accept",
    "call_t38": "accept", "malformed_sdp": "accept", "methods": "accept",
    "no_common_media": "accept", "offerless": "accept", "offerless_no_answer": "accept",
    "options": "accept", "other_body": "accept", "refresh": "accept", "refuse_t38": "never",
    "reinvite_t38": "accept", "require": "accept", "update": "accept",
}
# Scenarios that need a gateway of their own: name → settings, environment.
SPECIAL = {
    "cancel": ({}, {"FAXPOST_TEST_OPEN_DELAY_MS": "2000"}),
    "hangs_up": ({"limits": {"stall": "2s"}, "line trunk": {"t38": "accept"}}, {}),
    "refused_for_now": ({"spool": {"min_free": "1024GB"}}, {}),
    "wrong_peer": ({"line trunk": {"peers": "192.0.2.0/24"}}, {}),
}
BUSY = "busy"  # needs a call that goes on meanwhile


def sipp(box, address, scenario, transport="udp"):
    """Plays a scenario once; gives what went wrong, or None."""
    if shutil.which("sipp") is None:
        raise Skip("SIPp is not installed")
    name = f"{scenario}-{transport}"
    os.mkdir(box.path(name))
    command = ["sipp", address, "-sf", os.path.join(FOLDER, scenario + ".xml"), "-m", "1",
               "-t", {"udp": "u1", "tcp": "t1"}[transport], "-i", "127.0.0.1",
               "-p", str(box.port()), "-mi", "127.0.0.1", "-mp", str(box.port(4)), "-nostdin",
               "-timeout", "30", "-timeout_error", "-trace_err", "-error_file", "errors"]
    try:
        done = subprocess.run(command, cwd=box.path(name), capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60,
                              env=dict(os.environ, TERM="dumb"))
    except subprocess.TimeoutExpired:
        return f"{scenario} by {transport}: still running after 60 s"
    if done.returncode == 0:
        return None
    errors = box.path(name, "errors")
    text = open(errors, errors="replace").read() if os.path.exists(errors) else done.stderr
    return f"{scenario} by {transport}: exit code {done.returncode}\n{text[:1500]}"


def test_every_scenario_is_played(box):
    names = {os.path.basename(p)[:-4] for p in glob.glob(FOLDER + "/*.xml")}
    assert names == set(PLAIN) | set(SPECIAL) | {BUSY}, names ^ (set(PLAIN) | set(SPECIAL) | {BUSY})


@sanitized
@timeout(180)
def test_scenarios(box):
    gateway = box.gateway(settings=lines(box))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        problems = [p for p in pool.map(
            lambda job: sipp(box, gateway.address(PLAIN[job[0]]), *job),
            [(name, transport) for name in sorted(PLAIN) for transport in ("udp", "tcp")]) if p]
    assert not problems, "\n".join(problems)
    assert gateway._answers(), "the line must go on answering"
    wait_for("all calls are over", lambda: not gateway.faxpost("status")["calls"])
    assert not gateway.mail_paths(), "a call without a page is no mail"


@timeout(120)
def test_scenarios_with_settings_of_their_own(box):
    problems = []
    for name, (settings, environment) in SPECIAL.items():
        gateway = box.gateway(settings=settings, environment=environment, name=name,
                              answers=name != "wrong_peer")
        problems.append(sipp(box, gateway.address(), name))
        gateway.stop()
    problems = [p for p in problems if p]
    assert not problems, "\n".join(problems)


@timeout(120)
def test_busy(box):
    gateway = box.gateway(settings={"line trunk": {"max_calls": "1", "t38": "accept"}})
    call = box.calling(gateway, box.document(p=1, k="text", l=900), t38="redundancy")
    wait_for("the call lives", lambda: gateway.faxpost("status")["calls"], 20)
    problem = sipp(box, gateway.address(), BUSY)
    assert problem is None, problem
    assert call.wait()[0]["ok"]
