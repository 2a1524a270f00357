"""Patients: one before the first start, one that is well."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.doctor.ward import INDEXES, Ward, admitted


@pytest.fixture
async def newcomer(mapable_dsn: str) -> AsyncIterator[Ward]:
    """MapAble as it is, and an empty workspace: nothing of ours was ever started."""
    async with admitted(mapable_dsn) as ward:
        yield ward


@pytest.fixture
async def ward(newcomer: Ward) -> Ward:
    """A patient who lacks nothing."""
    await newcomer.run(INDEXES)
    await newcomer.sets_up()
    return newcomer
