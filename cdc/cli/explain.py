"""`mapable-cdc explain`: one record on both sides, and what happens next. Shows values, to the terminal only."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from cdc import app
from cdc.cli import terminal
from cdc.cli.terminal import out, settings_of
from cdc.config import Settings
from cdc.operate.record import Told, as_json
from cdc.operate.record import explain as told_of
from cdc.operate.showing import side_shown
from sinks.mapping.entities import ENTITIES, by_name
from state.changes import ABSENT


@click.command()
@click.argument("entity", type=click.Choice([entity.name for entity in ENTITIES]))
@click.argument("system_id", metavar="ID")
@click.option("--offline", is_flag=True, help="Ask Notion nothing.")
@click.option("--json", "as_json_", is_flag=True, help="As JSON.")
@click.pass_context
def explain(ctx: click.Context, entity: str, system_id: str, offline: bool, as_json_: bool) -> None:
    """Show one record: what MapAble has, what was agreed, what Notion shows, and what happens next.

    Reads the row, the sidecar and the page (one request); changes nothing. The values go to this terminal and nowhere
    else.

    \b
    Example: mapable-cdc explain participant clx0123456789
    Exit codes: 0 shown, 2 wrong usage or settings, 3 the database can't be reached.
    """
    settings = settings_of(ctx)
    told = terminal.run(_told(settings, entity, system_id, offline=offline))
    if as_json_:
        click.echo(json.dumps(as_json(told)))
        return
    for line in _head(told):
        out.print(line, soft_wrap=True)
    out.print(_fields(told, settings.zone))
    for line in _tail(told):
        out.print(line, soft_wrap=True)


async def _told(settings: Settings, entity: str, system_id: str, *, offline: bool) -> Told:
    async with app.assembled(settings) as parts:
        return await told_of(parts, by_name(entity), system_id, offline=offline)


def _head(told: Told) -> list[str]:
    ours, link = told.now.ours, told.now.link
    row = "none" if ours is None else "there" if ours.member else "there, but due no page"
    lines = [f"{told.now.entity.name} {told.now.claim.system_id}", f"row: {row}", f"page: {told.page}"]
    if link is not None:
        because = f", because {link.unlinked_because}" if link.unlinked_because else ""
        lines.append(f"page id: {link.page_id or 'none'} ({link.state}{because})")
    if told.record.link is not None and told.record.link.synced_at is not None:
        lines.append(f"last synced: {_time(told.record.link.synced_at)}")
    if told.mapable_at is not None:
        lines.append(f"last change in MapAble: {_time(told.mapable_at)}")
    if told.notion.at is not None:
        lines.append(f"last edit in Notion: {_time(told.notion.at)} by {told.notion.by or 'nobody named'}")
    return lines


def _fields(told: Told, zone: ZoneInfo) -> Table:
    table = Table("field", "MapAble", "agreed", "Notion", "state")
    for each in told.fields:
        state = each.state if each.why is None else f"{each.state}: {each.why}"
        table.add_row(
            each.field.name, side_shown(each.field, each.ours, zone),
            side_shown(each.field, each.base.got if each.base is not None else ABSENT, zone),
            side_shown(each.field, each.theirs, zone), state,
        )
    return table


def _tail(told: Told) -> list[str]:
    known = told.record
    lines = [
        f"conflict {conflict.id}: {conflict.field}, {conflict.rule}, since {_time(conflict.opened_at)}"
        for conflict in known.conflicts
    ]
    if known.work is not None:
        lines.append(f"queue: due in {max(known.work.due_s, 0):.1f} s, {known.work.attempts} attempts")
    if known.parked is not None:
        lines.append(f"parked: {known.parked.reason}: {known.parked.message} ({known.parked.attempts} attempts)")
    if known.deletion is not None:
        lines.append(f"delete: {known.deletion.value}")
    lines += [
        f"{_time(line.at)} {line.action} by {line.actor} {', '.join(line.properties)}".rstrip() for line in known.lines
    ]
    return [*lines, f"next: {told.next}"]


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
