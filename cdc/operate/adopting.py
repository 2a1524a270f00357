"""Taking a cluster for ours in which the sidecar woke up: what a person said happened decides what is known no more.

After a failover the data goes on where it was, and only the slot stayed behind. After a restore both the rows and what
was agreed are as old as the backup, while pages went on. Either way every page is looked at and every row compared: a
page that is newer is merged like a person's edit, and what is equal is not written.
"""

from __future__ import annotations

from enum import StrEnum

from cdc import cluster
from cdc.app import Parts
from cdc.operate import marker
from cdc.replication.slot import identify
from sinks.mapping.entities import ENTITIES
from state import audit, explanations, looks, stamps, streamed
from state.changes import Key


class How(StrEnum):
    """What happened to the database."""

    FAILOVER = "failover"
    RESTORED = "restored"


async def adopt(parts: Parts, how: How) -> tuple[str, ...]:
    """Make this cluster the sidecar's home and have everything compared; return what had changed, maybe nothing."""
    now = await identify(parts.settings.direct.dsn)
    async with parts.pool.connection() as conn, conn.transaction():
        changed = await cluster.changes(conn, now)
        if not changed:
            return ()
        await cluster.adopt(conn, now)
        await marker.set_due(conn, is_due=True)
        await looks.request(conn, [entity.name for entity in parts.settings.entities])
        if how is How.RESTORED:
            # its positions are of another log
            await stamps.forget(conn, [entity.name for entity in ENTITIES])
            await streamed.forget(conn, parts.settings.replication_slot)
            await explanations.doubt(conn)
        await audit.append(
            conn,
            audit.Entry(
                "cluster.adopted", Key("cluster", now.system_identifier), actor=audit.OPERATOR,
                detail={"how": how.value, "changed": list(changed)},
            ),
        )
    return changed
