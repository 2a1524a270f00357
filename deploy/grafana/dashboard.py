"""Writes dashboard.json: `python -m deploy.grafana.dashboard > deploy/grafana/dashboard.json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
THIRD: Final = 8
HEIGHT: Final = 7


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: what it asks, by legend, and in which of Grafana's units it is shown."""

    title: str
    tells: str
    queries: Mapping[str, str]
    unit: str = "short"
    kind: str = "timeseries"


def _quantile(share: float, metric: str, by: str = "le") -> str:
    return f"histogram_quantile({share}, sum by ({by}) (rate({metric}_bucket[$__rate_interval])))"


ROWS: Final[Mapping[str, Sequence[Panel]]] = {
    "At a glance": (
        Panel(
            "Active and streaming", "One process is active and reads the log; the others stand by.",
            {"active": "sum(mapable_cdc_active)", "streaming": "sum(mapable_cdc_streaming)"}, kind="stat",
        ),
        Panel(
            "For a person", "What does not go on without somebody's word.",
            {
                "parked": "max(mapable_cdc_parked_keys)",
                "conflicts": "max(mapable_cdc_conflicts_open)",
                "held deletes": "max(mapable_cdc_deletes_held)",
            },
            kind="stat",
        ),
        Panel(
            "Notion and the database", "1: answers. The database's figures are old while it does not.",
            {"Notion": "1 - max(mapable_cdc_notion_down)", "database": "min(mapable_cdc_database_up)"}, kind="stat",
        ),
    ),
    "From MapAble to Notion": (
        Panel(
            "Commit to Notion", "From a row's first commit that was not sent until Notion had it.",
            {
                "half": _quantile(0.5, "mapable_cdc_commit_to_notion_seconds"),
                "95 %": _quantile(0.95, "mapable_cdc_commit_to_notion_seconds"),
            },
            "s",
        ),
        Panel(
            "Commit to queue", "How long it takes until a change is in the queue, and can't be lost any more.",
            {"95 %": _quantile(0.95, "mapable_cdc_capture_lag_seconds")}, "s",
        ),
        Panel(
            "Oldest work", "By priority; only live work should be young.",
            {"{{priority}}": "max by (priority) (mapable_cdc_queue_oldest_seconds)"}, "s",
        ),
        Panel("Queue", "Keys waiting.", {"{{priority}}": "max by (priority) (mapable_cdc_queue_keys)"}),
        Panel(
            "Worked off", "Keys each second, by what was done.",
            {"{{outcome}}": "sum by (outcome) (rate(mapable_cdc_key_reconciled_total[$__rate_interval]))"}, "ops",
        ),
        Panel(
            "Changes captured", "Rows in the log, and keys marked because of them, each second.",
            {
                "changes": "sum(rate(mapable_cdc_changes_captured_total[$__rate_interval]))",
                "keys": "sum(rate(mapable_cdc_keys_marked_total[$__rate_interval]))",
            },
            "ops",
        ),
    ),
    "From Notion to MapAble": (
        Panel(
            "Written back", "Fields of rows that took over an edit, each second.",
            {"{{entity}}": "sum by (entity) (rate(mapable_cdc_fields_written_back_total[$__rate_interval]))"}, "ops",
        ),
        Panel(
            "Webhooks", "Requests each second, by outcome.",
            {"{{outcome}}": "sum by (outcome) (rate(mapable_cdc_webhooks_total[$__rate_interval]))"}, "ops",
        ),
        Panel(
            "Found by looking", "Pages that a poll or a sweep found unlike what was agreed.",
            {
                "{{occasion}}, {{what}}":
                    "sum by (occasion, what) (increase(mapable_cdc_pages_found_total[$__rate_interval]))",
            },
        ),
        Panel(
            "Since the last sweep", "By entity.",
            {"{{entity}}": "time() - max by (entity) (mapable_cdc_sweep_last_timestamp_seconds)"}, "s",
        ),
    ),
    "Notion": (
        Panel(
            "Requests", "Each second, by outcome.",
            {"{{outcome}}": "sum by (outcome) (rate(mapable_cdc_notion_requests_total[$__rate_interval]))"}, "reqps",
        ),
        Panel(
            "Budget", "Requests of the last minute, and how many are allowed.",
            {"used": "max(mapable_cdc_budget_requests_used)", "limit": "max(mapable_cdc_budget_requests_limit)"},
        ),
        Panel(
            "Answers", "How long Notion takes, by operation: 95 %.",
            {"{{operation}}": _quantile(0.95, "mapable_cdc_notion_request_seconds", "le, operation")}, "s",
        ),
        Panel(
            "Waits for a turn", "By priority: 95 %.",
            {"{{priority}}": _quantile(0.95, "mapable_cdc_notion_turn_wait_seconds", "le, priority")}, "s",
        ),
    ),
    "The slot": (
        Panel(
            "Log retained", "What the database keeps on its disk because of the slot.",
            {
                "retained": "max(mapable_cdc_slot_retained_bytes)",
                "not acknowledged": "max(mapable_cdc_capture_lag_bytes)",
            },
            "bytes",
        ),
        Panel(
            "Room until it is lost", "Set max_slot_wal_keep_size: without it there is no end, but that of the disk.",
            {"safe": "min(mapable_cdc_slot_safe_wal_bytes)"}, "bytes",
        ),
        Panel(
            "State", "As the server names it.",
            {"{{state}}": "max by (state) (mapable_cdc_slot_state)", "active": "max(mapable_cdc_slot_active)"},
        ),
    ),
    "The program": (
        Panel("Version", "Of each process.", {"{{version}}": "sum by (version) (mapable_cdc_build_info)"}, kind="stat"),
        Panel("Paused", "Databases and fields.", {"{{entity}}": "max by (entity) (mapable_cdc_paused)"}),
    ),
}


def dashboard() -> dict[str, Any]:
    """Return what Grafana imports."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        panels.append(
            {"type": "row", "title": title, "gridPos": {"h": 1, "w": 3 * THIRD, "x": 0, "y": top}, "panels": []}
        )
        top += 1
        for number, panel in enumerate(row):
            place = {"h": HEIGHT, "w": THIRD, "x": number % 3 * THIRD, "y": top + number // 3 * HEIGHT}
            panels.append(_panel(panel, place))
        top += -(-len(row) // 3) * HEIGHT
    for number, made in enumerate(panels):
        made["id"] = number + 1
    return {
        "title": "mapable-cdc", "uid": "mapable-cdc", "schemaVersion": 39, "editable": True, "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"}, "tags": ["mapable"],
        "templating": {
            "list": [{"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]
        },
        "panels": panels,
    }


def _panel(panel: Panel, place: Mapping[str, int]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + number), "expr": query, "legendFormat": legend, "datasource": SOURCE}
        for number, (legend, query) in enumerate(panel.queries.items())
    ]
    return {
        "type": panel.kind, "title": panel.title, "description": panel.tells, "datasource": SOURCE,
        "gridPos": dict(place), "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }


def rendered() -> str:
    """Return the file."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(rendered())
