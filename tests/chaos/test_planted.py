"""The harness is itself proved: bugs planted into a copy of the program, each of them caught."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from deploy.local.server import PrivateServer
from tests.chaos.calamities import FROZEN
from tests.chaos.outcome import Profile
from tests.chaos.planting import PATCHES, plant
from tests.chaos.run import play
from tests.chaos.stage import prepare

WRITES_FAIL: Final = tuple(f"{kind} before {to}" for kind in ("500", "503", "reset") for to in ("PATCH", "POST"))
ANSWERS_LOST: Final = tuple(f"{kind} after PATCH" for kind in ("500", "502", "reset", "malformed"))
LOOKUPS_FAIL: Final = tuple(f"{kind} before query" for kind in ("500", "503", "reset", "malformed"))
CUT_OFF: Final = ("backends terminated", "others cut", "restart fast", "restart immediate")

CAUGHT: Final = {
    # planted bug: (what happens more often than usual, seeds, what a finding says)
    "acknowledge-early": (Profile(200, 8, 8, ("anywhere",), CUT_OFF), (1, 2, 3), "in the row"),
    "base-on-intent": (Profile(200, 3, 10, ("before a write is saved",), WRITES_FAIL), (1, 2, 3), "nobody typed"),
    "forget-pushing": (Profile(200, 4, 12, ("after a write is saved",), ANSWERS_LOST), (1, 2, 3), "nobody typed"),
    "not-found-on-failure": (
        Profile(200, 8, 14, ("after a page is made",), LOOKUPS_FAIL), (1, 2, 3), "beside another one of ours",
    ),
    "drop-by-author": (
        Profile(250, 4, 8, ("after a write is saved",), ("lost webhooks", *ANSWERS_LOST)), (1, 2, 3), "in the row",
    ),
    "no-fencing": (Profile(200, 1, 6, ("anywhere",), (FROZEN,)), (1, 2, 3), ""),
    "clear-newer-marks": (Profile(200, 2, 6, ("anywhere",), ("slow Notion",)), (1, 2, 3), "in the row"),
}  # fmt: skip


@pytest.mark.parametrize("patch", sorted(PATCHES.glob("*.patch")), ids=lambda patch: patch.stem)
def test_a_planted_bug_fits_the_program_as_it_is(patch: Path, tmp_path: Path) -> None:
    plant(patch, tmp_path)

    assert patch.stem in CAUGHT


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", CAUGHT)
async def test_a_planted_bug_is_caught(private_postgres: PrivateServer, tmp_path: Path, bug: str) -> None:
    profile, seeds, says = CAUGHT[bug]
    plant(PATCHES / f"{bug}.patch", tmp_path)
    prepare(private_postgres)

    findings: list[str] = []
    for seed in seeds:
        report = await play(seed, private_postgres, profile, tmp_path)
        findings = [finding for finding in report.findings if says in finding]
        if findings:
            break

    assert findings, f"{bug} went unnoticed with seeds {seeds}"
