"""The command line, `mapable-cdc VERB`: what can be said, and what is shown. The work itself is elsewhere.

Exit codes: 0 done, 1 differences or findings, 2 wrong usage or settings, 3 a person must act, 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import click
from rich.table import Table

from cdc import app, cluster, publishing
from cdc.cli import terminal
from cdc.cli.adopt import adopt
from cdc.cli.audit import audit
from cdc.cli.backfill_view import Bar, forecast_tables, parked_table
from cdc.cli.choosing import chosen
from cdc.cli.conflicts import conflicts
from cdc.cli.deletes import deletes
from cdc.cli.doctor import doctor, uninstall
from cdc.cli.explain import explain
from cdc.cli.parked import parked
from cdc.cli.sweep import sweep as run_sweep
from cdc.cli.sweep import sweeps_as_json, sweeps_table
from cdc.cli.sync import sync
from cdc.cli.terminal import EXIT_FINDINGS, WrongUsage, err, out, settings_of
from cdc.cli.verify import verify
from cdc.cli.webhook import webhook
from cdc.config import Settings
from cdc.operate.backfill import Backfill
from cdc.operate.dropping import drop_slot
from cdc.operate.forecast import Forecast, forecast
from cdc.operate.installing import set_up
from cdc.operate.records import parked_as_json
from cdc.operate.status import Status, slot_as_json, slot_line, status_of
from cdc.serving import serve
from sinks.mapping.entities import ENTITIES
from sinks.mapping.model import Entity
from sinks.notion.ids import parse_id
from sinks.notion.setup import Done, env_lines
from state.looks import Sweep
from state.work import Parked


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=terminal.EXITS)
@click.option(
    "--env-file", type=click.Path(path_type=Path, dir_okay=False), default=Path(".env"), show_default=True,
    help="Settings file; the environment goes before it.",
)
@click.version_option(package_name="mapable-cdc")
@click.pass_context
def main(ctx: click.Context, env_file: Path) -> None:
    """Keep MapAble's Postgres and a Notion workspace in agreement.

    Settings come from the environment or a .env file; .env.example shows every name. To begin with:

    \b
      mapable-cdc setup PAGE     make the seven databases
      mapable-cdc run            keep them up to date
      mapable-cdc status         see how it goes
    """
    ctx.obj = env_file


@main.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """Stream changes and keep the pages up to date, until SIGTERM or Ctrl-C.

    The first start makes the replication slot and compares every row. A second instance waits as standby and takes
    over when the first one ends. Serves /healthz, /readyz and /metrics on HTTP_HOST:HTTP_PORT. With
    NOTION_SYNC_ENABLED=false it only drops the slot and its publication, and answers on HTTP.

    \b
    Example: HTTP_PORT=8080 mapable-cdc run
    Exit codes: 0 stopped by a signal, 2 wrong settings, 3 a person must act (a token that Notion refuses, no setup
    yet, the port is taken, the database can't be reached at the start).
    """
    terminal.run(serve(settings_of(ctx)))


@main.command()
@click.argument("page", required=False)
@click.option("--parent-page-id", metavar="PAGE", help="The same as PAGE.")
@click.pass_context
def setup(ctx: click.Context, page: str | None, parent_page_id: str | None) -> None:
    """Make or complete the seven Notion databases under PAGE (a page's id or its URL).

    Can be repeated at any time: finds what stands already, adds what is missing, and keeps what people added, renamed
    or arranged. PAGE may also come from NOTION_PARENT_PAGE_ID; it is not needed once all databases are known. A
    database named by its NOTION_…_DB_ID setting is completed where it is. Prints the lines for .env.

    \b
    Example: mapable-cdc setup https://www.notion.so/acme/CRM-0123456789abcdef0123456789abcdef
    Exit codes: 0 all databases are as they should be, 2 wrong usage or settings, 3 a person must act; then mend what
    it says and run it again.
    """
    settings = settings_of(ctx)
    done = terminal.run(_set_up(settings, _parent(settings, page, parent_page_id)))
    table = Table("database", "outcome", "id")
    for item in done:
        table.add_row(item.entity.title, item.outcome, item.source.database_id)
    out.print(table)
    out.print("To name them in .env:")
    for line in env_lines(done):
        out.print(line, soft_wrap=True)


def _parent(settings: Settings, *given: str | None) -> str | None:
    """Return the parent page's id: what was typed goes before the setting."""
    try:
        ids = {parse_id(text) for text in given if text}
    except ValueError as error:
        raise WrongUsage(f"PAGE: {error}", "Copy the page's link in Notion (••• > Copy link).") from None
    if len(ids) > 1:
        raise WrongUsage("PAGE and --parent-page-id name two pages", "Give one of them.")
    return next(iter(ids), settings.notion_parent_page_id)


async def _set_up(settings: Settings, parent: str | None) -> tuple[Done, ...]:
    async with app.assembled(settings) as parts:
        return await set_up(parts, parent, lambda done: err.print(f"{done.entity.title}: {done.outcome}"))


@main.command()
@click.option("--entity", type=click.Choice([entity.name for entity in ENTITIES]), help="Only this one.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; nothing is written on either side.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
@click.pass_context
def backfill(ctx: click.Context, entity: str | None, dry_run: bool, as_json: bool) -> None:
    """Compare every row with its page and send what differs. Can be interrupted and repeated.

    Works beside an active `run` (which then does it) or alone. What equals is not sent again.

    \b
    Example: mapable-cdc backfill --entity participant --dry-run
    Exit codes: 0 every row is in Notion, 1 some are parked (they are listed) or, with --dry-run, hold values that
    Notion can't show; 2 wrong usage or settings, 3 a person must act, 130 interrupted.
    """
    settings = settings_of(ctx)
    wanted = chosen(settings, entity, works=not dry_run)
    if dry_run:
        forecasts = terminal.run(_forecast(settings, wanted))
        _show_forecasts(forecasts, as_json)
        sys.exit(EXIT_FINDINGS if any(item.invalid for item in forecasts) else 0)
    parked = terminal.run(_backfill(settings, wanted, quiet=as_json))
    _show_parked(parked, as_json)
    sys.exit(EXIT_FINDINGS if parked else 0)


async def _forecast(settings: Settings, entities: list[Entity]) -> tuple[Forecast, ...]:
    async with app.assembled(settings) as parts:
        return await forecast(parts, entities)


async def _backfill(settings: Settings, entities: list[Entity], *, quiet: bool) -> tuple[Parked, ...]:
    async with app.assembled(settings) as parts:
        with Bar(err, shown=not quiet) as bar:
            return await Backfill(parts, entities, bar).run()


def _show_forecasts(forecasts: tuple[Forecast, ...], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([item.as_json() for item in forecasts]))
        return
    for item in forecast_tables(forecasts):
        out.print(item, soft_wrap=True)


def _show_parked(parked: tuple[Parked, ...], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"parked": [parked_as_json(item) for item in parked]}))
    elif parked:
        out.print(parked_table(parked))
    else:
        out.print("Every row is in Notion.")


@main.command()
@click.option("--entity", type=click.Choice([entity.name for entity in ENTITIES]), help="Only this one.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
@click.pass_context
def sweep(ctx: click.Context, entity: str | None, as_json: bool) -> None:
    """Compare every page in Notion with what was agreed, and every row, and put right what differs.

    `run` does this every NOTION_SWEEP_SECONDS by itself. Works beside an active `run` (which then does it) or alone.
    Reads a hundred pages a request.

    \b
    Example: mapable-cdc sweep --entity incident
    Exit codes: 0 swept and settled, 1 a database could not be swept or some work is parked (both are listed), 2 wrong
    usage or settings, 3 a person must act, 130 interrupted.
    """
    settings = settings_of(ctx)
    found, parked = terminal.run(_sweep(settings, chosen(settings, entity), quiet=as_json))
    if as_json:
        click.echo(json.dumps({"sweeps": sweeps_as_json(found), "parked": [parked_as_json(item) for item in parked]}))
    else:
        out.print(sweeps_table(found))
        if parked:
            out.print(parked_table(parked))
    sys.exit(EXIT_FINDINGS if parked or any(item.trouble for item in found) else 0)


async def _sweep(
    settings: Settings, entities: list[Entity], *, quiet: bool
) -> tuple[tuple[Sweep, ...], tuple[Parked, ...]]:
    async with app.assembled(settings) as parts:
        with Bar(err, shown=not quiet) as bar:
            return await run_sweep(parts, entities, bar)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show the pages, the queue, parked work and the slot, whether `run` is active or not.

    Reads the sidecar and the server's catalog only; asks Notion nothing.

    \b
    Example: mapable-cdc status --json
    Exit codes: 0 shown, 2 wrong settings, 3 the database can't be reached.
    """
    settings = settings_of(ctx)
    found = terminal.run(_status(settings))
    if as_json:
        click.echo(json.dumps(found.as_json()))
        return
    for table in found.tables():
        out.print(table)


async def _status(settings: Settings) -> Status:
    async with app.assembled(settings) as parts, parts.pool.connection() as conn:
        found = await status_of(parts.pool, settings.replication_slot)
        return replace(found, elsewhere=await cluster.elsewhere(conn, settings.direct.dsn))


@main.group()
def slot() -> None:
    """Show or drop the replication slot."""


@slot.command("show")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def slot_show(ctx: click.Context, as_json: bool) -> None:
    """Show the slot: whether somebody streams from it, and how much log the server keeps for it.

    \b
    Example: mapable-cdc slot show
    Exit codes: 0 shown, 1 there is no slot, 2 wrong settings, 3 the database can't be reached.
    """
    settings = settings_of(ctx)
    found = terminal.run(_status(settings)).slot
    if as_json:
        click.echo(json.dumps(slot_as_json(found)))
    else:
        out.print(slot_line(found) if found else f"There is no slot {settings.replication_slot}.", soft_wrap=True)
    sys.exit(0 if found else EXIT_FINDINGS)


@slot.command("drop")
@click.pass_context
def slot_drop(ctx: click.Context) -> None:
    """Drop the slot, so that the server keeps no log for it, and the publication that it read.

    The next `run` makes a new one and compares everything. Refused while a `run` streams from the slot.

    \b
    Example: mapable-cdc slot drop
    Exit codes: 0 dropped, or there was none; 2 wrong settings; 3 it is in use or another program's, or the database
    can't be reached.
    """
    settings = settings_of(ctx)
    dropped, name = terminal.run(drop_slot(settings)), settings.replication_slot
    without = f"There is no slot {name}" + ("; its publication is dropped." if dropped.publication else ".")
    out.print("Dropped." if dropped.slot else without, soft_wrap=True)
    if dropped.publication is None:
        out.print(publishing.REMAINS.format(name), soft_wrap=True)


for verb in (sync, conflicts, parked, deletes, explain, audit, verify, doctor, webhook, adopt, uninstall):
    main.add_command(verb)
