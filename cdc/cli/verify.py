"""`mapable-cdc verify`: every row against every page. Shows values on demand, to the terminal only."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from cdc import app, cluster
from cdc.app import Parts
from cdc.cli import terminal
from cdc.cli.backfill_view import Bar, parked_table
from cdc.cli.choosing import chosen
from cdc.cli.terminal import EXIT_FINDINGS, err, out, settings_of
from cdc.config import Settings
from cdc.operate.backfill import Backfill
from cdc.operate.differences import Finding, Verified, What
from cdc.operate.records import parked_as_json
from cdc.operate.showing import side_shown
from cdc.operate.verifying import Verifying, mark
from cdc.watch.differing import Difference
from sinks.mapping.entities import ENTITIES
from sinks.mapping.model import Entity
from state import looks, strays
from state.changes import Absent
from state.threeway import Unknown
from state.work import Parked


@click.command()
@click.option("--entity", type=click.Choice([entity.name for entity in ENTITIES]), help="Only this one.")
@click.option("--repair", is_flag=True, help="Have what differs put right, as after any change, and look again.")
@click.option("--values", is_flag=True, help="Show the values that differ, too.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def verify(ctx: click.Context, entity: str | None, repair: bool, values: bool, as_json: bool) -> None:
    """Compare every row with its page, and say where they differ. Changes nothing, unless --repair is given.

    Reads a hundred pages a request, and what seems to differ once more. Works beside an active `run`. What people
    unlinked (a page in the trash, or moved) is listed, and counts as their choice. --repair sends nothing by itself: it
    marks what differs, so that the strategy decides, and an active `run` does the work.

    \b
    Example: mapable-cdc verify --entity incident --values
    Exit codes: 0 both sides are one (with --repair: by now), 1 they differ, or a database could not be compared; 2
    wrong usage or settings, 3 a person must act.
    """
    settings = settings_of(ctx)
    entities = chosen(settings, entity, works=repair)
    found, parked = terminal.run(_verified(settings, entities, repair=repair, quiet=as_json))
    if as_json:
        differing = [_as_json(finding, values=values) for item in found for finding in item.findings]
        told = {
            "clean": _clean(found), "entities": [_counts(item) for item in found], "differences": differing,
            "parked": [parked_as_json(item) for item in parked],
        }
        click.echo(json.dumps(told))
    else:
        for table in _tables(found, settings.zone, values=values):
            out.print(table)
        if parked:
            out.print(parked_table(parked))
    sys.exit(0 if _clean(found) else EXIT_FINDINGS)


async def _verified(
    settings: Settings, entities: Sequence[Entity], *, repair: bool, quiet: bool
) -> tuple[tuple[Verified, ...], tuple[Parked, ...]]:
    async with app.assembled(settings) as parts, Verifying(parts) as verifying:
        found = tuple([await verifying.entity(entity) for entity in entities])
        if not repair or _clean(found):
            return found, ()
        await cluster.ours(parts.pool, settings.direct.dsn)
        parked = await _repaired(parts, found, quiet=quiet)
        return tuple([await verifying.after(item) for item in found]), parked


async def _repaired(parts: Parts, found: Sequence[Verified], *, quiet: bool) -> tuple[Parked, ...]:
    """Have it put right, by the active process or in its stead; return what ended parked."""
    async with parts.pool.connection() as conn:
        since = await looks.now(conn)
    await mark(parts, [finding for item in found for finding in item.findings])
    with Bar(err, shown=not quiet) as bar:
        entities = [item.entity for item in found]
        return await Backfill(parts, entities, bar, also=[strays.KIND]).see_through(since)


def _clean(found: Sequence[Verified]) -> bool:
    return all(item.clean for item in found)


def _counts(item: Verified) -> dict[str, Any]:
    return {
        "entity": item.entity.name, "rows": item.rows, "pages": item.pages, "differing": item.count(What.DIFFERS),
        "rowsWithoutPage": item.count(What.NO_PAGE), "pagesWithoutRow": item.count(What.NO_ROW),
        "unlinked": item.count(What.UNLINKED), "trouble": item.trouble,
    }


def _as_json(finding: Finding, *, values: bool) -> dict[str, Any]:
    return {
        "entity": finding.entity.name, "what": finding.what.value, "systemId": finding.system_id,
        "pageId": finding.page_id, "note": finding.note, "queued": finding.queued,
        "fields": [_field_as_json(field, values=values) for field in finding.fields],
    }


def _field_as_json(found: Difference, *, values: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"field": found.field.key, "how": found.how.value}
    if values:
        readable = not isinstance(found.notion, Absent | Unknown)
        told |= {"mapable": found.mapable, "notion": found.notion if readable else None}
    return told


def _tables(found: Sequence[Verified], zone: ZoneInfo, *, values: bool) -> Iterator[Table]:
    counts = Table("entity", "rows", "pages", "differing", "no page", "no row", "unlinked", "note", title="Both sides")
    for item in found:
        numbers = (item.rows, item.pages, *(item.count(what) for what in What))
        counts.add_row(item.entity.name, *map(str, numbers), item.trouble or "")
    yield counts
    findings = [finding for item in found for finding in item.findings]
    if not findings:
        return
    shows = ("MapAble", "Notion") if values else ()
    table = Table("entity", "id", "what", "field", "how", *shows, "note", title="What differs")
    for finding in findings:
        where = (finding.entity.name, finding.system_id or f"page {finding.page_id}", finding.what.value)
        note = "; ".join(filter(None, (finding.note, "on its way" if finding.queued else "")))
        for one in finding.fields:
            both = (side_shown(one.field, each, zone) for each in (one.mapable, one.notion)) if values else ()
            table.add_row(*where, one.field.name, one.how.value, *both, note)
        if not finding.fields:
            table.add_row(*where, "", "", *("" for _ in shows), note)
    yield table
