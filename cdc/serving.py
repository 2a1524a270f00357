"""`mapable-cdc run`: the supervisor with its HTTP side, from the first signal of life to a clean end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import psycopg
import structlog

from cdc import app, publishing
from cdc.cli.terminal import err, on_stop_signals
from cdc.config import Settings
from cdc.operate.dropping import drop_slot
from cdc.supervisor import Supervisor
from cdc.web.application import serving
from cdc.web.health import Probes, Render
from cdc.web.site import site

TOKEN_CHECK_S: Final = 5.0
"""A Notion that hangs must not keep the log from being read."""

METRICS_S: Final = 3.0
STOP_S: Final = 8.0
"""Longer than what is being sent may take to end."""
CUT_SHORT_S: Final = 1.0

log = structlog.get_logger(__name__)


async def serve(settings: Settings) -> None:
    """Run until a signal says stop; raises FatalError when a person must act."""
    if not settings.notion_sync_enabled:
        await _disabled(settings)
        return
    async with app.assembled(settings) as parts:
        supervisor = Supervisor(parts)
        stopping = asyncio.Event()

        def stop() -> None:
            stopping.set()
            supervisor.stop()

        on_stop_signals(stop)
        probes = Probes(supervisor.readiness, metrics_of(parts, supervisor))
        async with serving(site(parts, probes, supervisor.wake), settings.http_host, settings.http_port) as port:
            err.print(f"mapable-cdc: http://{_url_host(settings.http_host)}:{port}/readyz", soft_wrap=True)
            await _check_token(parts, stopping)
            await _until_stopped(supervisor, stopping)


async def _until_stopped(supervisor: Supervisor, stopping: asyncio.Event) -> None:
    """Run until the supervisor ends; once it was asked to, it has a while, whatever hangs (a database, say)."""
    running = asyncio.create_task(supervisor.run(), name="supervisor")
    asked = asyncio.create_task(stopping.wait(), name="stop")
    try:
        await asyncio.wait((running, asked), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((running,), timeout=STOP_S)
        if running.done():
            running.result()
            return
        log.warning("stop.cut_short", after_s=STOP_S)
    finally:
        for task in (running, asked):
            task.cancel()
        await asyncio.wait((running, asked), timeout=CUT_SHORT_S)


async def _check_token(parts: app.Parts, stopping: asyncio.Event) -> None:
    """Refuse to start with a token that Notion refuses; an outage, or no answer for a while, is no reason to wait."""
    check = asyncio.create_task(app.check_token(parts), name="token check")
    stopped = asyncio.create_task(stopping.wait(), name="stop")
    try:
        done, _ = await asyncio.wait(
            (check, stopped), timeout=TOKEN_CHECK_S, return_when=asyncio.FIRST_COMPLETED
        )
        if check in done:
            check.result()
        elif not done:
            log.warning("notion.unreachable", why=f"no answer within {TOKEN_CHECK_S:g} s")
    finally:
        for task in (check, stopped):
            task.cancel()
        await asyncio.gather(check, stopped, return_exceptions=True)


def metrics_of(parts: app.Parts, supervisor: Supervisor) -> Render:
    """Return what renders the metrics after refreshing the gauges from the database and from what the process knows."""

    async def render() -> bytes:
        try:
            async with asyncio.timeout(METRICS_S):
                await parts.metrics.gauges.refresh(
                    parts.pool, parts.settings.replication_slot,
                    secret_given=parts.settings.notion_webhook_secret is not None, paused=supervisor.paused,
                )
        except (psycopg.Error, TimeoutError):
            # when the database is down is when the other figures are looked at
            parts.metrics.gauges.database_up.set(0)
            return parts.metrics.render()
        return parts.metrics.render()

    return render


async def _disabled(settings: Settings) -> None:
    """A disabled sync keeps no slot: a forgotten one would fill the database's disk; nor a publication, which binds."""
    stopping = asyncio.Event()
    on_stop_signals(stopping.set)
    dropped = await drop_slot(settings)
    told = ["sync is disabled (NOTION_SYNC_ENABLED=false)"]
    told += ["its slot was dropped"] if dropped.slot else []
    told += ["its publication was dropped"] if dropped.publication else []
    err.print("; ".join(told), soft_wrap=True)
    if dropped.publication is None:
        err.print(publishing.REMAINS.format(settings.replication_slot), soft_wrap=True)

    async def readiness() -> tuple[bool, Mapping[str, Any]]:
        return True, {"role": "disabled", "enabled": False}

    async def nothing() -> bytes:
        return b""

    async with (
        app.assembled(settings) as parts,
        serving(
            site(parts, Probes(readiness, nothing), lambda: None), settings.http_host, settings.http_port
        ) as port,
    ):
        err.print(f"mapable-cdc: http://{_url_host(settings.http_host)}:{port}/readyz", soft_wrap=True)
        await stopping.wait()


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
