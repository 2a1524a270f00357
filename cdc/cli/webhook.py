"""`mapable-cdc webhook …`: expecting, showing and forgetting the verification token of Notion's webhooks."""

from __future__ import annotations

import sys
from datetime import datetime

import click

from cdc import app
from cdc.cli import terminal
from cdc.cli.terminal import EXIT_FINDINGS, WrongUsage, out, settings_of
from cdc.config import Settings
from cdc.web.webhook import KNOWN_IN, PATH
from state import audit, handshake
from state.changes import Key


@click.group()
def webhook() -> None:
    """Set up the webhook subscription that tells of edits made in Notion.

    \b
    1. mapable-cdc webhook await
    2. In Notion, in the connection's Webhooks tab: create a subscription to https://<this host>/api/notion/webhook
       with the events of pages and data sources
    3. mapable-cdc webhook show, and paste the token back in Notion
    """


@webhook.command("await")
@click.pass_context
def await_(ctx: click.Context) -> None:
    """Accept one verification token within the next 15 minutes, in place of the one before it.

    Works beside an active `run`, which is what receives it.

    \b
    Example: mapable-cdc webhook await
    Exit codes: 0 it is expected now, 2 wrong settings (NOTION_WEBHOOK_SECRET is set), 3 the database can't be reached.
    """
    settings = settings_of(ctx)
    if settings.notion_webhook_secret is not None:
        raise WrongUsage(
            "NOTION_WEBHOOK_SECRET is set, so no token is accepted",
            "Remove NOTION_WEBHOOK_SECRET and start `run` again, or make no new subscription.",
        )
    until = terminal.run(_expect(settings))
    out.print(f"Until {until:%H:%M} UTC one token is accepted at {PATH}.", soft_wrap=True)
    out.print("Create the subscription in Notion now; then: mapable-cdc webhook show", soft_wrap=True)


@webhook.command()
@click.pass_context
def show(ctx: click.Context) -> None:
    """Print the stored verification token, to be pasted back in Notion. Keep it to yourself.

    \b
    Example: mapable-cdc webhook show
    Exit codes: 0 shown, 1 there is none, 2 wrong settings, 3 the database can't be reached.
    """
    token, until = terminal.run(_look(settings_of(ctx)))
    if token is not None:
        click.echo(token)
        return
    waiting = f"; one is accepted until {until:%H:%M} UTC" if until is not None else ""
    out.print(f"No verification token is stored{waiting}.", soft_wrap=True)
    sys.exit(EXIT_FINDINGS)


@webhook.command()
@click.pass_context
def reset(ctx: click.Context) -> None:
    """Forget the stored token, and expect none: every webhook is refused until there is another one.

    A token that NOTION_WEBHOOK_SECRET names is not stored, and applies for as long as that is set.

    \b
    Example: mapable-cdc webhook reset
    Exit codes: 0 forgotten, or there was none; 2 wrong settings; 3 the database can't be reached.
    """
    settings = settings_of(ctx)
    forgotten = terminal.run(_reset(settings))
    out.print("Forgotten. Delete the subscription in Notion, too." if forgotten else "There was none.", soft_wrap=True)
    if settings.notion_webhook_secret is not None:
        out.print(
            "NOTION_WEBHOOK_SECRET still applies: to refuse every webhook, remove it and start `run` again.",
            soft_wrap=True,
        )


async def _expect(settings: Settings) -> datetime:
    async with app.assembled(settings) as parts, parts.pool.connection() as conn, conn.transaction():
        await audit.append(conn, audit.Entry("webhook.expected", Key(KNOWN_IN, "*"), actor=audit.OPERATOR))
        return await handshake.expect(conn)


async def _look(settings: Settings) -> tuple[str | None, datetime | None]:
    async with app.assembled(settings) as parts, parts.pool.connection() as conn:
        return await handshake.token(conn), await handshake.expected_until(conn)


async def _reset(settings: Settings) -> bool:
    async with app.assembled(settings) as parts, parts.pool.connection() as conn, conn.transaction():
        await audit.append(conn, audit.Entry("webhook.reset", Key(KNOWN_IN, "*"), actor=audit.OPERATOR))
        return await handshake.reset(conn)
