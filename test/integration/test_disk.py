# SPDX-License-Identifier: MIT
"""The disk of the state folder fails while faxes come in and go out: doc/FAULTS.md. The faults come
from test/powerloss/disk_shim.so, which stands before the C library of faxpostd, and from real file
systems of the test's own: one that is full, one with a quota, one that is made read-only, one that the
kernel gives up."""

import errno
import os
import pwd
import shutil
import subprocess

import folder
import netns
from fake import Fake
from harness import BUILD, Gateway, Skip, run, timeout, wait_for

PAGE = {"p": 1, "k": "text", "l": 400}
PAGES = {"p": 3, "k": "text", "l": 400}


class Disk:
    """disk.fail("write ENOSPC incoming/*", ...) until disk.mend(); see test/powerloss/disk_shim.h."""

    def __init__(self, box):
        self.box = box
        self.control = box.path("faults")

    def environment(self):
        shim = os.path.join(BUILD, "test/powerloss/disk_shim.so")
        if not os.path.exists(shim):
            raise Skip("disk_shim.so is not built: make test-programs")
        return {"LD_PRELOAD": self.box.reachable(shim), "FAXPOST_DISK_FAULTS": self.control,
                "FAXPOST_DISK_FOLDER": self.box.path("gateway", "state")}

    def fail(self, *rules):
        with open(self.control + ".new", "w") as file:
            file.write("\n".join(rules) + "\n")
        os.rename(self.control + ".new", self.control)

    def mend(self):
        os.unlink(self.control)


def has_sandbox(box):
    """The shim looks at a file that no role may see when it is locked in."""
    settings = box.write("plain.ini", "[gateway]\nstate_dir = state\n")
    return "sandbox" in run([os.path.join(BUILD, "src/faxpostd"), "-T", "-c", settings])


def start(box, settings=None, **more):
    """A gateway on a disk that fails when it is told to."""
    disk = Disk(box)
    sections = {"gateway": {"sandbox": "off"} if has_sandbox(box) else {},
                "retry": {"wait": "2s", "wait_max": "2s"}}
    for section, keys in (settings or {}).items():
        sections.setdefault(section, {}).update(keys)
    return disk, box.gateway(settings=sections, environment=disk.environment(), **more)


def fax(box, gateway, name="fax.tif", **document):
    return box.call(gateway, box.document(name, **document or PAGE), **{"from": "+15551234"})[0]


def wait_log(gateway, *words, seconds=30):
    """A line of the log with all these words."""
    wait_for(f"{words} in the log",
             lambda: any(all(word in line for word in words)
                         for line in gateway.log().splitlines()), seconds)


def check_goes_on(box, gateway, mails):
    """The next fax arrives by itself; so many mails there are then."""
    result = fax(box, gateway, "next.tif")
    assert result["ok"], result
    return gateway.mails(mails)


# ---- receiving -------------------------------------------------------------------------------------


def page_is_not_stored(box, error):
    disk, gateway = start(box)
    disk.fail(f"write {error} incoming/*/.page-*")
    result = fax(box, gateway)
    assert not result["ok"] and result["pages_confirmed"] == 0, result
    wait_log(gateway, "alert", "page not stored")
    disk.mend()
    gateway.wait_idle()
    mails = check_goes_on(box, gateway, 1)
    assert len(mails[0].images()) == 1


def test_page_on_full_disk(box):
    page_is_not_stored(box, "ENOSPC")


def test_page_over_quota(box):
    page_is_not_stored(box, "EDQUOT")


def test_page_on_bad_disk(box):
    page_is_not_stored(box, "EIO")


def test_page_with_failed_fsync(box):
    """Once: it is written anew under another name, and nobody notices. Always: not confirmed."""
    disk, gateway = start(box)
    disk.fail("fsync EIO incoming/*/.page-0001* 0 1")
    result = fax(box, gateway)
    assert result["ok"] and result["pages_confirmed"] == 1, result
    wait_log(gateway, "page written anew")
    gateway.mails(1)
    disk.fail("fsync EIO incoming/*/.page-0001*")
    result = fax(box, gateway)
    assert not result["ok"] and result["pages_confirmed"] == 0, result
    disk.mend()
    check_goes_on(box, gateway, 2)


def test_second_page_is_not_stored(box):
    """What was confirmed before arrives, and says that it is not all."""
    disk, gateway = start(box)
    disk.fail("write ENOSPC incoming/*/.page-0002*")
    result = fax(box, gateway, **PAGES)
    assert not result["ok"] and result["pages_confirmed"] == 1, result
    mail = gateway.mails(1)[0]
    assert len(mail.images()) >= 1
    wait_log(gateway, "fax taken over", "verdict=partial pages=1 ")
    disk.mend()
    check_goes_on(box, gateway, 2)


def test_no_folder_for_a_call(box):
    """On a full disk the line is busy; the call never begins."""
    disk, gateway = start(box)
    disk.fail("mkdir ENOSPC incoming/*")
    result = fax(box, gateway)
    assert not result["ok"] and result["sip"] == 486, result
    wait_log(gateway, "alert", "call refused")
    disk.mend()
    check_goes_on(box, gateway, 1)


def test_least_room(box):
    """Below [spool] min_free callers hear busy before a call begins, and the operator is told."""
    gateway = box.gateway(settings={"spool": {"min_free": "1024GB"}})
    result = fax(box, gateway)
    assert not result["ok"] and result["sip"] == 486, result
    wait_log(gateway, "alert", "min_free")
    wait_log(gateway, "alert", "disk space is low")
    for words in ("calls are refused", "disk space is low"):
        assert any(words in alarm for alarm in alarms(gateway)), alarms(gateway)
    gateway.sections["spool"]["min_free"] = "1"
    gateway.write_settings()
    gateway.reload()
    wait_for("a call is taken", lambda: fax(box, gateway, "again.tif")["ok"], 20, 0.5)
    wait_for("that is over", lambda: not any("calls" in alarm for alarm in alarms(gateway)))
    gateway.mails(1)


# ---- on the way ------------------------------------------------------------------------------------


def wait_and_mend(disk, gateway, *alarm):
    """Nothing arrives, the operator is told; then, by itself, once."""
    wait_log(gateway, "alert", *alarm)
    assert not gateway.mail_paths()
    disk.mend()
    gateway.mails(1, seconds=60)


def test_not_taken_over(box):
    disk, gateway = start(box)
    disk.fail("open,mkdir ENOSPC fax*")
    assert fax(box, gateway)["ok"]
    wait_and_mend(disk, gateway, "cannot be taken over")
    gateway.wait_idle()


def test_no_message_on_full_disk(box):
    disk, gateway = start(box)
    disk.fail("open,write ENOSPC fax/*message*")
    assert fax(box, gateway)["ok"]
    wait_and_mend(disk, gateway, "no mail can be made")


def test_no_message_on_bad_disk(box):
    disk, gateway = start(box)
    disk.fail("fsync EIO fax/*message*")
    assert fax(box, gateway)["ok"]
    wait_log(gateway, "message not composed")
    disk.mend()
    gateway.mails(1, seconds=60)


def test_database_full_on_the_way(box):
    """No commit, no take-over; the fax waits in incoming/."""
    disk, gateway = start(box)
    disk.fail("write ENOSPC faxpost.db*")
    assert fax(box, gateway)["ok"]
    wait_and_mend(disk, gateway, "cannot be taken over")
    gateway.wait_idle()


def test_mailbox_fails(box):
    disk, gateway = start(box)
    disk.fail("open,link,write,mkdir EIO mailbox*")
    assert fax(box, gateway)["ok"]
    wait_log(gateway, "mailbox", "input/output error")
    assert not gateway.mail_paths()
    disk.mend()
    gateway.mails(1, seconds=60)


@timeout(180)
def test_database_fails_while_delivering(box):
    """The server has taken the message when the database cannot note it: it is noted when there is
    room again, and not sent a second time without being called uncertain."""
    fake = Fake(box)
    disk, gateway = start(box, servers={"server one": fake.entry(1)},
                          settings={"mail": {"mailbox": "no"}})
    fake.see = lambda octets, recipients: disk.fail("write ENOSPC faxpost.db*")
    fax_id = folder.send(box, gateway)
    fake.wait_messages(1)
    wait_log(gateway, "alert", "database")
    fake.see = lambda octets, recipients: None
    disk.mend()
    assert folder.ended(gateway, fax_id, 90) == ["done"]
    log = folder.rows(gateway, fax_id)
    assert len(fake.taken) == 1 or any("uncertain" in row["result"] for row in log), log


# ---- the operator is told --------------------------------------------------------------------------


TOLD = {"report": {"mail": "yes", "every": "1s"}, "mail": {"mailbox": "no"}}


def wait_report(fake, *words, seconds=30):
    """A mail to the operator with all these words."""
    def look():
        texts = [octets.decode() for octets, _ in list(fake.taken)]
        return next((text for text in texts if all(word in text for word in words)), None)
    return wait_for(f"a report: {words}", look, seconds)


def wait_faxes(fake, count, seconds=60):
    """So many faxes have been sent, and no more."""
    def faxes():
        return sum(b"X-Faxpost-Fax-ID" in octets for octets, _ in list(fake.taken))
    wait_for(f"{count} faxes are sent", lambda: faxes() >= count, seconds)
    assert faxes() == count, f"{faxes()} faxes"


def alarms(gateway):
    return gateway.faxpost("status")["alarms"]


def test_operator_is_told(box):
    """Of pages that are not stored: by mail and in `faxpost status`; then, by itself, that it works."""
    fake = Fake(box)
    disk, gateway = start(box, TOLD, servers={"server one": fake.entry(1)})
    disk.fail("write ENOSPC incoming/*/.page-*", "open ENOSPC incoming/.probe")
    assert not fax(box, gateway)["ok"]
    text = wait_report(fake, "pages of faxes cannot be stored", "no space left")
    assert "To do: make room" in text, text
    assert any("pages of faxes" in alarm for alarm in alarms(gateway)), alarms(gateway)
    assert "ALARM: pages of faxes" in gateway.faxpost("status", json_=False)
    disk.mend()
    wait_report(fake, "over after", "pages of faxes")
    assert not alarms(gateway), alarms(gateway)


def test_report_without_a_disk(box):
    """Nothing can be written at all: calls are refused, and the operator hears of it all the same."""
    fake = Fake(box)
    disk, gateway = start(box, TOLD, servers={"server one": fake.entry(1)})
    disk.fail("all EROFS *")
    assert not fax(box, gateway)["ok"]
    wait_report(fake, "calls are refused", "not permitted")
    wait_log(gateway, "report sent past the spool")
    disk.mend()
    wait_report(fake, "over after", "calls are refused")
    assert fax(box, gateway, "next.tif")["ok"]
    wait_faxes(fake, 1)


# ---- real file systems -----------------------------------------------------------------------------


class OwnDiskGateway(Gateway):
    """With its state folder on a file system of its own."""
    @property
    def state(self):
        return self.box.path("disk", "state")


def own_disk(box, *arguments):
    """What mount(8) makes of the arguments is at "disk", and in it a folder for the state."""
    netns.own_mounts()
    os.mkdir(box.path("disk"))
    netns.mount(*arguments, box.path("disk"))
    os.chmod(box.path("disk"), 0o755)


def give_away(*folders):
    """To the account of the roles."""
    nobody = pwd.getpwnam("nobody")
    for path in folders:
        os.chown(path, nobody.pw_uid, nobody.pw_gid)


def image(box, megabytes, *command):
    """A file with a file system that this command makes in it; its loop device goes with its mount."""
    if os.geteuid() != 0:
        raise Skip("loop devices need root")
    if shutil.which(command[0]) is None:
        raise Skip(f"no {command[0]} here")
    path = box.write("image", "")
    os.truncate(path, megabytes << 20)
    run([*command, path])
    return path


def start_there(box, settings=None, **more):
    sections = {"gateway": {"state_dir": box.path("disk", "state")}, "spool": {"min_free": "0"},
                "retry": {"wait": "2s", "wait_max": "2s"}}
    for section, keys in (settings or {}).items():
        sections.setdefault(section, {}).update(keys)
    gateway = OwnDiskGateway(box, settings=sections, **more)
    box.closers.append(gateway.stop)
    return gateway.start()


def fill(box, leave):
    """All but so many octets of the small disk."""
    with open(box.path("disk", "filler"), "wb") as file:
        room = os.statvfs(box.path("disk"))
        for _ in range(room.f_bavail * room.f_frsize // 4096 - leave // 4096):
            file.write(b"x" * 4096)


def make_room(box):
    os.unlink(box.path("disk", "filler"))


@timeout(180)
def test_disk_fills_up(box):
    """With nothing left no page is confirmed; with room again all goes on by itself."""
    own_disk(box, "-t", "tmpfs", "-o", "size=8m", "none")
    os.mkdir(box.path("disk", "state"))
    give_away(box.path("disk", "state"))
    gateway = start_there(box)
    check_goes_on(box, gateway, 1)
    confirmed = 1
    for leave in (0, 12288, 40960, 81920):
        fill(box, leave)
        result = fax(box, gateway)
        print(f"{leave} octets left: confirmed {result['pages_confirmed']}")
        assert leave > 0 or not result["ok"], result
        confirmed += result["pages_confirmed"]
        make_room(box)
        gateway.wait_idle(60)
    gateway.mails(confirmed, seconds=90)  # of one page each
    check_goes_on(box, gateway, confirmed + 1)


def remount(box, how):
    netns.mount("-o", f"remount,bind,{how}", box.path("disk", "state", "incoming"))


@timeout(180)
def test_read_only(box):
    """Where calls are stored is made read-only, and writable again: busy, a report, and it goes on.
    (All of a file system with an open database cannot be remounted: the kernel says busy.)"""
    own_disk(box, "-t", "tmpfs", "-o", "size=64m", "none")
    os.mkdir(box.path("disk", "state"))
    incoming = box.path("disk", "state", "incoming")
    os.mkdir(incoming, 0o700)
    give_away(box.path("disk", "state"), incoming)
    netns.mount("--bind", incoming, incoming)
    fake = Fake(box)
    gateway = start_there(box, TOLD, servers={"server one": fake.entry(1)})
    remount(box, "ro")
    assert not fax(box, gateway)["ok"]
    wait_report(fake, "calls are refused", "not permitted")
    remount(box, "rw")
    wait_report(fake, "over after", "calls are refused")
    assert fax(box, gateway, "next.tif")["ok"]
    wait_faxes(fake, 1)


@timeout(180)
def test_quota(box):
    """A real quota, of btrfs, since Debian's tools for others are more: statvfs() shows room, and
    writing fails."""
    own_disk(box, "-o", "loop", image(box, 128, "mkfs.btrfs", "-q", "-M"))
    state, filler = box.path("disk", "state"), box.path("disk", "state", "filler")
    run(["btrfs", "subvolume", "create", state])
    give_away(state)
    run(["btrfs", "quota", "enable", box.path("disk")])
    run(["btrfs", "qgroup", "limit", "8M", state])
    fake = Fake(box)
    gateway = start_there(box, TOLD, servers={"server one": fake.entry(1)})
    try:
        with open(filler, "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
                os.fsync(file.fileno())
    except OSError as error:
        assert error.errno == errno.EDQUOT, error
    result = fax(box, gateway)
    assert not result["ok"] and result["pages_confirmed"] == 0, result
    wait_report(fake, "no space left")
    os.unlink(filler)
    os.sync()
    wait_report(fake, "over after")
    assert fax(box, gateway, "next.tif")["ok"]
    wait_faxes(fake, 1)


@timeout(180)
def test_file_system_gives_up(box):
    """The kernel finds an error in ext4 and takes no more writes: nothing is confirmed any more, the
    operator is told from memory; what was confirmed before is sent after a repair."""
    own_disk(box, "-o", "loop", image(box, 32, "mkfs.ext4", "-q"))
    os.mkdir(box.path("disk", "state"))
    give_away(box.path("disk", "state"))
    fake = Fake(box)
    fake.fail({"mail": "451 4.3.0 later"})
    gateway = start_there(box, TOLD, servers={"server one": fake.entry(1)})
    assert fax(box, gateway)["ok"]
    wait_log(gateway, "transmission failed")
    netns.mount("-o", "remount,abort", box.path("disk"))
    assert not fax(box, gateway, "lost.tif")["pages_confirmed"]
    fake.well()
    wait_report(fake, "calls are refused", seconds=90)
    gateway.stop()
    run(["umount", box.path("disk")])
    repair = subprocess.run(["e2fsck", "-p", box.path("image")], capture_output=True, text=True)
    assert repair.returncode <= 1, repair.stdout  # 1: mended
    netns.mount("-o", "loop", box.path("image"), box.path("disk"))
    gateway.start()
    wait_faxes(fake, 1)


# ---- the power is cut ------------------------------------------------------------------------------


@timeout(240)
def test_power_cut(box):
    """A whole faxpostd is recorded while calls and faxes from a folder come in; then states as a
    disk may have kept them, of any moment: what its log had promised by then is there."""
    state, log = box.path("gateway", "state"), box.path("disk-log")
    shim = Disk(box).environment()["LD_PRELOAD"]
    open(log, "w").close()
    os.chmod(log, 0o666)
    os.chmod(box.folder, 0o755)
    fake = Fake(box)
    gateway = Gateway(box, settings={"gateway": {"sandbox": "off"} if has_sandbox(box) else {}},
                      servers={"server one": fake.entry(1)},
                      environment={"LD_PRELOAD": shim, "FAXPOST_DISK_LOG": log,
                                   "FAXPOST_DISK_FOLDER": state})
    os.mkdir(state, 0o700)
    if os.geteuid() == 0:
        os.chown(state, folder.NOBODY, folder.NOBODY)
    inode = os.stat(state).st_ino
    box.closers.append(gateway.stop)
    gateway.start()
    calls = [box.calling(gateway, box.document(f"fax-{i}.tif", p=2, k="text", l=300, s=i + 1),
                         **{"from": f"+1555100{i}"}) for i in range(2)]
    for call in calls:
        result = call.wait()[0]
        assert result["ok"], result
    fake.wait_messages(2, 60)
    gateway.stop()
    print(run([os.path.join(BUILD, "test/powerloss/powerloss_daemon"), log, str(inode), state,
               "1000", str(os.getpid())], timeout=200))
