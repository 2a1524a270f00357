"""The model: what both sides must look like at the end, whatever went wrong. Each rule returns what breaks it.

Written for the test, sharing nothing with the product. Two independent witnesses (`witness`) say who changed what;
from these the model knows what each row and page must hold, which values may have lost, and where they must be written
down. Which of two rival values wins is left open where the clocks may not tell; that the loser is on record never is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.chaos.ending import Ending, Link
from tests.chaos.fields import BY_ENTITY, TABLES, Prop, Table, plain
from tests.chaos.losses import overwritten, rows_changed_for_a_reason
from tests.chaos.once import ONCE, needless
from tests.chaos.samples import TAG, UNIQUE

PARKED_FOR: Final = ("ambiguous", "page_taken")
"""What only a person can put right."""


@dataclass(slots=True)
class Verdict:
    """What the model says of a run. `crossed`: edits that a write of ours met in flight, unseen by anybody."""

    findings: list[str] = field(default_factory=list)
    crossed: int = 0
    needless: int = 0      # writes of ours that changed nothing
    duplicates: int = 0    # pages, rows and comments that were made once too often


def judge(end: Ending) -> Verdict:
    """Return everything that is not as it must be."""
    verdict = Verdict()
    record = end.record()
    for rule in (
        rows_have_their_pages, pages_without_rows, *ONCE, conflicts_of_two_sides, refusals_are_earned, nothing_undone,
        nothing_told, the_slot_is_ours,
    ):
        verdict.findings += rule(end)
    verdict.findings += [*rows_changed_for_a_reason(end, record), *end.pages.strange]
    losses = overwritten(end, record)
    verdict.findings += losses.findings
    verdict.crossed = losses.crossed
    verdict.needless = needless(end)
    verdict.duplicates = sum(1 for rule in ONCE for _ in rule(end))
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


def out_of_reach(end: Ending) -> set[str]:
    """Return the pages whose relation can't be told to be right: who it should show has a page that was taken away."""
    found = set()
    for link in end.links:
        target = end.targets.get(link.table.name, {}).get(link.system_id)
        pointed_at = end.link_of("User", target) if target is not None else None
        if link.page_id is not None and pointed_at is not None and pointed_at.state != "live":
            found.add(link.page_id)
    return found


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
            if not end.made_by_bot(page_id) or (page_id in linked and shown["System ID"] in rows):
                continue
            steps = [one for one in end.pages.changes if one.page_id == page_id and one.prop is None and not one.made]
            if steps and steps[-1].by != "bot":
                continue
            asked = (table.entity, shown["System ID"]) in undecided
            if shown["System ID"] not in rows and not asked and not _flagged(end, page_id):
                yield f"{table.name} {shown['System ID']}: the row is gone, its page {page_id} is not"
            elif (
                page_id not in linked and shown["System ID"] in rows
                and not asked and _edited_by_people(end, page_id)
            ):
                yield f"{table.name} {shown['System ID']}: page {page_id} is ours, and no row's"


def conflicts_of_two_sides(end: Ending) -> Iterator[str]:
    """Of the two values of a conflict one was typed by a person, the other one is MapAble's."""
    back: set[str] = set()
    for line in end.audit:
        if line["action"] == "page.restored":
            back.add(line["page_id"])
        if line["action"] not in ("conflict.decided", "conflict.opened") or line["entity"] not in BY_ENTITY:
            continue
        if line["page_id"] in back:
            # nothing was kept of what was agreed: whose the values are that it shows is not known any more
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


def refusals_are_earned(end: Ending) -> Iterator[str]:
    """What is put back is something that MapAble can't take. (Of days and amounts that depends on the whole row.)"""
    for line in end.audit:
        if line["action"] != "edit.refused" or line["entity"] not in BY_ENTITY:
            continue
        table, value = BY_ENTITY[line["entity"]], line["detail"]["value"]
        for prop in table.shared:
            typed = (line["page_id"], prop.name, str(value))
            if (
                prop.key in line["properties"] and prop.kind in ("text", "select") and value and typed not in end.wrong
                and not _held_by_another(end, table, line["system_id"], prop, value)
            ):
                yield f"{table.name} {line['system_id']}: {value!r} in {prop.name} was refused, though it is right"


def _held_by_another(end: Ending, table: Table, system_id: str, prop: Prop, value: Any) -> bool:
    """Whether another row had this number, which no two may have: that of a copy of the page, say."""
    return (table.name, prop.column) in UNIQUE and any(
        one.table == table.name and one.system_id != system_id and one.new is not None
        and one.new[str(prop.column)] == value
        for one in end.changes
    )


def _flagged(end: Ending, page_id: str) -> bool:
    """Whether people were told of a page of ours whose System ID they have changed."""
    retyped = [
        str(one.new) for one in end.pages.changes
        if one.page_id == page_id and one.prop == "System ID" and one.by not in ("bot", "nobody")
    ]
    if retyped and any(char == "\0" or "\ud800" <= char <= "\udfff" for char in retyped[-1]):
        return True    # what can't be read is listed among the pages without a row, and has no line
    return bool(retyped) and any(
        line["page_id"] == page_id and line["action"] in ("page.unclaimed", "page.copied") for line in end.audit
    )


def _edited_by_people(end: Ending, page_id: str) -> bool:
    return any(one.page_id == page_id and one.by not in ("bot", "nobody") for one in end.pages.changes)


# Nothing is left, nothing is told


def nothing_undone(end: Ending) -> Iterator[str]:
    """The queue is empty, what is parked has a reason that is a matter for people."""
    undecided = out_of_reach(end) | {one["page_id"] for one in end.conflicts if one["status"] in ("open", "deciding")}
    for entity, system_id in end.work:
        link = end.link_of(BY_ENTITY[entity].name, system_id) if entity in BY_ENTITY else None
        if link is None or link.page_id not in undecided:
            yield f"{entity} {system_id} is still in the queue"
    for item in end.parked:
        if item["reason"] not in PARKED_FOR:
            yield f"{item['entity']} {item['system_id']} is parked: {item['reason']}: {item['message']}"


def the_slot_is_ours(end: Ending) -> Iterator[str]:
    """The slot never stands further than we know: nobody else moves it in a run."""
    for line in end.audit:
        if line["action"] == "slot.ahead":
            yield f"the slot stood further than what is stored: {line['detail']}"


def nothing_told(end: Ending) -> Iterator[str]:
    """The log holds no row value and no sign of a fault of ours."""
    for line in end.log:
        if "Traceback" in line:
            yield f"a traceback in the log: {line[:300]}"
        if TAG in line.replace("\\u0071", "q"):
            yield f"a row's value in the log: {line[:120]}"
