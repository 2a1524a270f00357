"""Prometheus metrics: names mirror log events, units are in the names, labels never hold ids or values."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from cdc.gauges import Gauges
from cdc.watch.noticing import Noticed
from state.changes import Key
from state.looks import Sweep
from state.work import Claim

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
REMEMBERED: Final = 10_000
"""Of so many keys it is known when they were committed; the latency of others is not measured."""

NOT_THROUGH: Final = frozenset({"later", "not_visible", "no_turn", "held", "retried"})
SENT: Final = frozenset({"created", "updated", "trashed", "restored"})


class Metrics:
    """All of the process's metrics, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.gauges = Gauges(self.registry)
        self._committed: dict[Key, datetime] = {}
        self.build = Info("mapable_cdc_build", "Which program this is.", registry=self.registry)
        self.build.info({"version": version("mapable-cdc"), "python": platform.python_version()})
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
        self.commit_seconds = Histogram(
            "mapable_cdc_commit_to_notion_seconds", "From a row's first commit that was not sent until Notion had it.",
            ("entity",), buckets=SECONDS, registry=self.registry,
        )
        self.capture_seconds = Histogram(
            "mapable_cdc_capture_lag_seconds", "From a commit until what it changed was in the queue.",
            buckets=SECONDS, registry=self.registry,
        )
        self.turn_seconds = Histogram(
            "mapable_cdc_notion_turn_wait_seconds", "How long a request waited for its turn, by priority.",
            ("priority",), buckets=SECONDS, registry=self.registry,
        )
        self.written_back = Counter(
            "mapable_cdc_fields_written_back", "Fields of rows that took over an edit made in Notion, by entity.",
            ("entity",), registry=self.registry,
        )
        self.latency_seconds = Histogram(
            "mapable_cdc_key_latency_seconds", "From a key's first mark until it was through, by what was done.",
            ("outcome",), buckets=SECONDS, registry=self.registry,
        )
        self.changes = Counter(
            "mapable_cdc_changes_captured", "Row changes read from the log.", registry=self.registry
        )
        self.marks = Counter("mapable_cdc_keys_marked", "Keys marked by capture.", registry=self.registry)
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
        self.streaming = Gauge(
            "mapable_cdc_streaming", "1 while this process reads the log.", registry=self.registry
        )

    def request(self, operation: str, outcome: str, took_s: float) -> None:
        self.requests.labels(operation, outcome).inc()
        self.request_seconds.labels(operation).observe(took_s)

    def key(self, entity: str, outcome: str, claim: Claim) -> None:
        self.reconciled.labels(entity, outcome).inc()
        if outcome in NOT_THROUGH:
            return
        self.latency_seconds.labels(outcome).observe(_since_s(claim.marked_at))
        committed_at = self._committed.pop(claim.key, None)
        if committed_at is not None and outcome in SENT:
            self.commit_seconds.labels(entity).observe(_since_s(committed_at))

    def webhook(self, outcome: str, took_s: float) -> None:
        self.webhooks.labels(outcome).inc()
        self.webhook_seconds.observe(took_s)

    def captured(self, changes: int, keys: int, committed: Mapping[Key, datetime]) -> None:
        self.changes.inc(changes)
        self.marks.inc(keys)
        if committed:
            self.capture_seconds.observe(_since_s(min(committed.values())))
        for key, at in committed.items():
            if len(self._committed) >= REMEMBERED:
                self._committed.pop(next(iter(self._committed)))
            self._committed.setdefault(key, at)

    def wrote_back(self, entity: str, fields: int) -> None:
        self.written_back.labels(entity).inc(fields)

    def waited(self, priority: str, wait_s: float) -> None:
        self.turn_seconds.labels(priority).observe(wait_s)

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

    def render(self) -> bytes:
        return generate_latest(self.registry)


def _since_s(moment: datetime) -> float:
    """Return how long ago it was; the database's clock may be a little ahead of ours."""
    return max(0.0, (datetime.now(UTC) - moment).total_seconds())
