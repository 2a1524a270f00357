"""The harness is itself proved: bugs planted by which something is written that nobody typed, or made twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.server import PrivateServer
from tests.chaos.catching import caught


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", ["base-on-intent", "forget-pushing", "no-fencing", "not-found-on-failure"])
async def test_a_planted_bug_is_caught(private_postgres: PrivateServer, tmp_path: Path, bug: str) -> None:
    assert await caught(bug, private_postgres, tmp_path)
