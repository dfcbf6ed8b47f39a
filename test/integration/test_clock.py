# SPDX-License-Identifier: MIT
"""The wall clock is set while faxpostd runs, and while it does not. Its wall time comes from
test/powerloss/clock_shim.c, in disk_shim.so."""

import os
import time

import folder
from fake import Fake
from harness import BUILD, Skip, timeout, wait_for

DAY = 86400


class Clock:
    """clock.set(seconds ahead of the machine's)."""

    def __init__(self, box):
        self.box = box
        self.path = box.path("clock")
        self.set(0)

    def set(self, ahead):
        with open(self.path + ".new", "w") as file:
            file.write(str(ahead))
        os.rename(self.path + ".new", self.path)

    def environment(self):
        shim = os.path.join(BUILD, "test/powerloss/disk_shim.so")
        if not os.path.exists(shim):
            raise Skip("disk_shim.so is not built: make test-programs")
        return {"LD_PRELOAD": self.box.reachable(shim), "FAXPOST_CLOCK": self.path}


def start(box, server, **retry):
    clock = Clock(box)
    gateway = box.gateway(
        settings={"gateway": has_sandbox(box), "mail": {"mailbox": "no"},
                  "retry": {"wait": "3s", "wait_max": "3s", "expire": "5d", **retry}},
        servers={"server one": server.entry(1)}, environment=clock.environment())
    return clock, gateway


def has_sandbox(box):
    import test_disk
    return {"sandbox": "off"} if test_disk.has_sandbox(box) else {}


def rounds(gateway, fax_id, count):
    wait_for(f"{count} attempts", lambda: len(folder.rows(gateway, fax_id)) >= count, 60)


def waits_through(box, *jumps):
    """A delivery that a server puts off outlives the jumps, and is done when the server takes it."""
    server = Fake(box)
    server.fail({"mail": "452:4.3.1 full"}, times=1000)
    clock, gateway = start(box, server)
    fax_id = folder.send(box, gateway)
    rounds(gateway, fax_id, 2)
    for ahead in jumps:
        clock.set(ahead)
        rounds(gateway, fax_id, len(folder.rows(gateway, fax_id)) + 4)
        assert [d["state"] for d in folder.deliveries(gateway, fax_id)][0] not in folder.ENDS
    server.well()
    assert folder.ended(gateway, fax_id, 60) == ["done"]
    assert len(server.taken) == 1
    return gateway


@timeout(120)
def test_forward_beyond_the_age_limit(box):
    gateway = waits_through(box, 60 * DAY)
    assert "the clock was set by" in gateway.log()


@timeout(120)
def test_back_by_years(box):
    waits_through(box, -3000 * DAY)


@timeout(180)
def test_wrong_and_right_again(box):
    waits_through(box, 4000 * DAY, 0)


@timeout(120)
def test_during_a_call(box):
    """Ten years forward and back while pages come in."""
    server = Fake(box)
    clock, gateway = start(box, server)
    call = box.calling(gateway, box.document("fax.tif", p=2, k="text", l=400))
    for ahead in (4000 * DAY, -4000 * DAY, 0):
        time.sleep(4)
        clock.set(ahead)
    result = call.wait()[0]
    assert result["ok"] and result["pages_confirmed"] == 2, result
    server.wait_messages(1, 60)


@timeout(120)
def test_set_while_it_does_not_run(box):
    """It was off for a year by the clock: what waited is tried, not ended."""
    server = Fake(box)
    server.fail({"mail": "452:4.3.1 full"}, times=1000)
    clock, gateway = start(box, server)
    fax_id = folder.send(box, gateway)
    rounds(gateway, fax_id, 2)
    gateway.stop()
    clock.set(365 * DAY)
    gateway.start()
    rounds(gateway, fax_id, len(folder.rows(gateway, fax_id)) + 2)
    server.well()
    assert folder.ended(gateway, fax_id, 60) == ["done"]
    assert len(server.taken) == 1
