"""`mapable-cdc parked`: what to do about work that was set aside."""

from __future__ import annotations

import json
import sys

import click

from cdc.cli.backfill_view import parked_table
from cdc.cli.deciding import EVERY, IDS, decide, waiting
from cdc.cli.terminal import EXIT_FINDINGS, WrongUsage, out
from cdc.operate import parking as actions
from cdc.operate.records import parked_as_json
from state import parking

ENTITY = click.option("--entity", type=click.Choice(actions.NAMES), help="Only this one, as the list names it.")


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
    found = waiting(ctx, parking.named, entity)
    if as_json:
        click.echo(json.dumps({"parked": [parked_as_json(item) for item in found]}))
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
    decide(ctx, parking.named, actions.retry, ids, entity, every, "will be tried again")


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
    decide(ctx, parking.named, actions.drop, ids, entity, every, "dropped")
