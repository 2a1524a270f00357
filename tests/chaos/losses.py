"""No row is changed that nobody changed, and no value goes that is not written down: the rules about values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from deploy.sandbox.requestlog import Request
from tests.chaos.ending import Ending, Record
from tests.chaos.fields import BY_NAME, Prop, Table, column_plain, plain
from tests.chaos.witness import APP, SERVICE, PageChange, RowChange

Rows = dict[str, tuple[str, str]]


@dataclass(slots=True)
class Losses:
    """What was lost. `crossed`: edits that a write of ours met in flight, unseen by anybody."""

    findings: list[str] = field(default_factory=list)
    crossed: int = 0


def rows_changed_for_a_reason(end: Ending, record: Record) -> Iterator[str]:
    """What the service wrote to a row is what a person typed on its page, and what it replaced is on record."""
    by_row = _pages_by_row(end)
    for change in end.changes:
        if change.who == APP:
            continue
        table = BY_NAME.get(change.table)
        if table is None or change.op == "DELETE":
            yield f"the service did {change.op} on {change.table} {change.system_id}"
        elif change.op == "INSERT":
            yield from _made_for_a_reason(end, table, change, by_row.get((table.name, change.system_id), set()))
        else:
            yield from _written_for_a_reason(end, record, table, change, by_row)


def _written_for_a_reason(
    end: Ending, record: Record, table: Table, change: RowChange, by_row: dict[tuple[str, str], set[str]]
) -> Iterator[str]:
    assert change.old is not None
    assert change.new is not None
    owners = by_row.get((table.name, change.system_id), set())
    shared = {prop.column: prop for prop in table.shared}
    for column, new in change.new.items():
        old = change.old[column]
        if old == new or (column == "updatedAt" and table.has_updated):
            continue
        prop = shared.get(column)
        if prop is None:
            yield f"the service changed {table.name} {change.system_id}.{column}"
            continue
        if not any(_typed(prop, one, new) for one in end.pages.changes if one.page_id in owners):
            yield f"the service wrote {new!r} to {table.name} {change.system_id}.{column}, which nobody typed"
        owner = f"{table.entity}/{change.system_id}"
        was = column_plain(prop.kind, old)
        if not (record.has(owner, prop.key, prop.kind, was) or (prop.name == "Name" and not old)):
            yield f"{table.name} {change.system_id}.{column}: the value {old!r} was replaced and is not on record"


def _made_for_a_reason(end: Ending, table: Table, change: RowChange, owners: set[str]) -> Iterator[str]:
    made = [page_id for page_id in owners if not end.made_by_bot(page_id)]
    if not made:
        yield f"the service inserted {table.name} {change.system_id}, and no person's page is behind it"
        return
    assert change.new is not None
    for prop in table.shared:
        value = change.new[str(prop.column)]
        typed = any(_typed(prop, one, value) for one in end.pages.changes if one.page_id in made)
        if not typed and prop.kind not in ("select", "flag", "moment"):
            yield f"the service inserted {table.name} {change.system_id}.{prop.column} = {value!r}, which nobody typed"


def _typed(prop: Prop, change: PageChange, value: Any) -> bool:
    return (
        change.by != "bot" and change.prop == prop.name
        and plain(prop.kind, change.new) == column_plain(prop.kind, value)
    )


def _pages_by_row(end: Ending) -> dict[tuple[str, str], set[str]]:
    """Return every page that ever carried a row's System ID, or that is linked to it."""
    found: dict[tuple[str, str], set[str]] = {}
    for one in end.pages.changes:
        if one.prop == "System ID" and one.new:
            found.setdefault((one.table.name, one.new), set()).add(one.page_id)
    for link in end.links:
        if link.page_id is not None:
            found.setdefault((link.table.name, link.system_id), set()).add(link.page_id)
    return found


def overwritten(end: Ending, record: Record) -> Losses:
    """What a person typed and the bot wrote over is on record, unless nobody can have seen it."""
    losses = Losses()
    service_wrote = _service_values(end)
    rows: Rows = {link.page_id: (link.table.name, link.system_id) for link in end.links if link.page_id is not None}
    last: dict[tuple[str, str], PageChange] = {}
    for change in end.pages.changes:
        if change.prop is None:
            if change.by == "bot" and change.new and not change.old and not change.made:
                for (page_id, _), typed in tuple(last.items()):
                    if page_id == change.page_id and typed.by not in ("bot", "nobody"):
                        _on_record(end, record, losses, typed, change, service_wrote, rows)
            continue
        key = (change.page_id, change.prop)
        before = last.get(key)
        if change.by == "bot" and before is not None and before.by not in ("bot", "nobody"):
            _on_record(end, record, losses, before, change, service_wrote, rows)
        last[key] = change
    return losses


def _on_record(
    end: Ending, record: Record, losses: Losses, typed: PageChange, over: PageChange,
    service_wrote: dict[tuple[str, str, str], list[Any]], rows: Rows,
) -> None:
    assert typed.prop is not None
    prop = typed.table.prop(typed.prop)
    value = plain(prop.kind, typed.new)
    if prop.kind == "mirror" or (over.prop is not None and value == plain(prop.kind, over.new)):
        return
    if not value and (typed.made or _met_later(end, typed)):
        return    # an empty property of a page that is met for the first time is nothing that anybody typed
    if not value and prop not in typed.table.shared:
        return    # what MapAble keeps is filled again, and nothing is lost by that
    if typed.made and prop.column is None and _copied(end, typed):
        return    # a name that we wrote to the page that was copied
    if record.has(typed.page_id, prop.key, prop.kind, typed.new):
        return
    table, system_id = rows.get(typed.page_id, ("", ""))
    column = "participantId" if prop.kind == "relation" else str(prop.column)
    wrote: Sequence[Any] = service_wrote.get((table, system_id, column), ())
    if prop.kind == "relation":
        wrote = [link.page_id for link in end.links if link.table.name == "User" and link.system_id in wrote]
    if any(column_plain(prop.kind, one) == value for one in wrote) or _no_rival(
        end, typed, over, (table, system_id), wrote
    ):
        return
    if _agreed(end, typed, over) or _taken_for_ours(end, typed, wrote):
        return
    if not _was_seen(end, typed, over):
        losses.crossed += 1
        return
    did = "put the page into the trash" if over.prop is None else f"wrote {over.new!r} over it"
    losses.findings.append(
        f"{typed.table.name} {system_id}: a person typed {typed.new!r} into {prop.name} of page {typed.page_id}, "
        f"the bot saw it and {did}, and it is not on record"
    )


def _copied(end: Ending, typed: PageChange) -> bool:
    return any(
        one.by == "bot" and (one.table.name, one.prop, one.new) == (typed.table.name, typed.prop, typed.new)
        and one.step < typed.step
        for one in end.pages.changes
    )


def _no_rival(
    end: Ending, typed: PageChange, over: PageChange, row: tuple[str, str], wrote: Sequence[Any]
) -> bool:
    """Whether what was typed was agreed on: the last that both sides had, or what the row held at the time."""
    assert typed.prop is not None
    prop = typed.table.prop(typed.prop)
    value = plain(prop.kind, typed.new)
    taken = [column_plain(prop.kind, one) for one in wrote]
    before = [
        plain(prop.kind, one.new)
        for one in end.pages.changes
        if (one.page_id, one.prop) == (typed.page_id, typed.prop) and one.step < typed.step
        and (one.by == "bot" or plain(prop.kind, one.new) in taken)
    ]
    if before and before[-1] == value:
        return True
    if prop.column is None:
        return False
    held = [one for one in end.changes if (one.table, one.system_id) == row and one.new is not None]
    until_s = [*(one.at.timestamp() - end.ahead_s for one in held[1:]), over.at_s]
    return any(
        column_plain(prop.kind, (one.new or {}).get(prop.column)) == value and ends_s >= typed.at_s
        for one, ends_s in zip(held, until_s, strict=True)
        if one.at.timestamp() - end.ahead_s <= over.at_s
    )


def _agreed(end: Ending, typed: PageChange, over: PageChange) -> bool:
    """Whether the bot has written the very same value meanwhile, so that it was no rival any more."""
    assert typed.prop is not None
    written = quote(end.pages.property_id(typed.table, typed.prop), safe="")
    writes = [one for one in _requests(end, typed, over) if one.method == "PATCH" and one.status != 400]
    return any(written in ((one.body or {}).get("properties") or {}) for one in writes[:-1])


def _met_later(end: Ending, typed: PageChange) -> bool:
    """Whether the page became a row's only after that."""
    return any(
        line["action"] in ("page.adopted", "row.created") and line["page_id"] == typed.page_id
        and typed.at_s < line["at"].timestamp() - end.ahead_s
        for line in end.audit
    )


def _taken_for_ours(end: Ending, typed: PageChange, wrote: Sequence[Any]) -> bool:
    """Whether a write of ours was not answered, and what was typed is what that wrote, or what was agreed before it."""
    assert typed.prop is not None
    prop = typed.table.prop(typed.prop)
    value = plain(prop.kind, typed.new)
    taken = [column_plain(prop.kind, one) for one in wrote]
    agreed = [
        plain(prop.kind, one.new) for one in end.pages.changes
        if (one.page_id, one.prop) == (typed.page_id, typed.prop) and one.step < typed.step
        and (one.by == "bot" or plain(prop.kind, one.new) in taken)
    ]
    told = {
        line["action"] for line in end.audit
        if line["page_id"] == typed.page_id and prop.key in line["properties"]
        and typed.at_s < line["at"].timestamp() - end.ahead_s
        and (line["action"] == "page.unanswered" or (line["detail"] or {}).get("answer") == "lost")
    }
    # of what was agreed the last is the write that was not answered
    return "page.updated" in told or ("page.unanswered" in told and agreed[-2:-1] == [value])


def _requests(end: Ending, typed: PageChange, over: PageChange) -> list[Request]:
    path = f"/v1/pages/{typed.page_id}"
    return [one for one in end.requests if one.path == path and typed.at_s < one.at_s <= over.at_s]


def _was_seen(end: Ending, typed: PageChange, over: PageChange) -> bool:
    """Whether an answer that showed the edit reached a process that went on to make the write over it."""
    about = _requests(end, typed, over)
    writes = [one for one in about if one.method == "PATCH"]
    # the write itself reached Notion before it was executed
    reads = [one for one in about if one is not (writes[-1] if writes else None)]
    return any(
        one.status == 200
        and (one.fault is None or one.fault.startswith("slow"))
        and not any(one.at_s <= moment_s <= over.at_s for moment_s in end.disruptions_s)
        for one in reads
    )


def _service_values(end: Ending) -> dict[tuple[str, str, str], list[Any]]:
    """Return the values that the service wrote, by table, row and column."""
    found: dict[tuple[str, str, str], list[Any]] = {}
    for change in end.changes:
        if change.who == SERVICE and change.new is not None:
            for column, value in change.new.items():
                if change.old is None or change.old[column] != value:
                    found.setdefault((change.table, change.system_id, column), []).append(value)
    return found

