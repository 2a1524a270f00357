"""The webhook's verification token: expected for a quarter of an hour, stored once, then the key of every signature."""

from __future__ import annotations

from datetime import datetime
from typing import Final, LiteralString

from state import settings
from state.database import Connection

TOKEN: Final = "webhook_token"  # noqa: S105 - the name of a setting
EXPECTED: Final = "webhook_expected"
EXPECTED_MINUTES: Final = 15

EXPECT: Final[LiteralString] = """
insert into setting (name, value)
values (%(name)s, jsonb_build_object('until', clock_timestamp() + make_interval(mins => %(minutes)s)))
on conflict (name) do update set value = excluded.value
returning (value ->> 'until')::timestamptz
"""

EXPECTED_UNTIL: Final[LiteralString] = """
select (value ->> 'until')::timestamptz from setting
where name = %(name)s and (value ->> 'until')::timestamptz > clock_timestamp()
"""

# Taken by deleting it: of two tokens that arrive at once one is stored
TAKE_EXPECTED: Final[LiteralString] = """
delete from setting where name = %(name)s and (value ->> 'until')::timestamptz > clock_timestamp()
"""

FORGET: Final[LiteralString] = "delete from setting where name = any (%(names)s) returning name"


async def expect(conn: Connection) -> datetime:
    """Accept one token from now on; return until when."""
    row = await (await conn.execute(EXPECT, {"name": EXPECTED, "minutes": EXPECTED_MINUTES})).fetchone()
    assert row is not None
    until: datetime = row[0]
    return until


async def expected_until(conn: Connection) -> datetime | None:
    """Return until when a token is accepted; None: now none is."""
    row = await (await conn.execute(EXPECTED_UNTIL, {"name": EXPECTED})).fetchone()
    return row[0] if row is not None else None


async def store(conn: Connection, token: str) -> bool:
    """Store the token that is expected, in place of one before it; False when none is expected (any more)."""
    async with conn.transaction():
        if (await conn.execute(TAKE_EXPECTED, {"name": EXPECTED})).rowcount == 0:
            return False
        await settings.put(conn, TOKEN, {"token": token})
    return True


async def token(conn: Connection) -> str | None:
    """Return the stored token."""
    stored = await settings.get(conn, TOKEN)
    return str(stored["token"]) if stored is not None else None


async def reset(conn: Connection) -> bool:
    """Forget the token, and expect none; return whether there was one."""
    cursor = await conn.execute(FORGET, {"names": [TOKEN, EXPECTED]})
    return TOKEN in {row[0] for row in await cursor.fetchall()}
