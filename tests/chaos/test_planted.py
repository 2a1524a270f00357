"""The harness is itself proved: bugs planted into a copy of the program, each of them caught."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from deploy.local.server import PrivateServer
from tests.chaos.calamities import FROZEN_WRITING
from tests.chaos.outcome import Profile
from tests.chaos.planting import PATCHES, plant
from tests.chaos.run import play
from tests.chaos.stage import prepare

AGAIN: Final = ("change_again_once_written",)
SIMPLE: Final = ("update_mapped", "update_hot", "edit", "edit_beside_mapable", "insert")

CAUGHT: Final = {
    # planted bug: (what happens more often than usual, the seed that catches it, what a finding says)
    "acknowledge-early": (
        Profile(12, 2, 0, ("after: the log is acknowledged",), doing=SIMPLE, patient=True), 1, "the slot stood further",
    ),
    "base-on-intent": (
        Profile(16, 2, 0, ("before: a page is written",), doing=SIMPLE, patient=True), 1, "nobody typed",
    ),
    "clear-newer-marks": (
        Profile(8, 0, 0, doing=AGAIN, always=("very slow Notion",), patient=True), 1, "in the row",
    ),
    "drop-by-author": (
        Profile(
            20, 0, 0, doing=("edit_who_is_pointed_at",), always=("lost webhooks", "relations touch both pages"),
            patient=True,
        ), 1, "in the row",
    ),
    "forget-pushing": (
        Profile(16, 2, 0, ("after: a page is written",), doing=AGAIN, patient=True), 1, "nobody typed",
    ),
    "hash-decides": (Profile(12, 0, 0, doing=("edit_while_mapable_wavers",), patient=True), 1, "in the row"),
    "no-fencing": (Profile(20, 0, 1, (), (FROZEN_WRITING,), SIMPLE), 1, ""),
    "not-found-on-failure": (
        Profile(
            12, 1, 3, ("after a page is made",), ("reset after POST",), ("insert",), ("400 before lookup",),
            patient=True,
        ), 1, "beside another one of ours",
    ),
}  # fmt: skip


@pytest.mark.parametrize("patch", sorted(PATCHES.glob("*.patch")), ids=lambda patch: patch.stem)
def test_a_planted_bug_fits_the_program_as_it_is(patch: Path, tmp_path: Path) -> None:
    plant(patch, tmp_path)

    assert patch.stem in CAUGHT


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", CAUGHT)
async def test_a_planted_bug_is_caught(private_postgres: PrivateServer, tmp_path: Path, bug: str) -> None:
    profile, seed, says = CAUGHT[bug]
    plant(PATCHES / f"{bug}.patch", tmp_path)
    prepare(private_postgres)

    report = await play(seed, private_postgres, profile, tmp_path)

    assert report.broken is None
    assert [finding for finding in report.findings if says in finding], f"unnoticed: {report.findings}"
