"""The ledger of requests: what was noted is told with its age, by whichever process asks, and is not kept for ever."""

from __future__ import annotations

from typing import Final

from state.database import Pool
from state.settings import RequestLedger

WINDOW_S: Final = 60.0
NOTED: Final = """
insert into request_window (taken_at, requests) values
    (clock_timestamp() - interval '119 s', 3), (clock_timestamp() - interval '121 s', 5),
    (clock_timestamp() - interval '30 s', 7)
"""


async def test_what_one_process_noted_another_one_knows_oldest_first(pool: Pool) -> None:
    async with pool.connection() as conn:
        await conn.execute(NOTED)
    await RequestLedger(pool, WINDOW_S).take(16)

    taken = await RequestLedger(pool, WINDOW_S).taken()

    ages_s, requests = zip(*taken, strict=True)
    assert requests == (3, 7, 16)
    assert 119 <= ages_s[0] < 121
    assert 30 <= ages_s[1] < 60
    assert 0 <= ages_s[2] < 30


async def test_a_note_makes_those_of_long_ago_go(pool: Pool) -> None:
    async with pool.connection() as conn:
        await conn.execute(NOTED)

        await RequestLedger(pool, WINDOW_S).take(1)

        kept = await (await conn.execute("select requests from request_window order by taken_at")).fetchall()
    assert kept == [(3,), (7,), (1,)]
