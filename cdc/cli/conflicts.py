"""`mapable-cdc conflicts …`: what people have to decide, on the command line."""

from __future__ import annotations

import json

import click
from rich.table import Table
from rich.text import Text

from cdc import app
from cdc.cli import terminal
from cdc.cli.terminal import Stuck, WrongUsage, out, settings_of
from cdc.config import Settings
from cdc.operate.orders import CHOICES, Declined, Orders, Why
from cdc.operate.records import conflict_as_json, entity_name, time_as_json
from cdc.web.conflicts import STATES
from state import conflicts as stored
from state.conflicts import Conflict
from state.merge import Json


@click.group()
def conflicts() -> None:
    """List, show and resolve fields that were changed on both sides."""


@conflicts.command("list")
@click.option("--status", type=click.Choice(list(STATES)), default="open", show_default=True, help="Which ones.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=100, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def list_(ctx: click.Context, status: str, limit: int, as_json: bool) -> None:
    """List conflicts, the oldest first, with the values of both sides.

    \b
    Example: mapable-cdc conflicts list --json
    Exit codes: 0 listed, 2 wrong settings, 3 the database can't be reached.
    """
    found = terminal.run(_listed(settings_of(ctx), status, limit))
    if as_json:
        click.echo(json.dumps({"conflicts": [conflict_as_json(conflict) for conflict in found]}))
        return
    table = Table("id", "record", "field", "MapAble", "Notion", "status", "version")
    for conflict in found:
        record = f"{entity_name(conflict.entity_type)} {conflict.system_id}"
        table.add_row(
            str(conflict.id), record, conflict.field, _shown(conflict.mapable), _shown(conflict.notion),
            conflict.status, str(conflict.version),
        )
    out.print(table if found else "There are none.")


@conflicts.command()
@click.argument("conflict_id", metavar="ID", type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def show(ctx: click.Context, conflict_id: int, as_json: bool) -> None:
    """Show one conflict: what both sides agreed on last, what each says now, since when, and its version.

    \b
    Example: mapable-cdc conflicts show 17
    Exit codes: 0 shown, 2 wrong usage (there is no such conflict), 3 the database can't be reached.
    """
    conflict = terminal.run(_one(settings_of(ctx), conflict_id))
    if as_json:
        click.echo(json.dumps(conflict_as_json(conflict)))
        return
    for part in _described(conflict):
        out.print(part)


@conflicts.command()
@click.argument("conflict_id", metavar="ID", type=click.IntRange(min=1))
@click.argument("choice", type=click.Choice(CHOICES))
@click.option("--version", type=click.IntRange(min=1), required=True, help="The version that you looked at.")
@click.option("--value", help="With the choice `value`: what both sides get; empty clears the field.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def resolve(
    ctx: click.Context, conflict_id: int, choice: str, version: int, value: str | None, as_json: bool
) -> None:
    """Decide a conflict: MapAble's value, Notion's, or another one for both.

    The choice is noted and the record marked; the active `run` carries it out. When a side has changed since you
    looked, nothing is decided.

    \b
    Example: mapable-cdc conflicts resolve 17 value --value MITIGATED --version 2
    Exit codes: 0 noted, 2 wrong usage, 3 it is no longer what you looked at (show it again).
    """
    if (choice == "value") != (value is not None):
        raise WrongUsage("--value goes with the choice `value`, and with no other", "See: conflicts resolve --help")
    decided = terminal.run(_decide(settings_of(ctx), conflict_id, version, choice, value))
    if as_json:
        click.echo(json.dumps(conflict_as_json(decided)))
    else:
        out.print("Noted; it is carried out in a moment.")


async def _listed(settings: Settings, status: str, limit: int) -> tuple[Conflict, ...]:
    async with app.assembled(settings) as parts, parts.pool.connection() as conn:
        return await stored.listed(conn, STATES[status], limit=limit)


async def _one(settings: Settings, conflict_id: int) -> Conflict:
    async with app.assembled(settings) as parts, parts.pool.connection() as conn:
        found = await stored.one(conn, conflict_id)
    if found is None:
        raise WrongUsage(f"there is no conflict {conflict_id}", "List them: mapable-cdc conflicts list --status all")
    return found


async def _decide(settings: Settings, conflict_id: int, version: int, choice: str, value: str | None) -> Conflict:
    look = f"mapable-cdc conflicts show {conflict_id}"
    async with app.assembled(settings) as parts:
        orders = Orders(parts.pool, parts.rows, settings.entities, enabled=settings.notion_sync_enabled)
        try:
            return await orders.decide(conflict_id, version, choice, value)
        except Declined as declined:
            match declined.why:
                case Why.MOVED:
                    raise Stuck(str(declined), look) from None
                case Why.OFF:
                    raise WrongUsage(str(declined), "Set it to true, or remove it; then decide.") from None
                case _:
                    raise WrongUsage(str(declined), look) from None


def _described(conflict: Conflict) -> tuple[Table, ...]:
    head = Table("what", "is", title=f"Conflict {conflict.id}")
    head.add_row("record", f"{entity_name(conflict.entity_type)} {conflict.system_id}")
    head.add_row("field", conflict.field)
    head.add_row("why", conflict.rule)
    head.add_row("status", conflict.status + (f" ({conflict.choice})" if conflict.choice else ""))
    head.add_row("version", str(conflict.version))
    sides = Table("side", "value", "changed", "by")
    sides.add_row("last agreed", _shown(conflict.base), "", "")
    sides.add_row("MapAble", _shown(conflict.mapable), time_as_json(conflict.mapable_at) or "unknown", "")
    sides.add_row(
        "Notion", _shown(conflict.notion), time_as_json(conflict.notion_at) or "unknown", conflict.notion_by or ""
    )
    return head, sides


def _shown(value: Json) -> Text:
    match value:
        case None:
            return Text("(empty)", style="dim")
        case bool():
            return Text("yes" if value else "no")
        case list():
            return Text(", ".join(value))
        case str():
            return Text(value)
