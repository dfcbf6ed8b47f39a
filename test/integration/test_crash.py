# SPDX-License-Identifier: MIT
"""What was confirmed outlives kill -9: the short form of test/campaign-crash."""

import crash
from harness import timeout


@timeout(600)
def test_confirmed_pages_are_mailed(box):
    print(crash.run(box, 18, seed=1, t38=6, audio=2, modems=1, quiet=(15, 19)))
