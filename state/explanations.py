"""Explanations: what people are told on their pages, as an outbox of comments. Each is said once, and never too many.

A comment that was begun and not confirmed may stand on its page already: it is looked up before it is sent again. The
texts quote values, so they stay here, in MapAble's own database, and only until they were said.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from psycopg.rows import class_row

from state.changes import Key, PageId
from state.database import Connection
from state.merge import Json

QUOTA: Final = 5
QUOTA_S: Final = 60.0
NOTICE_S: Final = 3600.0
"""A notice is shown until this long after it last counted."""
SENDING_S: Final = 120.0
"""Nobody else sends a comment that was begun, for this long."""

# One lock for the whole entity: a transaction that explains two fields could otherwise meet another one crosswise
LOCK: Final[LiteralString] = "select pg_advisory_xact_lock(hashtextextended('mapable-cdc explain ' || %(entity)s, 0))"

SAID: Final[LiteralString] = """
select 1 from explanation where page_id = %(page_id)s and field = %(field)s and digest = %(digest)s
"""

QUEUED_LATELY: Final[LiteralString] = """
select count(*) from explanation
where entity = %(entity)s and field = %(field)s
  and queued_at > clock_timestamp() - make_interval(secs => %(quota_s)s)
"""

QUEUE: Final[LiteralString] = """
insert into explanation (entity, system_id, participant_id, page_id, field, digest, text)
values (%(entity)s, %(system_id)s, %(participant_id)s, %(page_id)s, %(field)s, %(digest)s, %(text)s)
on conflict (page_id, field, digest) do nothing
"""

# One that is no longer shown starts anew
COUNT: Final[LiteralString] = """
insert into notice as n (entity, field, unsaid) values (%(entity)s, %(field)s, 1)
on conflict (entity, field) do update set
    unsaid = case when n.last_at < excluded.last_at - make_interval(secs => %(notice_s)s) then 1 else n.unsaid + 1 end,
    since = case when n.last_at < excluded.last_at - make_interval(secs => %(notice_s)s) then excluded.since
        else n.since end,
    last_at = excluded.last_at
"""

NOTICES: Final[LiteralString] = """
select entity, field, unsaid, since, last_at from notice
where last_at > clock_timestamp() - make_interval(secs => %(notice_s)s)
order by entity, field
"""

DUE: Final[LiteralString] = """
select id, entity, system_id, participant_id, page_id, field, text, begun_at, attempts, queued_at,
    extract(epoch from clock_timestamp() - queued_at)::float8 as age_s
from explanation
where state = 'waiting' and due_at <= clock_timestamp()
order by due_at, id
limit %(limit)s
"""

NEXT_DUE: Final[LiteralString] = """
select extract(epoch from min(due_at) - clock_timestamp())::float8 from explanation where state = 'waiting'
"""

# attempts tells whether somebody else had it in hand meanwhile
SENDING: Final[LiteralString] = """
update explanation set
    begun_at = coalesce(begun_at, clock_timestamp()),
    attempts = attempts + 1,
    due_at = clock_timestamp() + make_interval(secs => %(sending_s)s)
where id = %(id)s and state = 'waiting' and attempts = %(attempts)s
"""

END: Final[LiteralString] = "update explanation set state = %(state)s, text = null, begun_at = null where id = %(id)s"

LATER: Final[LiteralString] = """
update explanation set
    due_at = clock_timestamp() + make_interval(secs => %(wait_s)s),
    begun_at = case when %(unsent)s then null else begun_at end
where id = %(id)s and state = 'waiting'
"""

# What has been begun by a process that is gone
TAKE_OVER: Final[LiteralString] = """
update explanation set due_at = clock_timestamp() where state = 'waiting' and begun_at is not null
"""

# A sidecar that is older than it was does not know what was said since
DOUBT: Final[LiteralString] = """
update explanation set begun_at = coalesce(begun_at, queued_at) where state = 'waiting'
"""

# What Postgres refuses in a text
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Explanation:
    """One comment that is due. `begun_at`: when it was first sent, should nobody know yet whether it arrived."""

    id: int
    entity: str
    system_id: str
    participant_id: str | None
    page_id: PageId
    field: str
    text: str
    begun_at: datetime | None
    attempts: int
    queued_at: datetime
    age_s: float

    @property
    def key(self) -> Key:
        return Key(self.entity, self.system_id)


@dataclass(frozen=True, slots=True)
class Notice:
    """How many explanations about one field were left unsaid because there were too many."""

    entity: str
    field: str
    unsaid: int
    since: datetime
    last_at: datetime


def digest_of(value: Json | Sequence[Json]) -> str:
    """Return what is remembered of a value that was spoken of."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


async def explain(
    conn: Connection, key: Key, page_id: PageId, field: str, digest: str, text: str,
    *, participant_id: str | None = None,
) -> bool:
    """Queue a comment for the page in the caller's transaction; False when nothing is queued.

    Once per page, field and digest, for ever; and at most five a minute about one field of an entity: what goes beyond
    is counted in a notice, and may be said another time. Takes a lock until the transaction ends: call it last.
    """
    arguments = {
        "entity": key.entity, "system_id": key.system_id, "participant_id": participant_id, "page_id": page_id,
        "field": field, "digest": digest, "text": _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text),
        "quota_s": QUOTA_S, "notice_s": NOTICE_S,
    }
    if await (await conn.execute(SAID, arguments)).fetchone() is not None:
        return False
    await conn.execute(LOCK, arguments)
    row = await (await conn.execute(QUEUED_LATELY, arguments)).fetchone()
    if row is not None and row[0] >= QUOTA:
        await conn.execute(COUNT, arguments)
        return False
    return (await conn.execute(QUEUE, arguments)).rowcount == 1


async def notices(conn: Connection) -> tuple[Notice, ...]:
    """Return what was left unsaid lately."""
    async with conn.cursor(row_factory=class_row(Notice)) as cursor:
        await cursor.execute(NOTICES, {"notice_s": NOTICE_S})
        return tuple(await cursor.fetchall())


async def due(conn: Connection, limit: int = 20) -> tuple[Explanation, ...]:
    """Return the comments that may be sent now, the longest due first."""
    async with conn.cursor(row_factory=class_row(Explanation)) as cursor:
        await cursor.execute(DUE, {"limit": limit})
        return tuple(await cursor.fetchall())


async def next_due_s(conn: Connection) -> float | None:
    """Return the seconds until the next one is due (may be negative), or None when nothing waits."""
    row = await (await conn.execute(NEXT_DUE)).fetchone()
    return row[0] if row is not None else None


async def sending(conn: Connection, item: Explanation) -> bool:
    """Note, durably, that the comment is about to be sent; False when somebody else has it in hand."""
    arguments = {"id": item.id, "attempts": item.attempts, "sending_s": SENDING_S}
    return (await conn.execute(SENDING, arguments)).rowcount == 1


async def sent(conn: Connection, item: Explanation) -> None:
    """The comment stands on its page; its text is forgotten."""
    await conn.execute(END, {"id": item.id, "state": "sent"})


async def dropped(conn: Connection, item: Explanation) -> None:
    """The comment can't be said any more; its text is forgotten."""
    await conn.execute(END, {"id": item.id, "state": "dropped"})


async def later(conn: Connection, item: Explanation, *, wait_s: float, unsent: bool) -> None:
    """Try again in `wait_s`. `unsent`: it certainly was not written, so there is nothing to look up then."""
    await conn.execute(LATER, {"id": item.id, "wait_s": wait_s, "unsent": unsent})


async def doubt(conn: Connection) -> None:
    """Have everything that waits looked up on its page before it is said."""
    await conn.execute(DOUBT)


async def take_over(conn: Connection) -> int:
    """Make due what an earlier process, which can't send any more, had begun; return how many there were."""
    return (await conn.execute(TAKE_OVER)).rowcount
