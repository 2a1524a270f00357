"""Whose data this is: a sidecar that woke up in another cluster is held until a person says what happened.

A restored backup or a production dump on a staging server carries the sidecar, and with it the links to real pages. The
cluster's system identifier, timeline and database name tell it apart from the server it was on. Held means: no row, no
page and no slot is touched. `run` does not end over it, since it would only be started again: it tells, and waits for
`mapable-cdc adopt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cdc.replication.slot import ClusterIdentity, identify
from state import settings
from state.database import Connection, Pool
from state.errors import FatalError, SyncError

NAME: Final = "cluster"


class Held(FatalError):
    """The sidecar is not where it was: nothing may be written until a person says what happened."""

    def __init__(self, changed: Sequence[str]) -> None:
        super().__init__(
            f"this is not the database that the sidecar was on ({', '.join(changed)} changed), so nothing is sent",
            "If a standby was promoted: `mapable-cdc adopt --failover`. If a backup was restored here: `mapable-cdc "
            "adopt --restored`. If this is a copy (staging): drop the sidecar's schema, and set other databases up.",
        )


async def check(conn: Connection, now: ClusterIdentity) -> None:
    """Remember the cluster at the first start; raises Held, with nothing written, in another one."""
    if await settings.get(conn, NAME) is None:
        await adopt(conn, now)
        return
    changed = await changes(conn, now)
    if changed:
        raise Held(changed)


async def ours(pool: Pool, dsn: str) -> None:
    """Do the same for a command, which remembers nothing: only `run` decides where the sidecar is at home."""
    async with pool.connection() as conn:
        if await settings.get(conn, NAME) is None:
            return
    now = await identify(dsn)
    async with pool.connection() as conn:
        await check(conn, now)


async def changes(conn: Connection, now: ClusterIdentity) -> tuple[str, ...]:
    """Return what is not as it was where the sidecar was last; nothing when that is not known."""
    known = await settings.get(conn, NAME)
    if known is None:
        return ()
    return tuple(name for name, value in _facts(now).items() if known.get(name) != value)


async def elsewhere(conn: Connection, dsn: str) -> tuple[str, ...]:
    """Return the same for who only wants to tell it; nothing where the server can't be asked."""
    try:
        return await changes(conn, await identify(dsn))
    except SyncError:
        return ()


async def adopt(conn: Connection, now: ClusterIdentity) -> None:
    """Take this cluster for ours from now on."""
    await settings.put(conn, NAME, _facts(now))


def _facts(identity: ClusterIdentity) -> dict[str, str]:
    return {
        "system identifier": identity.system_identifier,
        "timeline": str(identity.timeline),
        "database": identity.database,
    }
