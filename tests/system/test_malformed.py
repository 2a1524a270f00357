"""A message of the log that can't be read: the process says so and ends, and what it was about arrives later."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.integration.replication.cable import Cable
from tests.system.scene import PARTICIPANT, staged

# one message of the output plugin, within the frame that the server puts around it
MESSAGE: Final = re.compile(rb'w(.{24})\{"action":"I"', re.DOTALL)


def through(cable: Cable, dsn: str) -> str:
    """Return the URL of the database as it is reached through the cable."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(
        netloc=f"{parts.username}:{parts.password}@127.0.0.1:{conninfo_to_dict(cable.dsn)['port']}",
        query="sslmode=disable",
    ))


@pytest.mark.parametrize(
    "spoilt", [rb'?\1{"action":"I"', rb'w\1["action":"I"', rb'w\1{"action":"?"'],
    ids=["no such frame", "no JSON", "no such action"],
)
async def test_what_can_t_be_read_ends_the_process_with_the_reason_and_is_not_lost(
    mapable_dsn: str, spoilt: bytes
) -> None:
    async with (
        Cable(mapable_dsn) as cable,
        staged(mapable_dsn, DATABASE_URL=through(cable, mapable_dsn)) as scene,
    ):
        cable.spoil = lambda chunk: MESSAGE.sub(spoilt, chunk)

        await scene.run(PARTICIPANT, id="unread", name="Nobody's Business")

        assert await scene.service.ended() == 3
        said = "\n".join(scene.service.lines)
        assert "is not what wal2json with format-version 2 writes" in said
        assert "be of a version that this release knows" in said
        assert "Nobody" not in said
        cable.spoil = bytes
        await scene.start_again()
        await scene.until(lambda: scene.shows("Participants", "unread", Name="Nobody's Business"))
