# SPDX-License-Identifier: MIT
"""Modem lines: faxpostd at soft modems, called by efax, which has a T.30 of its own, and by the
library's. Calls are made side by side, for a page takes the time it takes on a telephone."""

import os
import signal

from harness import alone, images, sanitized, timeout, wait_for
from softmodem import Efax, SoftModem, images_below
from test_calls import check_mail, check_partial, mail_of
from test_programs import roles

ROUTE = {"route all": {"called": "*", "to": "all@example.com", "attach": "both"}}
SHORT = {"k": "text", "l": 400}


def modem_gateway(box, modems, more=None, **arguments):
    """A gateway with a line for each modem, all of them ready; `more` are further settings."""
    settings = {"gateway": {"lock_dir": box.folder}, **ROUTE}
    for modem in modems:
        settings["line " + modem.name] = modem.settings(station="+15552000", called="5552100")
    for section, keys in (more or {}).items():
        settings.setdefault(section, {}).update(keys)
    gateway = box.gateway(settings=settings, **arguments)
    for modem in modems:
        wait_ready(gateway, modem.name)
    return gateway


def wait_ready(gateway, line, count=1, seconds=60):
    """The log has said so many times that the modem of a line is ready."""
    wait_for(f"line {line} is ready", lambda: gateway.log().count(ready_text(line)) >= count,
             seconds)


def ready_text(line):
    return f'modem ready line="{line}" '


def wait_log(gateway, *words, seconds=60):
    """Waits for a line of the log that has all of these words; gives it."""
    def look():
        found = [line for line in gateway.log().splitlines() if all(w in line for w in words)]
        return found[0] if found else None
    return wait_for(f"{words} in the log", look, seconds)


def by_line(mails):
    """The mail of each line; one for a line."""
    found = {mail["X-Faxpost-Line"]: mail for mail in mails}
    assert len(found) == len(mails), [mail["Subject"] for mail in mails]
    return found


def told_ok(result, pages):
    """The tool's own fax machine was told that all went well."""
    assert result["ok"] and result["pages_confirmed"] == pages, result


# ---- calls that go well ----------------------------------------------------------------------------


@sanitized
@timeout(240)
def test_efax_sends_a_page_and_three(box):
    modems = [SoftModem(box, name, second=True) for name in ("desk", "hall")]
    gateway = modem_gateway(box, modems)
    senders = {"desk": Efax(box, modems[0], 1), "hall": Efax(box, modems[1], 3, seed=10, l=400)}
    for sender in senders.values():
        assert sender.wait() == 0, sender.log()
    for line, mail in by_line(gateway.mails(2)).items():
        assert images_below(mail.save("image/tiff")) == senders[line].images(), f"{line}: pages"
        assert mail["X-Faxpost-Station"] == "+15559000", mail["X-Faxpost-Station"]
        assert mail["X-Faxpost-Called"] == "5552100", mail["X-Faxpost-Called"]
        assert mail["X-Faxpost-Verdict"] == "complete", mail["X-Faxpost-Verdict"]


# line, what its caller does, what the modem is told of the caller, options of the soft modem
WAYS = [
    ("desk", {"ecm": "yes", "compressions": "t6"}, {"number": "5551001", "name": "Office North"},
     {}),
    ("hall", {"ecm": "no", "modems": "v29,v27ter", "compressions": "1d,2d"},
     {"line": "NMBR = 5551002"}, {"latency": "35"}),
    ("loft", {"ecm": "yes", "modems": "v27ter", "compressions": "1d"}, {"number": "P"}, {}),
]


@timeout(240)
def test_ways_to_send(box):
    """ECM and T.6, no ECM through a port that is 35 ms late, V.27 ter; and who calls."""
    modems = {line: SoftModem(box, line, **options) for line, _, _, options in WAYS}
    gateway = modem_gateway(box, list(modems.values()))
    calls = {}
    for number, (line, fax, caller, _) in enumerate(WAYS):
        document = box.document(f"sent-{line}.tif", p=2, s=number + 1, **SHORT)
        calls[line] = document, modems[line].calling(document, station=f"+1555{number}", **fax,
                                                     **caller)
    for document, call in calls.values():
        told_ok(call.wait(), 2)
    mails = by_line(gateway.mails(3))
    for line, (document, _) in calls.items():
        check_mail(mails[line], document)
    assert mails["desk"]["X-Faxpost-Caller"] == "5551001", mails["desk"]["X-Faxpost-Caller"]
    assert "Office North" in mails["desk"].text, mails["desk"].text
    assert mails["hall"]["X-Faxpost-Caller"] == "5551002", mails["hall"]["X-Faxpost-Caller"]
    shown = gateway.faxpost("show", mails["desk"]["X-Faxpost-Fax-ID"])["fax"]
    assert shown["caller"] == "5551001" and shown["caller_name"] == "Office North", shown


@alone
@timeout(240)
def test_four_modems_and_four_sip_calls(box):
    """All at once, on the threads of one role."""
    modems = [SoftModem(box, f"desk{n}") for n in range(4)]
    gateway = modem_gateway(box, modems)
    documents = [box.document(f"sent-{n}.tif", p=1, s=n + 1, **SHORT) for n in range(8)]
    calls = [modem.calling(document, number=f"+1777000{n}", ecm="no" if n % 2 else "yes")
             for n, (modem, document) in enumerate(zip(modems, documents))]
    sip = [box.calling(gateway, document, **{"from": f"+1777000{n + 4}"},
                       **({"audio": "alaw"} if n % 2 else {"t38": "redundancy"}))
           for n, document in enumerate(documents[4:])]
    for call in calls:
        told_ok(call.wait(), 1)
    for call in sip:
        told_ok(call.wait()[0], 1)
    mails = gateway.mails(8)
    for number, document in enumerate(documents):
        check_mail(mail_of(mails, f"+1777000{number}"), document)


# ---- modems that go away ---------------------------------------------------------------------------


@timeout(240)
def test_pulled_out_and_put_back(box):
    """In the middle of page 2: page 1 is mailed as a partial fax, the line says what is wrong, takes
    the modem back, and the next fax is whole."""
    modem = SoftModem(box)
    gateway = modem_gateway(box, [modem])
    document = box.document(p=2, **SHORT)
    call = modem.calling(document, number="5551001", ecm="no")
    wait_for("page 2 is on the line", lambda: any(
        e["event"] == "page" and e["number"] == "2" for e in modem.events), 90)
    modem.command("unplug")
    result = call.wait()
    assert not result["ok"] and result["pages_confirmed"] == 1, result
    check_partial(gateway.mails(1)[0], images(document), 1)
    modem.command("plug")
    wait_ready(gateway, "desk", 2)
    again = box.document("again.tif", p=1, s=5, **SHORT)
    told_ok(modem.call(again, number="5551002"), 1)
    check_mail(mail_of(gateway.mails(2), "5551002"), again)


@timeout(240)
def test_receive_role_dies_in_a_call(box):
    """kill -9 in page 2 of 3: page 1 is mailed, once; the line is taken back from the lock that the
    dead left, and the next fax is whole."""
    modem = SoftModem(box)
    gateway = modem_gateway(box, [modem])
    document = box.document(p=3, **SHORT)
    call = modem.calling(document, number="5551001", ecm="no")
    wait_for("page 2 is on the line", lambda: any(
        e["event"] == "page" and e["number"] == "2" for e in modem.events), 90)
    os.kill(roles(gateway.process.pid)["receive"], signal.SIGKILL)
    result = call.wait()
    assert not result["ok"] and result["pages_confirmed"] == 1, result
    check_partial(gateway.mails(1, 60)[0], images(document), 1)
    wait_ready(gateway, "desk", 2)
    again = box.document("again.tif", p=1, s=5, **SHORT)
    told_ok(modem.call(again, number="5551002"), 1)
    check_mail(mail_of(gateway.mails(2), "5551002"), again)


# ---- ports and modems that are no good -------------------------------------------------------------


@sanitized
@timeout(240)
def test_bad_ports_and_modems(box):
    """Each says what is wrong and what to do; the others, and SIP, go on. What is mended is taken."""
    good = SoftModem(box, "good")
    locked = SoftModem(box, "locked")
    bad = {mode: SoftModem(box, mode, mode=mode) for mode in ("error", "mute", "garbage")}
    lock = lock_of(box, locked)
    settings = {"line absent": {"type": "modem", "device": box.path("absent")},
                "line file": {"type": "modem", "device": box.write("no-port", "")}}
    for modem in [locked, *bad.values()]:
        settings["line " + modem.name] = modem.settings()
    gateway = modem_gateway(box, [good], more=settings)
    document = box.document(p=1, **SHORT)
    sip = box.calling(gateway, document, t38="redundancy", **{"from": "5551001"})
    call = good.calling(document, number="5551002")
    wait_log(gateway, 'line="absent"', "no such device")
    wait_log(gateway, 'line="file"', "is no device")
    wait_log(gateway, 'line="locked"', "in use by pid")
    wait_log(gateway, 'line="error"', "says ERROR to everything")
    wait_log(gateway, 'line="mute"', "does not answer to AT", seconds=120)
    wait_log(gateway, 'line="garbage"', "but no answer to AT", seconds=120)
    told_ok(sip.wait()[0], 1)
    told_ok(call.wait(), 1)
    for mail in gateway.mails(2):
        check_mail(mail, document)
    os.unlink(lock)
    bad["mute"].command("mode well")
    gateway.sections["line absent"]["device"] = SoftModem(box, "spare").device
    gateway.write_settings()
    gateway.reload()
    for name in ("locked", "mute", "absent"):
        wait_ready(gateway, name, seconds=90)


def lock_of(box, modem):
    """A lock as other programs make it (FHS 5.9), by this process; gives its path."""
    name = os.path.realpath(modem.device)[len("/dev/"):].replace("/", "_")
    return box.write(f"LCK..{name}", f"{os.getpid():10d}\n")


@timeout(120)
def test_port_without_rights(box):
    """faxpostd is not root and may not open the port: the log says which group would help."""
    modem = SoftModem(box, mode_bits="000")
    locks = box.path("locks")
    os.mkdir(locks)
    os.chmod(locks, 0o777)
    gateway = box.gateway(settings={"gateway": {"lock_dir": locks}, **ROUTE,
                                    "line desk": modem.settings()}, account=65534)
    wait_log(gateway, 'line="desk"', "no rights to")


# ---- calls that are no fax -------------------------------------------------------------------------


@timeout(240)
def test_calls_that_are_no_fax(box):
    """A person, a data modem, nobody: the call ends and says so, and the next one is a fax, whose
    caller is known although it rang while the modem was made ready."""
    modems = {name: SoftModem(box, name) for name in ("voice", "data", "none")}
    gateway = modem_gateway(box, list(modems.values()))
    document = box.document(p=1, **SHORT)
    calls = {}
    for number, (name, modem) in enumerate(modems.items()):
        modem.calling(sound=name, number="5551001")
        calls[name] = modem.calling(document, number=f"555200{number}")
    for call in calls.values():
        told_ok(call.wait(), 1)
    mails = by_line(gateway.mails(3, 60))
    for number, name in enumerate(modems):
        check_mail(mails[name], document)
        assert mails[name]["X-Faxpost-Caller"] == f"555200{number}", mails[name].text
        wait_log(gateway, f'call="{name}"', "verdict=empty", "no fax was heard")


@timeout(240)
def test_lines_that_are_odd(box):
    """A modem that answers by itself is hung up and set up again, one that finds no line gives up, a
    caller who gives up is not answered: the log says so, and a fax comes in after it."""
    modems = {name: SoftModem(box, name, **({} if name == "rings" else {"mode": name}))
              for name in ("self", "stuck", "rings")}
    gateway = modem_gateway(box, list(modems.values()), {"line rings": {"rings": "4"}})
    document = box.document(p=1, **SHORT)
    for modem in modems.values():
        modem.calling(sound="voice", rings=3)
    wait_log(gateway, 'line="self"', "answered a call by itself")
    wait_log(gateway, 'call="stuck"', "verdict=empty")
    calls = []
    for modem in modems.values():
        modem.command("mode well")
        calls.append(modem.calling(document, number="5552001"))
    for call in calls:
        told_ok(call.wait(), 1)
    mails = by_line(gateway.mails(3, 60))
    for name in modems:
        check_mail(mails[name], document)
    assert gateway.log().count('line="rings" caller=') == 1, "the caller who gave up was answered"


# ---- who may call ----------------------------------------------------------------------------------


def blocked(line, caller, rule):
    return f'call not answered line="{line}" caller="{caller}"', f"blocked by {rule}"


@timeout(240)
def test_allow_and_deny(box):
    """Who is blocked hears it ring, once in the log; the next caller, who is not, sends a fax. Settings
    that come during a call count from the next one on, and the modem is not set up anew for them."""
    modems = {name: SoftModem(box, name) for name in ("desk", "hall")}
    gateway = modem_gateway(box, list(modems.values()), {
        "line desk": {"deny": "5556*, anonymous", "rings": "1"},
        "line hall": {"allow": "5551*"}})
    document = box.document(p=1, **SHORT)
    for caller in ("5556000", "P"):
        modems["desk"].calling(sound="voice", number=caller, rings=3)
    for caller in (None, "5552000"):  # the modem is told nothing of the first
        modems["hall"].calling(sound="voice", rings=3, **({"number": caller} if caller else {}))
    for line, caller, rule in (("desk", "5556000", 'deny="5556*"'),
                               ("desk", "anonymous", 'deny="anonymous"'),
                               ("hall", "5552000", 'allow="(not in it)"'),
                               ("hall", "anonymous", 'allow="(not in it)"')):
        wait_log(gateway, *blocked(line, caller, rule))
    calls = [modem.calling(document, number="5551001") for modem in modems.values()]
    wait_log(gateway, "answered fax=", 'line="desk"')
    gateway.sections["line desk"]["deny"] = "5551*"
    gateway.write_settings()
    gateway.reload()
    wait_log(gateway, "reload done")
    for call in calls:
        told_ok(call.wait(), 1)
    modems["desk"].calling(sound="voice", number="5551001", rings=3)
    for mail in by_line(gateway.mails(2)).values():
        check_mail(mail, document)
    wait_log(gateway, *blocked("desk", "5551001", 'deny="5551*"'))
    log = gateway.log()
    assert [log.count(f'call not answered line="{line}"') for line in modems] == [3, 2], log
    assert log.count("answered fax=") == 2, log
    assert log.count(ready_text("desk")) == 1, "the modem was set up anew"


# ---- the disk --------------------------------------------------------------------------------------


@timeout(240)
def test_slow_store(box):
    """The disk takes 5 s: with ECM the sender hears RNR, without it nothing; no page comes twice."""
    modems = {"yes": SoftModem(box, "desk"), "no": SoftModem(box, "hall")}
    gateway = modem_gateway(box, list(modems.values()),
                            environment={"FAXPOST_TEST_STORE_DELAY_MS": "5000"})
    document = box.document(p=2, **SHORT)
    calls = [modem.calling(document, ecm=ecm) for ecm, modem in modems.items()]
    for call in calls:
        told_ok(call.wait(), 2)
    for mail in gateway.mails(2):
        check_mail(mail, document)


@timeout(240)
def test_page_that_cannot_be_stored(box):
    """No room for the second page: it is not confirmed, and the first is mailed as a partial fax."""
    modem = SoftModem(box)
    gateway = modem_gateway(box, [modem], environment={"FAXPOST_TEST_STORE_FAIL": "2"})
    document = box.document(p=3, **SHORT)
    result = modem.call(document, ecm="no")
    assert not result["ok"] and result["pages_confirmed"] == 1, result
    mail = gateway.mails(1, 60)[0]
    assert mail.images() == images(document)[:1], "the pages differ"
    assert "incomplete" in mail["Subject"], mail["Subject"]
