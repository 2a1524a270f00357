"""Short runs of the model-equivalence test, on a server of their own; `make chaos SEEDS=1-200` does many long ones."""

from __future__ import annotations

import pytest

from deploy.local.server import PrivateServer
from tests.chaos.moments import STEPS
from tests.chaos.outcome import FULL, Profile
from tests.chaos.report import line_of
from tests.chaos.run import play
from tests.chaos.stage import prepare
from tests.chaos.stepping import step_through

SHORT = Profile(operations=120, kills=2, faults=6)
VITAL = tuple(
    step for step in STEPS
    if step.name in {
        "the slot is made", "changes are marked", "a page is intended", "a page is made", "a write is noted",
        "a page is written", "a written page is settled", "a row is written", "a row is made",
    }
)


@pytest.mark.parametrize(("seed", "profile"), [(1, SHORT), pytest.param(2, FULL, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
async def test_whatever_goes_wrong_both_sides_end_as_the_model_has_them(
    private_postgres: PrivateServer, seed: int, profile: Profile
) -> None:
    prepare(private_postgres)

    report = await play(seed, private_postgres, profile)

    assert report.broken is None
    assert report.findings == [], line_of(report)
    assert (report.operations, report.faults) == (profile.operations, profile.faults)
    assert report.kills >= profile.kills


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_killed_right_before_and_right_after_what_becomes_durable_nothing_is_lost_or_doubled(
    private_postgres: PrivateServer,
) -> None:
    prepare(private_postgres)

    report = await step_through(VITAL, private_postgres)

    assert report.broken is None
    assert report.findings == [], line_of(report)
    assert report.kills >= 2 * len(VITAL)
    assert report.duplicates == 0
