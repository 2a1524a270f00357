"""`mapable-cdc deletes`: what to do about pages whose rows went all at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Sequence

import click

from cdc import app
from cdc.cli import terminal
from cdc.cli.deletes_view import deletion_as_json, deletions_table
from cdc.cli.terminal import EXIT_FINDINGS, WrongUsage, out, settings_of
from cdc.config import Settings
from cdc.reconcile import holding
from sinks.mapping.entities import ENTITIES
from state import deletions
from state.database import Connection
from state.deletions import Deletion

Decide = Callable[[Connection, Sequence[Deletion], str], Awaitable[tuple[Deletion, ...]]]

ENTITY = click.option("--entity", type=click.Choice([entity.name for entity in ENTITIES]), help="Only this one.")
EVERY = click.option("--all", "every", is_flag=True, help="Everything that is held.")
IDS = click.argument("ids", metavar="[ID]...", nargs=-1)


@click.group()
def deletes() -> None:
    """List, approve or reject deletes that are held.

    When more than max(5, 5 %) of an entity's rows go within a minute, the first pages follow their rows into Notion's
    trash and the others are held until a person decides. A hold ends by itself when the row is back.
    """


@deletes.command("list")
@ENTITY
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def listed(ctx: click.Context, entity: str | None, as_json: bool) -> None:
    """List the deletes that are held, the oldest first.

    \b
    Example: mapable-cdc deletes list --entity participant
    Exit codes: 0 nothing is held, 1 something is, 2 wrong usage or settings, 3 the database can't be reached.
    """
    found = terminal.run(_held(settings_of(ctx), entity, None))
    if as_json:
        click.echo(json.dumps({"deletes": [deletion_as_json(item) for item in found]}))
    elif found:
        out.print(deletions_table(found))
    else:
        out.print("Nothing is held.")
    sys.exit(EXIT_FINDINGS if found else 0)


@deletes.command()
@IDS
@ENTITY
@EVERY
@click.pass_context
def approve(ctx: click.Context, ids: tuple[str, ...], entity: str | None, every: bool) -> None:
    """Let pages follow their rows into Notion's trash; each with what the same delete took along.

    A running sync does it within a moment, else the next one. Pages stay in Notion's trash for 30 days.

    \b
    Example: mapable-cdc deletes approve --entity careplan
    Exit codes: 0 approved, 1 nothing of that was held, 2 wrong usage or settings, 3 the database can't be reached.
    """
    _decide(ctx, holding.approve, ids, entity, every, "approved")


@deletes.command()
@IDS
@ENTITY
@EVERY
@click.pass_context
def reject(ctx: click.Context, ids: tuple[str, ...], entity: str | None, every: bool) -> None:
    """Keep pages whose rows are gone; each with what the same delete took along.

    They are unlinked: nothing is written to them any more, unless their rows are back one day.

    \b
    Example: mapable-cdc deletes reject clx1 clx2
    Exit codes: 0 rejected, 1 nothing of that was held, 2 wrong usage or settings, 3 the database can't be reached.
    """
    _decide(ctx, holding.reject, ids, entity, every, "rejected")


def _decide(
    ctx: click.Context, decide: Decide, ids: tuple[str, ...], entity: str | None, every: bool, done: str
) -> None:
    if every and (ids or entity):
        raise WrongUsage("--all means everything", "Leave the ids and --entity out, or --all.")
    if not (every or ids or entity):
        raise WrongUsage(
            "nothing is named", "Give ids, --entity, or --all; `mapable-cdc deletes list` shows what is held."
        )
    decided = terminal.run(_decided(settings_of(ctx), decide, entity, ids or None))
    out.print(f"{len(decided)} {done}." if decided else "Nothing of that is held.")
    sys.exit(0 if decided else EXIT_FINDINGS)


async def _held(settings: Settings, entity: str | None, ids: Sequence[str] | None) -> tuple[Deletion, ...]:
    async with app.assembled(settings) as parts, parts.pool.connection() as conn:
        return await deletions.held(conn, entity=entity, ids=ids)


async def _decided(
    settings: Settings, decide: Decide, entity: str | None, ids: Sequence[str] | None
) -> tuple[Deletion, ...]:
    async with app.assembled(settings) as parts, parts.pool.connection() as conn:
        return await decide(conn, await deletions.held(conn, entity=entity, ids=ids), "operator")

