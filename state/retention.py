"""What is forgotten by age: old audit lines, and conflicts that were closed that long ago (both hold values)."""

from __future__ import annotations

from typing import Final, LiteralString

from state.database import Connection

# In small steps: each is a short transaction, whatever has piled up
PRUNE_AUDIT: Final[LiteralString] = """
delete from audit_log where id in (
    select id from audit_log
    where at < clock_timestamp() - make_interval(days => %(days)s)
    order by at
    limit %(limit)s
)
"""

PRUNE_CONFLICTS: Final[LiteralString] = """
delete from conflict where id in (
    select id from conflict
    where status in ('resolved', 'converged') and closed_at < clock_timestamp() - make_interval(days => %(days)s)
    limit %(limit)s
)
"""

PRUNED_AT_ONCE: Final = 5_000


async def prune_audit(conn: Connection, days: int, limit: int = PRUNED_AT_ONCE) -> int:
    """Delete some audit lines older than `days`; return how many: call again until that is 0."""
    return (await conn.execute(PRUNE_AUDIT, {"days": days, "limit": limit})).rowcount


async def prune_conflicts(conn: Connection, days: int, limit: int = PRUNED_AT_ONCE) -> int:
    """Delete some conflicts that were closed more than `days` ago; return how many."""
    return (await conn.execute(PRUNE_CONFLICTS, {"days": days, "limit": limit})).rowcount
