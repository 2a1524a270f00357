"""The harness is itself proved: bugs planted into a copy of the program, by which changes are lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.server import PrivateServer
from tests.chaos.catching import CAUGHT, caught
from tests.chaos.planting import PATCHES, plant


@pytest.mark.parametrize("patch", sorted(PATCHES.glob("*.patch")), ids=lambda patch: patch.stem)
def test_a_planted_bug_fits_the_program_as_it_is(patch: Path, tmp_path: Path) -> None:
    plant(patch, tmp_path)

    assert patch.stem in CAUGHT


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", ["acknowledge-early", "clear-newer-marks", "drop-by-author", "hash-decides"])
async def test_a_planted_bug_is_caught(private_postgres: PrivateServer, tmp_path: Path, bug: str) -> None:
    assert await caught(bug, private_postgres, tmp_path)
