"""The whole HTTP side of a process: which parts it has, and what they need of the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from cdc.app import Parts
from cdc.operate.orders import Orders
from cdc.operate.overview import overview_of
from cdc.web.application import application
from cdc.web.audit import Audit
from cdc.web.auth import Guard
from cdc.web.conflicts import Conflicts
from cdc.web.dashboard.dashboard import Dashboard
from cdc.web.health import Probes
from cdc.web.set_aside import SetAside
from cdc.web.status import Status
from cdc.web.sync import Sync
from cdc.web.webhook import Webhook, switched_off


def site(parts: Parts, probes: Probes, on_marked: Callable[[], None]) -> web.Application:
    """Return the application. `on_marked` is called when a request marked something."""
    settings = parts.settings
    guard = Guard(settings.admin_token, orders_per_minute=settings.sync_requests_per_minute)
    orders = Orders(parts.pool, parts.rows, settings.entities, enabled=settings.notion_sync_enabled)

    async def overview() -> Mapping[str, Any]:
        _, process = await probes.readiness()
        return await overview_of(parts.pool, settings, process)

    webhook = Webhook(
        parts.pool, settings.notion_webhook_secret, on_marked=on_marked, observer=parts.metrics.webhook
    )
    dashboard = Dashboard(parts, orders, overview, guard, on_marked=on_marked)
    return application(
        probes.routes(),
        webhook.routes() if settings.notion_sync_enabled else switched_off(),
        Sync(orders, guard, on_marked=on_marked).routes(),
        Status(overview, guard).routes(),
        Conflicts(parts.pool, orders, guard, on_marked=on_marked).routes(),
        Audit(parts.pool, guard).routes(),
        SetAside(parts.pool, guard, on_marked=on_marked).routes(),
        dashboard.routes(),
        around=(dashboard.middleware(),),
    )
