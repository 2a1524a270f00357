"""The command line, `mapable-cdc VERB`.

Exit codes: 0 done, 1 differences or findings, 2 wrong usage or settings, 3 a person must act.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from cdc import app, logs
from cdc.backfill import Backfill, Forecast
from cdc.config import Settings, load
from cdc.replication import slot as slots
from cdc.status import Status, status_of
from cdc.supervisor import Supervisor
from cdc.web.health import Probes, application, serving
from sinks.mapping.entities import ENTITIES
from sinks.notion.ids import parse_id
from sinks.notion.setup import Done, Setup, env_lines
from state.database import readable
from state.errors import FatalError, SyncError
from state.work import Parked

EXIT_FINDINGS: Final = 1
EXIT_USAGE: Final = 2
EXIT_FATAL: Final = 3

T = TypeVar("T")
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Failed(click.ClickException):
    """What went wrong, what it means and what to do, for a person."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def show(self, file: Any = None) -> None:
        err.print(f"[bold red]error:[/] {_plain(self.message)}", soft_wrap=True)
        if self.hint:
            err.print(f"[bold]what to do:[/] {_plain(self.hint)}", soft_wrap=True)


class WrongUsage(Failed):
    """Wrong usage or settings."""

    exit_code = EXIT_USAGE


class Stuck(Failed):
    """A person must act."""

    exit_code = EXIT_FATAL


class Interrupted(Failed):
    """Ctrl-C."""

    exit_code = 130


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def _settings(ctx: click.Context) -> Settings:
    try:
        settings = load(env_file=ctx.obj)
    except FatalError as error:
        raise WrongUsage(str(error), error.hint) from None
    logs.configure(settings.log_level, settings.log_format)
    return settings


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command; every failure becomes a message for a person, never a traceback that may quote values."""
    try:
        return asyncio.run(work)
    except FatalError as error:
        raise Stuck(str(error), error.hint) from None
    except SyncError as error:
        raise Stuck(str(error), "Try again; if it stays so, look at the logs of the other side.") from None
    except psycopg.Error as error:
        raise Stuck(
            f"the database failed: {readable(error)}", "Check that it runs and what its log says."
        ) from None
    except KeyboardInterrupt:
        raise Interrupted("interrupted; what was done is kept, and the command can be run again") from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--env-file", type=click.Path(path_type=Path, dir_okay=False), default=Path(".env"), show_default=True,
    help="Settings file; the environment goes before it.",
)
@click.version_option(package_name="mapable-cdc")
@click.pass_context
def main(ctx: click.Context, env_file: Path) -> None:
    """Keep MapAble's Postgres and a Notion workspace in agreement.

    Exit codes: 0 done, 1 differences or findings, 2 wrong usage or settings, 3 a person must act.
    """
    ctx.obj = env_file


@main.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """Stream changes and keep the pages up to date, until SIGTERM or Ctrl-C.

    A second instance waits as standby and takes over when the first one ends. Serves /healthz, /readyz and /metrics
    on HTTP_HOST:HTTP_PORT.
    """
    _run(_serve(_settings(ctx)))


async def _serve(settings: Settings) -> None:
    if not settings.notion_sync_enabled:
        await _disabled(settings)
        return
    async with app.assembled(settings) as parts:
        supervisor = Supervisor(parts)
        _stop_on_signals(supervisor.stop)
        probes = Probes(supervisor.readiness, parts_metrics(parts))
        async with serving(application(probes), settings.http_host, settings.http_port) as port:
            err.print(f"mapable-cdc: http://{settings.http_host}:{port}/readyz", soft_wrap=True)
            await app.check_token(parts)
            await supervisor.run()


def parts_metrics(parts: app.Parts) -> Any:
    """Return what renders the metrics after refreshing the gauges from the database."""

    async def render() -> bytes:
        status = await status_of(parts.pool, parts.settings.replication_slot)
        for priority, depth in status.queue.items():
            parts.metrics.queue_keys.labels(priority).set(depth.keys)
            parts.metrics.queue_age.labels(priority).set(depth.oldest_age_s)
        parts.metrics.parked.set(status.parked)
        if status.slot is not None and status.slot.retained_bytes is not None:
            parts.metrics.retained.set(status.slot.retained_bytes)
        return parts.metrics.render()

    return render


async def _disabled(settings: Settings) -> None:
    """A disabled sync keeps no slot: a forgotten one would fill the database's disk."""
    stopping = asyncio.Event()
    _stop_on_signals(stopping.set)
    try:
        async with await psycopg.AsyncConnection.connect(settings.direct.dsn, autocommit=True) as conn:
            dropped = await slots.drop(conn, settings.replication_slot)
    except psycopg.OperationalError:
        raise FatalError("the database can't be reached", "Check DATABASE_URL and that the database runs.") from None
    err.print("sync is disabled (NOTION_SYNC_ENABLED=false)" + ("; its slot was dropped" if dropped else ""))

    async def readiness() -> tuple[bool, dict[str, Any]]:
        return True, {"role": "disabled", "enabled": False}

    async def nothing() -> bytes:
        return b""

    async with serving(application(Probes(readiness, nothing)), settings.http_host, settings.http_port):
        await stopping.wait()


def _stop_on_signals(stop: Any) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)


@main.command()
@click.argument("page", required=False)
@click.option("--parent-page-id", help="The same as PAGE.")
@click.pass_context
def setup(ctx: click.Context, page: str | None, parent_page_id: str | None) -> None:
    """Make or complete the seven Notion databases under PAGE (an id, or the page's URL).

    Can be repeated at any time: finds what stands already, adds what is missing, keeps what people added. PAGE may
    also come from NOTION_PARENT_PAGE_ID; it is not needed once all databases are known.

    \b
    Example: mapable-cdc setup https://www.notion.so/acme/CRM-0123456789abcdef0123456789abcdef
    """
    settings = _settings(ctx)
    given = page or parent_page_id or settings.notion_parent_page_id
    try:
        parent = parse_id(given) if given else None
    except ValueError as error:
        raise WrongUsage(f"PAGE: {error}", "Copy the page's link in Notion (••• > Copy link).") from None
    done = _run(_set_up(settings, parent))
    table = Table("database", "outcome", "id")
    for item in done:
        table.add_row(item.entity.title, item.outcome, item.source.database_id)
    out.print(table)
    out.print("To name them in .env:")
    for line in env_lines(done):
        out.print(line, soft_wrap=True)


async def _set_up(settings: Settings, parent: str | None) -> tuple[Done, ...]:
    async with app.assembled(settings) as parts, parts.pool.connection() as conn:
        return await Setup(
            parts.client, conn, settings.entities, configured=settings.databases, parent_page_id=parent,
            progress=lambda item: err.print(f"{item.entity.title}: {item.outcome}"),
        ).run()


@main.command()
@click.option("--entity", type=click.Choice([entity.name for entity in ENTITIES]), help="Only this one.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; nothing is written on either side.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
@click.pass_context
def backfill(ctx: click.Context, entity: str | None, dry_run: bool, as_json: bool) -> None:
    """Compare every row with its page and send what differs. Can be interrupted and repeated.

    Works beside an active `run` (which then does it) or alone. Exits 0 when every row is in Notion, 1 with a list when
    some are parked; a dry run exits 1 when rows hold values that Notion can't show.

    \b
    Example: mapable-cdc backfill --entity participant --dry-run
    """
    settings = _settings(ctx)
    chosen = [item for item in settings.entities if entity is None or item.name == entity]
    if not chosen:
        raise WrongUsage(f"{entity} is switched off", "Remove its NOTION_SYNC_… setting.")
    if dry_run:
        forecasts = _run(_forecast(settings, chosen))
        _show_forecasts(forecasts, as_json)
        sys.exit(EXIT_FINDINGS if any(item.invalid for item in forecasts) else 0)
    parked = _run(_backfill(settings, chosen, show=not as_json))
    _show_parked(parked, as_json)
    sys.exit(EXIT_FINDINGS if parked else 0)


async def _forecast(settings: Settings, entities: list[Any]) -> tuple[Forecast, ...]:
    async with app.assembled(settings) as parts:
        return await Backfill(parts, entities).forecast()


async def _backfill(settings: Settings, entities: list[Any], *, show: bool) -> tuple[Parked, ...]:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TimeRemainingColumn(),
    )
    async with app.assembled(settings) as parts:
        with Progress(*columns, console=err, disable=not (show and err.is_terminal)) as bar:
            task = bar.add_task("backfill", total=None, rate="")

            def progress(done: int, total: int) -> None:
                speed = bar.tasks[0].speed
                bar.update(task, completed=done, total=total or None, rate=f"{speed:.1f}/s" if speed else "")

            return await Backfill(parts, entities).run(progress)


def _show_forecasts(forecasts: tuple[Forecast, ...], as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps(
                [
                    {
                        "entity": item.entity, "create": item.create, "update": item.update,
                        "unchanged": item.unchanged, "invalid": item.invalid,
                        "reasons": [
                            {"field": name, "reason": reason, "rows": rows}
                            for (name, reason), rows in sorted(item.reasons.items())
                        ],
                    }
                    for item in forecasts
                ]
            )
        )
        return
    table = Table("entity", "create", "update", "unchanged", "invalid")
    for item in forecasts:
        table.add_row(item.entity, *(str(count) for count in (item.create, item.update, item.unchanged, item.invalid)))
    out.print(table)
    for item in forecasts:
        for (name, reason), rows in sorted(item.reasons.items()):
            out.print(f"{item.entity}.{name}: left out in {rows} rows: {reason}", soft_wrap=True)


def _show_parked(parked: tuple[Parked, ...], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"parked": [_parked_json(item) for item in parked]}))
        return
    if not parked:
        out.print("Every row is in Notion.")
        return
    table = Table("entity", "id", "reason", "what happened")
    for item in parked:
        table.add_row(item.entity, item.system_id, item.reason, item.message)
    out.print(table)


def _parked_json(item: Parked) -> dict[str, Any]:
    return {"entity": item.entity, "systemId": item.system_id, "reason": item.reason, "message": item.message}


@main.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show the pages, the queue, parked work and the slot, from the sidecar; works whether `run` is active or not."""
    settings = _settings(ctx)
    found = _run(_status(settings))
    if as_json:
        click.echo(json.dumps(found.as_json()))
        return
    for table in found.tables():
        out.print(table)


async def _status(settings: Settings) -> Status:
    async with app.assembled(settings) as parts:
        return await status_of(parts.pool, settings.replication_slot)


@main.group()
def slot() -> None:
    """Show or drop the replication slot."""


@slot.command("show")
@click.pass_context
def slot_show(ctx: click.Context) -> None:
    """Show the slot; exits 1 when there is none."""
    settings = _settings(ctx)
    found = _run(_status(settings)).slot
    if found is None:
        out.print(f"There is no slot {settings.replication_slot}.")
        sys.exit(EXIT_FINDINGS)
    out.print(
        f"{found.name}: {'active' if found.active else 'inactive'}, {found.wal_status}, "
        f"{found.retained_bytes or 0} bytes of log retained"
    )


@slot.command("drop")
@click.pass_context
def slot_drop(ctx: click.Context) -> None:
    """Drop the slot, so that the database keeps no log for it.

    The next `run` makes a new one and compares everything.
    """
    settings = _settings(ctx)
    dropped = _run(_drop(settings))
    out.print("Dropped." if dropped else f"There is no slot {settings.replication_slot}.")


async def _drop(settings: Settings) -> bool:
    async with await psycopg.AsyncConnection.connect(settings.direct.dsn, autocommit=True) as conn:
        return await slots.drop(conn, settings.replication_slot)
