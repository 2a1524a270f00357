"""What is true now: read from the sidecar and the server's catalog whenever somebody asks for the metrics."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from cdc.operate.status import Status, status_of
from cdc.replication.slot import SlotState
from sinks.notion.pacing import Pacer
from state import conflicts, handshake, looks
from state.database import Pool

SLOT_STATES: Final = ("reserved", "extended", "unreserved", "lost", "missing")
"""As `wal_status` has them, and one for a slot that is not there."""


class Gauges:
    """Every gauge that a scrape sets anew."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, help_text: str, *labels: str) -> Gauge:
            return Gauge(f"mapable_cdc_{name}", help_text, labels, registry=registry)

        self.database_up = gauge("database_up", "1 when the database answered this scrape; 0: the rest is older.")
        self.queue_keys = gauge("queue_keys", "Keys waiting, by priority.", "priority")
        self.queue_age = gauge("queue_oldest_seconds", "Age of the oldest waiting mark.", "priority")
        self.parked = gauge("parked_keys", "Keys set aside for a person.")
        self.held = gauge("deletes_held", "Deletes that wait for a person's word.")
        self.paused = gauge("paused", "Databases and fields that are paused, by entity.", "entity")
        self.conflicts = gauge("conflicts_open", "Fields that both sides changed and a person has to decide.")
        self.conflicts_age = gauge("conflicts_oldest_seconds", "Age of the oldest open conflict.")
        self.swept_at = gauge(
            "sweep_last_timestamp_seconds", "When the last complete sweep began, in Unix time.", "entity"
        )
        self.webhook_expected = gauge("webhook_expected", "1 when a webhook's verification token is known.")
        self.slot_state = gauge("slot_state", "1 for the state that the slot is in.", "state")
        self.slot_active = gauge("slot_active", "1 while a process streams from the slot.")
        self.retained = gauge("slot_retained_bytes", "Log the server keeps for the slot, from restart_lsn.")
        self.lag = gauge("capture_lag_bytes", "Log that was written and is not acknowledged yet.")
        self.safe = gauge(
            "slot_safe_wal_bytes",
            "Log that may be written before the slot is lost; +Inf without a limit, NaN without a slot.",
        )
        self.budget_limit = gauge("budget_requests_limit", "Requests to Notion allowed in any minute; 0: no limit.")
        self.budget_used = gauge("budget_requests_used", "Requests to Notion that count against the limit now.")
        self.notion_down = gauge("notion_down", "1 while Notion as a whole fails and is only probed.")

    def pace(self, pacer: Pacer) -> None:
        """Show what the pacer knows, also when the database is down."""
        self.budget_limit.set(pacer.budget.limit)
        self.budget_used.set_function(lambda: pacer.used)
        self.notion_down.set_function(lambda: pacer.breaker.open)

    async def refresh(self, pool: Pool, slot: str, *, secret_given: bool, paused: Collection[str]) -> None:
        """Read everything; raises what the database raises. `paused`: what the process found out and nobody stores."""
        status = await status_of(pool, slot)
        self._show(status)
        for entity in set(paused) - {entity for entity, field, _ in status.paused if field is None}:
            self.paused.labels(entity).inc()
        async with pool.connection() as conn:
            waiting, oldest_s = await conflicts.waiting(conn)
            swept = await looks.sweeps(conn)
            token = await handshake.token(conn)
        self.conflicts.set(waiting)
        self.conflicts_age.set(oldest_s)
        for sweep in swept:
            self.swept_at.labels(sweep.entity).set(sweep.swept_at.timestamp())
        self.webhook_expected.set(secret_given or token is not None)
        self.database_up.set(1)

    def _show(self, status: Status) -> None:
        for priority, depth in status.queue.items():
            self.queue_keys.labels(priority).set(depth.keys)
            self.queue_age.labels(priority).set(depth.oldest_age_s)
        self.parked.set(status.parked)
        self.held.set(status.held)
        self.paused.clear()
        for entity, _, _ in status.paused:
            self.paused.labels(entity).inc()
        self._show_slot(status.slot)

    def _show_slot(self, slot: SlotState | None) -> None:
        now = (slot.wal_status or "unreserved") if slot is not None else "missing"
        for state in SLOT_STATES:
            self.slot_state.labels(state).set(state == now)
        self.slot_active.set(slot is not None and slot.active)
        self.retained.set((slot.retained_bytes or 0) if slot is not None else 0)
        self.lag.set(slot.lag_bytes if slot is not None else 0)
        self.safe.set(_safe_bytes(slot))


def _safe_bytes(slot: SlotState | None) -> float:
    if slot is None:
        return float("nan")
    if slot.safe_wal_bytes is not None:
        return float(slot.safe_wal_bytes)
    return 0.0 if slot.lost else float("inf")
