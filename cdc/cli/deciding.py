"""What `parked` and `deletes` have in common: naming what waits for a person, and deciding about it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

import click

from cdc import app
from cdc.cli import terminal
from cdc.cli.terminal import EXIT_FINDINGS, WrongUsage, out, settings_of
from cdc.config import Settings
from cdc.operate.deciding import Decide, Find, T
from state import audit
from state.database import Connection

EVERY = click.option("--all", "every", is_flag=True, help="Everything that is listed.")
IDS = click.argument("ids", metavar="[ID]...", nargs=-1)


def waiting(ctx: click.Context, find: Find[T], entity: str | None) -> Sequence[T]:
    """Return what waits, of one entity or of all."""

    async def found(conn: Connection) -> Sequence[T]:
        return await find(conn, entity=entity)

    return terminal.run(_with_sidecar(settings_of(ctx), found))


def decide(
    ctx: click.Context, find: Find[T], how: Decide[T], ids: tuple[str, ...], entity: str | None, every: bool, done: str
) -> NoReturn:
    """Decide about what is named, and say about how much."""
    listing = f"`mapable-cdc {ctx.parent.info_name if ctx.parent is not None else ''} list`"
    if every and (ids or entity):
        raise WrongUsage("--all means everything", "Leave the ids and --entity out, or --all.")
    if not (every or ids or entity):
        raise WrongUsage("nothing is named", f"Give ids, --entity, or --all; {listing} shows what waits.")

    async def decided(conn: Connection) -> int:
        return len(await how(conn, await find(conn, entity=entity, ids=ids or None), audit.OPERATOR))

    count = terminal.run(_with_sidecar(settings_of(ctx), decided))
    out.print(f"{count} {done}." if count else f"Nothing of that waits; {listing} shows what does.")
    sys.exit(0 if count else EXIT_FINDINGS)


async def _with_sidecar(settings: Settings, work: Callable[[Connection], Awaitable[T]]) -> T:
    async with app.assembled(settings) as parts, parts.pool.connection() as conn:
        return await work(conn)
