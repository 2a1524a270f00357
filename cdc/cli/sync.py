"""`mapable-cdc sync`: compare one record, or all of an entity, now."""

from __future__ import annotations

import click

from cdc import app
from cdc.cli import terminal
from cdc.cli.terminal import WrongUsage, out, settings_of
from cdc.config import Settings
from cdc.operate.orders import Declined, Orders
from sinks.mapping.entities import ENTITIES


@click.command()
@click.argument("entity", type=click.Choice([entity.name for entity in ENTITIES]))
@click.argument("system_id", metavar="[ID]", required=False)
@click.pass_context
def sync(ctx: click.Context, entity: str, system_id: str | None) -> None:
    """Have one record of ENTITY compared on both sides, or all of them without ID.

    Marks them; the active `run` does it, before any backfill, or the next one to start. A page that somebody put into
    the trash is brought back.

    \b
    Example: mapable-cdc sync participant cl9ebqhxk00003b600tymydho
    Exit codes: 0 marked, 2 wrong usage or settings (no such record, switched off), 3 the database can't be reached.
    """
    settings = settings_of(ctx)
    marked = terminal.run(_sync(settings, entity, system_id))
    out.print(f"{marked} marked.")


async def _sync(settings: Settings, entity: str, system_id: str | None) -> int:
    async with app.assembled(settings) as parts:
        orders = Orders(parts.pool, parts.rows, settings.entities, enabled=settings.notion_sync_enabled)
        try:
            if system_id is not None:
                return await orders.sync(entity, system_id)
            marked = await orders.sync_all(entity)
        except Declined as declined:
            raise WrongUsage(str(declined), "Look the id up in MapAble, and NOTION_SYNC_… in the settings.") from None
        # whether a `run` is active or not: the marks are there when this returns
        await parts.marker.finish()
        return marked
