"""One short run of the model-equivalence test, on a server of its own; `make chaos SEEDS=1-200` does many long ones."""

from __future__ import annotations

import pytest

from deploy.local.server import PrivateServer
from tests.chaos.outcome import FULL, Profile
from tests.chaos.report import line_of
from tests.chaos.run import play
from tests.chaos.stage import prepare

SHORT = Profile(operations=120, kills=2, faults=6)


@pytest.mark.parametrize(
    ("seed", "profile"),
    [(1, SHORT), *(pytest.param(seed, FULL, marks=pytest.mark.slow) for seed in range(2, 8))],
)
@pytest.mark.timeout(300)
async def test_whatever_goes_wrong_both_sides_end_as_the_model_has_them(
    private_postgres: PrivateServer, seed: int, profile: Profile
) -> None:
    prepare(private_postgres)

    report = await play(seed, private_postgres, profile)

    assert report.findings == [], line_of(report)
    assert (report.operations, report.faults) == (profile.operations, profile.faults)
    assert report.kills >= profile.kills
