# SPDX-License-Identifier: MIT
"""Strangers' bytes: the short form of test/campaign-hostile, and a fax machine behind a modem."""

import re

import hostile
from harness import Skip, built_with_tsan, sanitized, timeout, wait_for
from softmodem import SoftModem, need_ptys
from test_calls import SHORT


@sanitized
@timeout(300)
def test_hostile_calls(box):
    if built_with_tsan():
        raise Skip("its far ends wait as long as T.30 says, and not for a build that is ten times "
                   "as slow")
    gateway = box.gateway(settings=hostile.settings_of(box))
    print(hostile.run(box, gateway, 20261122))


@timeout(240)
def test_hostile_call_by_modem(box):
    need_ptys()
    modem = SoftModem(box)
    gateway = box.gateway(settings={**hostile.settings_of(box), "line desk": modem.settings()})
    receiver = hostile.Receiver(gateway)
    wait_for("the modem is ready", lambda: "modem ready" in gateway.log(), 60)
    result = modem.call(box.document("forged.tif", **hostile.FULL), forge="fcd-short")
    assert result["pages_confirmed"] == 0, result
    wait_for("the log tells", lambda: re.search(
        r'frames dropped fax=.* last="FCD of a wrong length"', gateway.log()))
    result = modem.call(box.document(**SHORT))
    assert result["ok"], result
    assert receiver.is_alive()
