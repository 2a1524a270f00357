"""`mapable-cdc audit`: what was done, to whom and by whom."""

from __future__ import annotations

import json

import click
from rich.table import Table

from cdc import app
from cdc.cli import terminal
from cdc.cli.terminal import WrongUsage, out, settings_of
from cdc.config import Settings
from cdc.operate.records import line_as_json, time_as_json
from sinks.mapping.entities import ENTITIES
from state import audit as log
from state.audit import Line


@click.command()
@click.option("--person", metavar="ID", help="The participant concerned, over all entities.")
@click.option("--entity", type=click.Choice([entity.name for entity in ENTITIES]), help="Only this one.")
@click.option("--id", "system_id", metavar="ID", help="Only this record, of --entity.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with the details.")
@click.pass_context
def audit(
    ctx: click.Context, person: str | None, entity: str | None, system_id: str | None, limit: int, as_json: bool
) -> None:
    """Show what went to Notion, what came back, and what people decided; the newest first.

    \b
    Example: mapable-cdc audit --person cl9ebqhxk00003b600tymydho --json
    Exit codes: 0 shown, 2 wrong usage or settings, 3 the database can't be reached.
    """
    settings = settings_of(ctx)
    if person is None and entity is None:
        raise WrongUsage("whose? nobody and nothing is named", "Give --person ID, or --entity E with or without --id.")
    if system_id is not None and entity is None:
        raise WrongUsage("--id is the id of a record of an entity", "Give --entity, too.")
    lines = terminal.run(_lines(settings, person, entity, system_id, limit))
    if as_json:
        click.echo(json.dumps({"lines": [line_as_json(line) for line in lines]}))
        return
    table = Table("when", "what", "record", "properties", "who")
    for line in lines:
        table.add_row(
            time_as_json(line.at), line.action, f"{line.entity} {line.system_id}", ", ".join(line.properties),
            line.actor,
        )
    out.print(table if lines else "Nothing.")


async def _lines(
    settings: Settings, person: str | None, entity: str | None, system_id: str | None, limit: int
) -> tuple[Line, ...]:
    async with app.assembled(settings) as parts, parts.pool.connection() as conn:
        return await log.listed(conn, person=person, entity=entity, system_id=system_id, limit=limit)
