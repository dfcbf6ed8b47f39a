# SPDX-License-Identifier: MIT
"""Faxes outlive kill -9: the short form of test/campaign-kill."""

import campaign
from harness import sanitized, timeout


@sanitized
@timeout(120)
def test_mails_arrive_once(box):
    print(campaign.run(box, 5, seed=1))
