"""The model: what both sides must look like at the end, whatever went wrong. Each rule returns what breaks it.

Written for the test, sharing nothing with the product. Two independent witnesses (`witness`) say who changed what;
from these the model knows what each row and page must hold, which values may have lost, and where they must be written
down. Which of two rival values wins is left open where the clocks may not tell; that the loser is on record never is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from deploy.sandbox.requestlog import Request
from tests.chaos.ending import Ending, Link, Record
from tests.chaos.fields import BY_ENTITY, BY_NAME, TABLES, Prop, Table, column_plain, plain
from tests.chaos.samples import TAG
from tests.chaos.witness import APP, SERVICE, PageChange, RowChange

Rows = dict[str, tuple[str, str]]
PARKED_FOR: Final = ("ambiguous", "page_taken")
"""What only a person can put right."""


@dataclass(slots=True)
class Verdict:
    """What the model says of a run. `crossed`: edits that a write of ours met in flight, unseen by anybody."""

    findings: list[str] = field(default_factory=list)
    crossed: int = 0
    needless: int = 0      # writes of ours that changed nothing


def judge(end: Ending) -> Verdict:
    """Return everything that is not as it must be."""
    verdict = Verdict()
    record = end.record()
    for rule in (
        rows_have_their_pages, pages_without_rows, no_page_twice, nothing_made_twice, conflicts_of_two_sides,
        nothing_undone, nothing_told,
    ):
        verdict.findings += rule(end)
    verdict.findings += [*rows_changed_for_a_reason(end, record), *end.pages.strange]
    _overwritten(end, record, verdict)
    verdict.needless = _needless(end)
    return verdict


def judge_unswept(end: Ending) -> list[str]:
    """Return what is not as it must be before every page is compared: what MapAble did is there by itself."""
    gone = (
        f"{link.table.name} {link.system_id}: the row is gone, its page {link.page_id} is not"
        for link in end.links
        if link.state == "live" and (link.table.entity, link.system_id) not in end.held
        and link.page_id in end.pages.live(link.table) and link.system_id not in end.expected[link.table.database]
    )
    return [f"before the sweep: {finding}" for finding in (*rows_have_their_pages(end, swept=False), *gone)]


# Both sides are equal


def rows_have_their_pages(end: Ending, *, swept: bool = True) -> Iterator[str]:
    """Every row that is due a page has one that shows what the row says.

    Not `swept`: that a page is gone, or back, may not be known yet, since polls see neither.
    """
    parked = {(item["entity"], item["system_id"]) for item in end.parked}
    for table in TABLES:
        live = end.pages.live(table)
        for system_id, wanted in end.expected[table.database].items():
            link = end.link_of(table.name, system_id)
            due = table.name != "User" or system_id in end.members
            if (table.entity, system_id) in parked:
                continue
            if link is None or link.page_id is None:
                if due:
                    yield f"{table.name} {system_id} has no page"
            elif link.state == "live":
                if link.page_id not in live:
                    if not swept:
                        continue
                    yield f"{table.name} {system_id}: its page is not there, and nobody noticed"
                else:
                    yield from _shows(end, table, system_id, wanted, link, live[link.page_id])
            elif link.state == "unlinked":
                if link.page_id in live:
                    if swept:
                        yield f"{table.name} {system_id}: its page is back, and it is still unlinked"
                elif not _taken_by_a_person(end, link.page_id):
                    yield f"{table.name} {system_id} is unlinked, but nobody took its page away"
            elif due:
                yield f"{table.name} {system_id} has a page that is {link.state}"


def _shows(
    end: Ending, table: Table, system_id: str, wanted: Mapping[str, Any], link: Link, shown: dict[str, Any]
) -> Iterator[str]:
    frozen = {
        one["field"]: one for one in end.conflicts
        if (one["tab"], one["id"]) == (table.name, system_id) and one["status"] in ("open", "deciding")
    }
    for prop in table.props:
        if prop.kind == "mirror":
            continue
        page = plain(prop.kind, shown.get(prop.name))
        if prop.kind == "relation":
            if (problem := _points_at(end, table, system_id, page)) is not None:
                yield f"{table.name} {system_id}: {prop.name} {problem}"
            continue
        row = plain(prop.kind, wanted[prop.name])
        if prop.key in frozen:
            conflict = frozen[prop.key]
            if (plain(prop.kind, conflict["mapable"]), plain(prop.kind, conflict["notion"])) != (row, page):
                yield f"{table.name} {system_id}: the conflict about {prop.name} does not hold what the sides hold"
        elif row != page:
            yield f"{table.name} {system_id}: {prop.name} is {page!r} on the page {link.page_id} and {row!r} in the row"
    if link.left_out:
        yield f"{table.name} {system_id}: {sorted(link.left_out)} left out"


def _points_at(end: Ending, table: Table, system_id: str, page: list[str]) -> str | None:
    """Return what is wrong with the relation. Where the target's page is out of reach nothing can be said."""
    target = end.targets[table.name][system_id]
    if target is None:
        return None if page == [] else f"shows {page}, but the row points at nobody"
    link = end.link_of("User", target)
    if link is None or link.page_id is None:
        return None if page == [] or target in end.members else f"shows {page}, but {target} has no page"
    if link.state != "live":
        return None
    return None if page == [link.page_id] else f"shows {page}, but the row points at {target} ({link.page_id})"


def _taken_by_a_person(end: Ending, page_id: str) -> bool:
    """Whether whoever last took the page away is a person; purging is nobody's act in the stand-in."""
    page = end.pages.page(page_id)
    if page is None:
        return True
    steps = [one for one in end.pages.changes if one.page_id == page_id and one.prop is None and not one.made]
    return page["in_trash"] and bool(steps) and steps[-1].by != "bot"


# No page too many


def pages_without_rows(end: Ending) -> Iterator[str]:
    """A page of ours whose row is gone is in the trash, unless a person took it out again."""
    linked = {link.page_id for link in end.links if link.state == "live"}
    undecided = {(item["entity"], item["system_id"]) for item in end.parked}
    for table in TABLES:
        rows = end.expected[table.database]
        for page_id, shown in end.pages.live(table).items():
            if not _made_by_bot(end, page_id) or (page_id in linked and shown["System ID"] in rows):
                continue
            steps = [one for one in end.pages.changes if one.page_id == page_id and one.prop is None and not one.made]
            if steps and steps[-1].by != "bot":
                continue
            if shown["System ID"] not in rows and not _flagged(end, page_id):
                yield f"{table.name} {shown['System ID']}: the row is gone, its page {page_id} is not"
            elif (
                page_id not in linked and shown["System ID"] in rows
                and (table.entity, shown["System ID"]) not in undecided and _edited_by_people(end, page_id)
            ):
                yield f"{table.name} {shown['System ID']}: page {page_id} is ours, and no row's"


def no_page_twice(end: Ending) -> Iterator[str]:
    """No row has two pages that our bot made, no page two rows, and nobody's own page was written to."""
    linked = {link.page_id for link in end.links}
    for table in TABLES:
        seen: dict[str, str] = {}
        for page_id, shown in end.pages.live(table).items():
            if not _made_by_bot(end, page_id) or not shown["System ID"]:
                continue
            if (other := seen.setdefault(shown["System ID"], page_id)) != page_id:
                restored = {one.page_id for one in end.pages.changes if one.prop is None and one.by != "bot"}
                if not restored & {page_id, other}:
                    yield f"{table.name} {shown['System ID']} has two pages of ours: {other}, {page_id}"
    for page_id in sorted({one.page_id for one in end.pages.changes if one.by == "bot" and not one.made} - linked):
        if not _made_by_bot(end, page_id):
            yield f"the bot wrote to page {page_id}, which a person made and no row has"
    texts: dict[tuple[str, Any], str] = {}
    for change in end.changes:
        if change.who == SERVICE and change.op == "INSERT" and change.new is not None:
            table = BY_NAME[change.table]
            told = (change.table, tuple(change.new[str(prop.column)] for prop in table.shared if prop.kind == "text"))
            if texts.setdefault(told, change.system_id) != change.system_id:
                yield f"{change.table}: one page became two rows, {texts[told]} and {change.system_id}"


def nothing_made_twice(end: Ending) -> Iterator[str]:
    """The bot makes no page for a row that has one, not even one that is cleared away later."""
    ids: dict[str, tuple[str, str]] = {}
    ours: set[str] = set()
    for one in end.pages.changes:
        if one.made and one.by == "bot":
            ours.add(one.page_id)
        if one.prop is None and one.new:
            ids.pop(one.page_id, None)
        elif one.prop is None and (page := end.pages.page(one.page_id)) is not None and not one.made:
            ids[one.page_id] = (one.table.name, str(end.pages.shown(page).get("System ID")))
        elif one.prop == "System ID":
            key = (one.table.name, str(one.new))
            if one.made and one.by == "bot" and key in {ids[page_id] for page_id in ids.keys() & ours}:
                yield f"{one.table.name} {one.new}: page {one.page_id} was made beside another one of ours"
            ids[one.page_id] = key


def conflicts_of_two_sides(end: Ending) -> Iterator[str]:
    """Of the two values of a conflict one was typed by a person, the other one is MapAble's."""
    for line in end.audit:
        if line["action"] not in ("conflict.decided", "conflict.opened") or line["entity"] not in BY_ENTITY:
            continue
        table = BY_ENTITY[line["entity"]]
        for prop in table.props:
            if prop.key in line["properties"] and not any(
                one.page_id == line["page_id"] and one.prop == prop.name and one.by != "bot"
                and plain(prop.kind, one.new) == plain(prop.kind, line["detail"]["notion"])
                for one in end.pages.changes
            ):
                yield (
                    f"{table.name} {line['system_id']}: a conflict about {prop.name} on page {line['page_id']} with"
                    f" {line['detail']['notion']!r}, which nobody typed"
                )


def _made_by_bot(end: Ending, page_id: str) -> bool:
    return any(one.page_id == page_id and one.made and one.by == "bot" for one in end.pages.changes)


def _flagged(end: Ending, page_id: str) -> bool:
    """Whether people were told of a page of ours whose System ID they have changed."""
    retyped = any(
        one.page_id == page_id and one.prop == "System ID" and one.by not in ("bot", "nobody")
        for one in end.pages.changes
    )
    return retyped and any(
        line["page_id"] == page_id and line["action"] in ("page.unclaimed", "page.copied") for line in end.audit
    )


def _edited_by_people(end: Ending, page_id: str) -> bool:
    return any(one.page_id == page_id and one.by not in ("bot", "nobody") for one in end.pages.changes)


# Nothing is left, nothing is told


def nothing_undone(end: Ending) -> Iterator[str]:
    """The queue is empty, what is parked has a reason that is a person's matter, and the slot is past everything."""
    if end.work:
        yield f"{end.work} keys are still in the queue"
    for item in end.parked:
        if item["reason"] not in PARKED_FOR:
            yield f"{item['entity']} {item['system_id']} is parked: {item['reason']}: {item['message']}"
    if not end.confirmed:
        yield "the slot did not advance past what was committed"


def nothing_told(end: Ending) -> Iterator[str]:
    """The log holds no row value and no sign of a fault of ours."""
    for line in end.log:
        if "Traceback" in line:
            yield f"a traceback in the log: {line[:300]}"
        if TAG in line.replace("\\u0071", "q"):
            yield f"a row's value in the log: {line[:120]}"


# No row was changed that nobody changed, and nothing lost is forgotten


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
    made = [page_id for page_id in owners if not _made_by_bot(end, page_id)]
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


def _overwritten(end: Ending, record: Record, verdict: Verdict) -> None:
    """What a person typed and the bot wrote over is on record, unless nobody can have seen it."""
    service_wrote = _service_values(end)
    rows: Rows = {link.page_id: (link.table.name, link.system_id) for link in end.links if link.page_id is not None}
    last: dict[tuple[str, str], PageChange] = {}
    for change in end.pages.changes:
        if change.prop is None:
            if change.by == "bot" and change.new and not change.old and not change.made:
                for (page_id, _), typed in tuple(last.items()):
                    if page_id == change.page_id and typed.by not in ("bot", "nobody"):
                        _on_record(end, record, verdict, typed, change, service_wrote, rows)
            continue
        key = (change.page_id, change.prop)
        before = last.get(key)
        if change.by == "bot" and before is not None and before.by not in ("bot", "nobody"):
            _on_record(end, record, verdict, before, change, service_wrote, rows)
        last[key] = change


def _on_record(
    end: Ending, record: Record, verdict: Verdict, typed: PageChange, over: PageChange,
    service_wrote: dict[tuple[str, str, str], list[Any]], rows: Rows,
) -> None:
    assert typed.prop is not None
    prop = typed.table.prop(typed.prop)
    value = plain(prop.kind, typed.new)
    if prop.kind == "mirror" or (over.prop is not None and value == plain(prop.kind, over.new)):
        return
    if typed.made and not value:
        return    # a new page's empty property is nothing that anybody typed
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
    if _agreed(end, typed, over):
        return
    if not _was_seen(end, typed, over):
        verdict.crossed += 1
        return
    did = "put the page into the trash" if over.prop is None else f"wrote {over.new!r} over it"
    verdict.findings.append(
        f"{typed.table.name} {system_id}: a person typed {typed.new!r} into {prop.name} of page {typed.page_id}, "
        f"the bot saw it and {did}, and it is not on record"
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


def _needless(end: Ending) -> int:
    """Count the writes to pages that changed nothing there."""
    changed: dict[str, set[int]] = {}
    for one in end.pages.changes:
        if one.by == "bot":
            changed.setdefault(one.page_id, set()).add(one.step)
    writes: dict[str, int] = {}
    for request in end.requests:
        if request.method == "PATCH" and request.status == 200 and request.object_id is not None:
            writes[request.object_id] = writes.get(request.object_id, 0) + 1
    return sum(max(0, number - len(changed.get(page_id, ()))) for page_id, number in writes.items())
