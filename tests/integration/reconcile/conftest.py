"""A stage for each test, and what works on one record at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.looking.stage import Stage, staged


@pytest.fixture
async def stage(mapable_dsn: str) -> AsyncIterator[Stage]:
    """A workspace that was set up, an empty MapAble, and an empty sidecar."""
    async with staged(mapable_dsn) as found:
        yield found
