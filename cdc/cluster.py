"""Whose data this is: a sidecar that woke up in another cluster is held until a person says what happened.

A restored backup or a production dump on a staging server carries the sidecar, and with it the links to real pages. The
cluster's system identifier, timeline and database name tell it apart from the server it was on.
"""

from __future__ import annotations

from typing import Final

from cdc.replication.slot import ClusterIdentity
from state import settings
from state.database import Connection
from state.errors import FatalError

NAME: Final = "cluster"


async def check(conn: Connection, now: ClusterIdentity) -> None:
    """Remember the cluster at the first start; raises FatalError, with nothing written, in another one."""
    known = await settings.get(conn, NAME)
    here = _facts(now)
    if known is None:
        await settings.put(conn, NAME, here)
        return
    changed = [name for name, value in here.items() if known.get(name) != value]
    if changed:
        raise FatalError(
            f"this is not the database that the sidecar was on ({', '.join(changed)} changed), so nothing is sent",
            "If a standby was promoted: `mapable-cdc adopt --failover`. If a backup was restored here: `mapable-cdc "
            "adopt --restored`. If this is a copy (staging): drop the sidecar's schema, and set other databases up.",
        )


async def adopt(conn: Connection, now: ClusterIdentity) -> None:
    """Take this cluster for ours from now on."""
    await settings.put(conn, NAME, _facts(now))


def _facts(identity: ClusterIdentity) -> dict[str, str]:
    return {
        "system identifier": identity.system_identifier,
        "timeline": str(identity.timeline),
        "database": identity.database,
    }
