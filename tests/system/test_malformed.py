"""A message of the log that can't be read: the process says so and ends, and what it was about arrives later."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import pytest
from psycopg.conninfo import conninfo_to_dict

from cdc.replication import frames, pgoutput, wal2json
from tests.integration.replication.cable import Cable
from tests.plugins import PLUGIN
from tests.system.scene import PARTICIPANT, staged

# one message of the output plugin that tells of a new row, within the frame that the server puts around it
MESSAGE: Final = {
    "wal2json": re.compile(rb'w(.{24})\{"action":"I"', re.DOTALL),
    "pgoutput": re.compile(rb"w(.{24})I(.{4})N(\0.t\0{3}\x06unread)", re.DOTALL),
}[PLUGIN]
SPOILT: Final = {
    "wal2json": [
        pytest.param(rb'?\1{"action":"I"', frames.WRITES, id="no such frame"),
        pytest.param(rb'w\1["action":"I"', wal2json.WRITES, id="no JSON"),
        pytest.param(rb'w\1{"action":"?"', wal2json.WRITES, id="no such action"),
    ],
    "pgoutput": [
        pytest.param(rb"?\1I\2N\3", frames.WRITES, id="no such frame"),
        pytest.param(rb"w\1?\2N\3", pgoutput.WRITES, id="no such message"),
        pytest.param(rb"w\1I\2?\3", pgoutput.WRITES, id="no such row"),
    ],
}[PLUGIN]


def through(cable: Cable, dsn: str) -> str:
    """Return the URL of the database as it is reached through the cable."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(
        netloc=f"{parts.username}:{parts.password}@127.0.0.1:{conninfo_to_dict(cable.dsn)['port']}",
        query="sslmode=disable",
    ))


@pytest.mark.parametrize(("spoilt", "writer"), SPOILT)
async def test_what_can_t_be_read_ends_the_process_with_the_reason_and_is_not_lost(
    mapable_dsn: str, spoilt: bytes, writer: str
) -> None:
    async with (
        Cable(mapable_dsn) as cable,
        staged(mapable_dsn, DATABASE_URL=through(cable, mapable_dsn)) as scene,
    ):
        cable.spoil = lambda chunk: MESSAGE.sub(spoilt, chunk)

        await scene.run(PARTICIPANT, id="unread", name="Nobody's Business")

        assert await scene.service.ended() == 3
        said = "\n".join(scene.service.lines)
        assert f"is not what {writer} writes" in said
        assert "be of a version that this release knows" in said
        assert "Nobody" not in said
        cable.spoil = bytes
        await scene.start_again()
        await scene.until(lambda: scene.shows("Participants", "unread", Name="Nobody's Business"))
