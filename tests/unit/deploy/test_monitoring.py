"""Rules and dashboard name metrics that there are, and every alert is tested and explained."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cdc.metrics import Metrics
from deploy.grafana import dashboard

DEPLOY: Final = Path(__file__).resolve().parents[3] / "deploy"
RULES: Final = (DEPLOY / "prometheus" / "rules.yml").read_text(encoding="utf-8")
RULE_TESTS: Final = (DEPLOY / "prometheus" / "rules_test.yml").read_text(encoding="utf-8")
RUNBOOK: Final = (DEPLOY / "RUNBOOK.md").read_text(encoding="utf-8")
METRIC: Final = re.compile(r"\bmapable_cdc_\w+")
SUFFIXES: Final = {
    "counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum"), "info": ("_info",),
}
ALERTS: Final = tuple(re.findall(r"- alert: (\w+)", RULES))


def series() -> Iterator[str]:
    """Yield the name of every series that a scrape can bring."""
    for family in Metrics().registry.collect():
        yield from (f"{family.name}{suffix}" for suffix in SUFFIXES[family.type])


def test_the_runbook_lists_every_metric_as_it_describes_itself() -> None:
    ends = {"counter": "_total", "info": "_info"}
    told = re.findall(r"^\| `(mapable_cdc_\w+)` \| (\w+) \| (.*) \|$", RUNBOOK, re.MULTILINE)

    assert told == [
        (f"{family.name}{ends.get(family.type, '')}", family.type, family.documentation)
        for family in Metrics().registry.collect()
    ]


def test_rules_name_only_metrics_that_there_are() -> None:
    assert ALERTS
    assert set(METRIC.findall(RULES)) - set(series()) == set()


def test_the_dashboard_names_only_metrics_that_there_are() -> None:
    queries = [target["expr"] for panel in dashboard.dashboard()["panels"] for target in panel.get("targets", ())]

    assert queries
    assert set(METRIC.findall("\n".join(queries))) - set(series()) == set()


def test_the_runbook_names_panels_that_there_are() -> None:
    named = set(re.findall(r"Grafana's\s\*(\w[^*]*)\*", RUNBOOK))

    assert named
    assert named - {panel["title"] for panel in dashboard.dashboard()["panels"]} == set()


def test_the_dashboard_is_what_its_code_makes() -> None:
    written = (DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8")

    assert written == dashboard.rendered(), "run: python -m deploy.grafana.dashboard > deploy/grafana/dashboard.json"
    assert json.loads(written)["title"] == "mapable-cdc"


def test_each_alert_has_a_case_in_which_it_comes_and_one_in_which_it_does_not() -> None:
    for alert in ALERTS:
        cases = re.findall(rf"alertname: {alert}\n +exp_alerts:( \[\])?", RULE_TESTS)

        assert set(cases) == {"", " []"}, alert
