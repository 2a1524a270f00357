"""The whole HTTP side of a process: which parts it has, and what they need of the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from cdc.app import Parts
from cdc.operate.orders import Orders
from cdc.operate.overview import overview_of
from cdc.web import deletes, parked
from cdc.web.application import Routes, application
from cdc.web.audit import Audit
from cdc.web.auth import Guard
from cdc.web.conflicts import Conflicts
from cdc.web.dashboard.dashboard import Dashboard
from cdc.web.health import Probes
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
    dashboard = Dashboard(parts, orders, overview, guard, on_marked=on_marked)
    app = application(
        probes.routes(),
        webhook.routes() if enabled else switched_off(),
        Sync(orders, guard, enabled=enabled, on_marked=on_marked).routes(),
        Status(overview, guard).routes(),
        Conflicts(parts.pool, orders, guard, on_marked=on_marked).routes(),
        Audit(parts.pool, guard).routes(),
        _set_aside(guard),
        dashboard.routes(),
        around=(dashboard.middleware(),),
    )
    app[parked.POOL] = app[deletes.POOL] = parts.pool
    return app


def _set_aside(guard: Guard) -> Routes:
    """Return the routes about work that waits for a person."""
    return (
        web.get("/api/notion/parked", guard.looking(parked.listed)),
        web.post("/api/notion/parked/retry", guard.looking(parked.retry)),
        web.post("/api/notion/parked/drop", guard.looking(parked.drop)),
        web.get("/api/notion/deletes", guard.looking(deletes.listed)),
        web.post("/api/notion/deletes/approve", guard.looking(deletes.approve)),
        web.post("/api/notion/deletes/reject", guard.looking(deletes.reject)),
    )
