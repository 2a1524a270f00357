"""What happened to the pages and rows that findings speak of, in order of time: for whoever looks into one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.chaos.ending import Ending

_PAGE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def stories(end: Ending, findings: Sequence[str]) -> str:
    """Return the story of every page that a finding names."""
    pages = sorted({page_id for finding in findings for page_id in _PAGE.findall(finding)})
    rows = {link.system_id: link.page_id for link in end.links if link.page_id is not None}
    named = {page_id for system_id, page_id in rows.items() if any(f" {system_id}" in one for one in findings)}
    return "\n\n".join(_story(end, page_id) for page_id in sorted({*pages, *named}))


def _story(end: Ending, page_id: str) -> str:
    ahead_s = end.ahead_s
    told: list[tuple[float, str]] = []
    for one in end.pages.changes:
        if one.page_id == page_id:
            what = "in trash" if one.prop is None else one.prop
            told.append((one.at_s + ahead_s, f"PAGE   {one.by[:8]} {what}: {one.old!r} -> {one.new!r}"))
    for request in end.requests:
        if page_id in request.path or request.object_id == page_id:
            sent = str(request.body)[:160] if request.method != "GET" else ""
            text = f"ASKED  {request.method} {request.status} {request.fault or ''} {sent}"
            told.append((request.at_s + ahead_s, text))
    rows = {link.system_id for link in end.links if link.page_id == page_id}
    for line in end.audit:
        if line["page_id"] == page_id or line["system_id"] in rows:
            text = f"AUDIT  {line['action']} {line['properties']} {line['actor'][:8]} {line['detail'] or ''}"
            told.append((line["at"].timestamp(), text[:400]))
    told += [
        (one.at.timestamp(), f"ROW    {one.who} {one.op} {_differing(one.old, one.new)}")
        for one in end.changes
        if one.system_id in rows
    ]
    told += [(moment_s + ahead_s, "KILLED or cut off") for moment_s in end.disruptions_s]
    shown = [f"{_clock(at_s)} {text}" for at_s, text in sorted(told, key=lambda item: item[0])]
    return "\n".join([f"page {page_id} of {sorted(rows)}", *shown])


def _differing(old: object, new: object) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        return ", ".join(f"{key}: {old[key]!r} -> {new[key]!r}" for key in new if old.get(key) != new[key])[:300]
    return ""


def _clock(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S.%f")[:-3]
