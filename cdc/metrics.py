"""Prometheus metrics: names mirror log events, units are in the names, labels never hold ids or values."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from cdc.replication.slot import SlotState
from cdc.watch.noticing import Noticed
from state.looks import Sweep
from state.work import Claim

WAL_STATUSES = ("reserved", "extended", "unreserved", "lost", "missing", "unknown")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Metrics:
    """All of the process's metrics, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "mapable_cdc_notion_requests", "Requests sent to Notion, by operation and outcome.",
            ("operation", "outcome"), registry=self.registry,
        )
        self.request_seconds = Histogram(
            "mapable_cdc_notion_request_seconds", "Time until Notion answered.", ("operation",),
            buckets=SECONDS, registry=self.registry,
        )
        self.reconciled = Counter(
            "mapable_cdc_key_reconciled", "Keys worked off, by entity and what was done.",
            ("entity", "outcome"), registry=self.registry,
        )
        self.latency_seconds = Histogram(
            "mapable_cdc_key_latency_seconds", "From a key's first mark until it was through, by what was done.",
            ("outcome",), buckets=SECONDS, registry=self.registry,
        )
        self.changes = Counter(
            "mapable_cdc_changes_captured", "Row changes read from the log.", registry=self.registry
        )
        self.marks = Counter("mapable_cdc_keys_marked", "Keys marked by capture.", registry=self.registry)
        self.queue_keys = Gauge(
            "mapable_cdc_queue_keys", "Keys waiting, by priority.", ("priority",), registry=self.registry
        )
        self.queue_age = Gauge(
            "mapable_cdc_queue_oldest_seconds", "Age of the oldest waiting mark.", ("priority",), registry=self.registry
        )
        self.parked = Gauge("mapable_cdc_parked_keys", "Keys set aside for a person.", registry=self.registry)
        self.retained = Gauge(
            "mapable_cdc_slot_retained_bytes", "Log the server keeps for the slot, from restart_lsn.",
            registry=self.registry,
        )
        self.safe_wal = Gauge(
            "mapable_cdc_slot_safe_wal_bytes",
            "Log that may still be written before the slot is lost; NaN where max_slot_wal_keep_size bounds nothing.",
            registry=self.registry,
        )
        self.wal_status = Gauge(
            "mapable_cdc_slot_wal_status", "1 for how the slot's log stands now, 0 for the others.", ("status",),
            registry=self.registry,
        )
        self.pages_read = Counter(
            "mapable_cdc_pages_looked_at", "Pages read to find edits, by entity and occasion (poll, sweep).",
            ("entity", "occasion"), registry=self.registry,
        )
        self.pages_found = Counter(
            "mapable_cdc_pages_found",
            "Pages that a look found differing from what was agreed, missing, or unknown.",
            ("entity", "occasion", "what"), registry=self.registry,
        )
        self.webhooks = Counter(
            "mapable_cdc_webhooks", "Webhook requests, by outcome: received, repeated, stored, refused or failed.",
            ("outcome",), registry=self.registry,
        )
        self.webhook_seconds = Histogram(
            "mapable_cdc_webhook_seconds", "Time until a webhook request was answered.", buckets=SECONDS,
            registry=self.registry,
        )
        self.active = Gauge("mapable_cdc_active", "1 while this process is the active one.", registry=self.registry)
        self.held = Gauge(
            "mapable_cdc_held", "1 while this process waits for `mapable-cdc adopt`.", registry=self.registry
        )

    def request(self, operation: str, outcome: str, took_s: float) -> None:
        self.requests.labels(operation, outcome).inc()
        self.request_seconds.labels(operation).observe(took_s)

    def key(self, entity: str, outcome: str, claim: Claim) -> None:
        self.reconciled.labels(entity, outcome).inc()
        self.latency_seconds.labels(outcome).observe((datetime.now(UTC) - claim.marked_at).total_seconds())

    def webhook(self, outcome: str, took_s: float) -> None:
        self.webhooks.labels(outcome).inc()
        self.webhook_seconds.observe(took_s)

    def captured(self, changes: int, keys: int) -> None:
        self.changes.inc(changes)
        self.marks.inc(keys)

    def looked(self, entity: str, pages: int, noticed: Noticed) -> None:
        self.pages_read.labels(entity, "poll").inc(pages)
        self.pages_found.labels(entity, "poll", "differing").inc(len(noticed.differing))
        self.pages_found.labels(entity, "poll", "unknown").inc(len(noticed.unknown))

    def swept(self, found: Sweep) -> None:
        self.pages_read.labels(found.entity, "sweep").inc(found.pages or 0)
        for what, pages in (
            ("differing", found.differing), ("missing", found.missing), ("unknown", found.unknown)
        ):
            self.pages_found.labels(found.entity, "sweep", what).inc(pages or 0)

    def slot(self, found: SlotState | None) -> None:
        self.retained.set((found.retained_bytes if found is not None else None) or 0)
        safe_bytes = found.safe_wal_bytes if found is not None else None
        self.safe_wal.set(math.nan if safe_bytes is None else safe_bytes)
        now = "missing" if found is None else found.wal_status or "unknown"
        for status in WAL_STATUSES:
            self.wal_status.labels(status).set(status == now)

    def render(self) -> bytes:
        return generate_latest(self.registry)
