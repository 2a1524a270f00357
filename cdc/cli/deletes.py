"""`mapable-cdc deletes`: what to do about pages whose rows went all at once."""

from __future__ import annotations

import json
import sys

import click

from cdc.cli.deciding import EVERY, IDS, decide, waiting
from cdc.cli.deletes_view import deletions_table
from cdc.cli.terminal import EXIT_FINDINGS, out
from cdc.operate.records import deletion_as_json
from cdc.reconcile import holding
from sinks.mapping.entities import ENTITIES
from state import deletions

ENTITY = click.option("--entity", type=click.Choice([entity.name for entity in ENTITIES]), help="Only this one.")


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
    found = waiting(ctx, deletions.held, entity)
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
    decide(ctx, deletions.held, holding.approve, ids, entity, every, "approved")


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
    decide(ctx, deletions.held, holding.reject, ids, entity, every, "rejected")
