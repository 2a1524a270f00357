"""`mapable-cdc parked`: what to do about work that was set aside."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Sequence

import click

from cdc import app
from cdc.cli import terminal
from cdc.cli.backfill_view import parked_as_json, parked_table
from cdc.cli.terminal import EXIT_FINDINGS, WrongUsage, out, settings_of
from cdc.config import Settings
from cdc.operate import parking as actions
from state import parking
from state.database import Connection
from state.work import Parked

Act = Callable[[Connection, Sequence[Parked], str], Awaitable[tuple[Parked, ...]]]

ENTITY = click.option("--entity", type=click.Choice(actions.NAMES), help="Only this one, as the list names it.")
EVERY = click.option("--all", "every", is_flag=True, help="Everything that is parked.")
IDS = click.argument("ids", metavar="[ID]...", nargs=-1)


@click.group()
def parked() -> None:
    """List work that was set aside because it can't succeed as it is; have it tried again, or drop it."""


@parked.command("list")
@ENTITY
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def listed(ctx: click.Context, entity: str | None, as_json: bool) -> None:
    """List what is parked, why, and after how many attempts; the oldest first.

    \b
    Example: mapable-cdc parked list --entity incident
    Exit codes: 0 nothing is parked, 1 something is, 2 wrong usage or settings, 3 the database can't be reached.
    """
    found = terminal.run(_named(settings_of(ctx), entity))
    if as_json:
        click.echo(json.dumps({"parked": parked_as_json(found)}))
    elif found:
        out.print(parked_table(found))
    else:
        out.print("Nothing is parked.")
    sys.exit(EXIT_FINDINGS if found else 0)


@parked.command()
@IDS
@ENTITY
@EVERY
@click.pass_context
def retry(ctx: click.Context, ids: tuple[str, ...], entity: str | None, every: bool) -> None:
    """Try parked work again, with both sides read anew. A running sync does it within a moment, else the next one.

    \b
    Example: mapable-cdc parked retry --all
    Exit codes: 0 marked, 1 nothing of that was parked, 2 wrong usage or settings, 3 the database can't be reached.
    """
    _act(ctx, actions.retry, ids, entity, every, "will be tried again")


@parked.command()
@IDS
@ENTITY
@EVERY
@click.option("--yes", is_flag=True, help="Really drop it.")
@click.pass_context
def drop(ctx: click.Context, ids: tuple[str, ...], entity: str | None, every: bool, yes: bool) -> None:
    """Forget parked work: its records stay as they are, until something changes there or a sweep compares them.

    \b
    Example: mapable-cdc parked drop clx1 --yes
    Exit codes: 0 dropped, 1 nothing of that was parked, 2 wrong usage or settings, 3 the database can't be reached.
    """
    if not yes:
        raise WrongUsage(
            "dropped work is not done: what differs stays different",
            "Add --yes if that is meant; `mapable-cdc parked retry` tries it again instead.",
        )
    _act(ctx, actions.drop, ids, entity, every, "dropped")


def _act(ctx: click.Context, act: Act, ids: tuple[str, ...], entity: str | None, every: bool, done: str) -> None:
    if every and (ids or entity):
        raise WrongUsage("--all means everything", "Leave the ids and --entity out, or --all.")
    if not (every or ids or entity):
        raise WrongUsage(
            "nothing is named", "Give ids, --entity, or --all; `mapable-cdc parked list` shows what is parked."
        )
    acted = terminal.run(_acted(settings_of(ctx), act, entity, ids or None))
    out.print(f"{len(acted)} {done}." if acted else "Nothing of that is parked.")
    sys.exit(0 if acted else EXIT_FINDINGS)


async def _named(settings: Settings, entity: str | None) -> tuple[Parked, ...]:
    async with app.assembled(settings) as parts, parts.pool.connection() as conn:
        return await parking.named(conn, entity=entity)


async def _acted(settings: Settings, act: Act, entity: str | None, ids: Sequence[str] | None) -> tuple[Parked, ...]:
    async with app.assembled(settings) as parts, parts.pool.connection() as conn:
        return await act(conn, await parking.named(conn, entity=entity, ids=ids), "operator")
