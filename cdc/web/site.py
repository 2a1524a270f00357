"""The whole HTTP side of a process: which parts it has, and what they need of the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from cdc.app import Parts
from cdc.orders import Orders
from cdc.overview import overview_of
from cdc.web.application import application
from cdc.web.auth import Guard
from cdc.web.conflicts import Conflicts
from cdc.web.decisions import Decisions
from cdc.web.health import Probes
from cdc.web.records import Records
from cdc.web.status import Status
from cdc.web.sync import Sync
from cdc.web.webhook import Webhook, switched_off


def site(parts: Parts, probes: Probes, on_marked: Callable[[], None]) -> web.Application:
    """Return the application. `on_marked` is called when a request marked something."""
    settings = parts.settings
    enabled = settings.notion_sync_enabled
    guard = Guard(settings.admin_token, orders_per_minute=settings.sync_requests_per_minute)
    orders = Orders(parts.pool, parts.rows, settings.entities)

    async def overview() -> Mapping[str, Any]:
        _, process = await probes.readiness()
        return await overview_of(parts.pool, settings, process)

    webhook = Webhook(
        parts.pool, settings.notion_webhook_secret, on_marked=on_marked, observer=parts.metrics.webhook
    )
    return application(
        probes.routes(),
        webhook.routes() if enabled else switched_off(),
        Sync(orders, guard, enabled=enabled, on_marked=on_marked).routes(),
        Status(overview, guard).routes(),
        Conflicts(parts.pool, orders, guard, on_marked=on_marked).routes(),
        Records(parts.pool, parts.queue, guard).routes(),
        Decisions(parts.pool, guard, on_marked=on_marked).routes(),
    )
