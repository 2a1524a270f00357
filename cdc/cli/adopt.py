"""`mapable-cdc adopt`: say what happened to a database in which the sidecar woke up."""

from __future__ import annotations

import click

from cdc import app
from cdc.cli import terminal
from cdc.cli.terminal import WrongUsage, out, settings_of
from cdc.config import Settings
from cdc.operate import adopting
from cdc.operate.adopting import How


@click.command()
@click.option("--failover", is_flag=True, help="A standby was promoted: the same data goes on here.")
@click.option("--restored", is_flag=True, help="A backup was restored here: rows are older than their pages may be.")
@click.pass_context
def adopt(ctx: click.Context, failover: bool, restored: bool) -> None:
    """Go on in another cluster, timeline or database than the sidecar was on; until then `run` holds everything.

    Every page is looked at, every row compared, and only what differs is written. After --restored, edits made in
    Notion since the backup are taken over into the rows, as after any edit. A page that went to the trash since then
    stays there: `mapable-cdc sync` brings it back.

    Of a copy (staging) adopt nothing: both would write to the same pages. Drop the sidecar's schema there.

    \b
    Example: mapable-cdc adopt --failover
    Exit codes: 0 adopted, or there was nothing to adopt; 2 wrong usage or settings; 3 the database can't be reached.
    """
    settings = settings_of(ctx)
    if failover == restored:
        raise WrongUsage("what happened is not said", "Give one of --failover and --restored.")
    changed = terminal.run(_adopt(settings, How.FAILOVER if failover else How.RESTORED))
    if changed:
        out.print(f"Adopted ({', '.join(changed)} changed). A `run` goes on within seconds, and compares everything.")
    else:
        out.print("There is nothing to adopt: this is the database that the sidecar is on.")


async def _adopt(settings: Settings, how: How) -> tuple[str, ...]:
    async with app.assembled(settings) as parts:
        return await adopting.adopt(parts, how)
