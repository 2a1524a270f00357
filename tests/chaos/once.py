"""What is done once, whatever was killed or not answered when: pages, rows and comments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tests.chaos.ending import Ending
from tests.chaos.fields import BY_NAME, TABLES
from tests.chaos.witness import SERVICE


def no_page_twice(end: Ending) -> Iterator[str]:
    """No row has two pages that our bot made, and nobody's own page was written to."""
    linked = {link.page_id for link in end.links}
    for table in TABLES:
        seen: dict[str, str] = {}
        for page_id, shown in end.pages.live(table).items():
            if not end.made_by_bot(page_id) or not shown["System ID"]:
                continue
            if (other := seen.setdefault(shown["System ID"], page_id)) != page_id:
                restored = {one.page_id for one in end.pages.changes if one.prop is None and one.by != "bot"}
                if not restored & {page_id, other}:
                    yield f"{table.name} {shown['System ID']} has two pages of ours: {other}, {page_id}"
    wrote = {
        one.page_id for one in end.pages.changes
        if one.by == "bot" and not one.made and (one.prop is None or one.table.prop(one.prop).kind != "mirror")
    }
    for page_id in sorted(wrote - linked):
        if not end.made_by_bot(page_id):
            yield f"the bot wrote to page {page_id}, which a person made and no row has"


def no_page_two_rows(end: Ending) -> Iterator[str]:
    """No page becomes two rows: as many rows say the same as there are pages that say so."""
    rows: dict[tuple[str, tuple[Any, ...]], set[str]] = {}
    for change in end.changes:
        if change.who == SERVICE and change.op == "INSERT" and change.new is not None:
            texts = tuple(change.new[str(prop.column)] for prop in BY_NAME[change.table].shared if prop.kind == "text")
            rows.setdefault((change.table, texts), set()).add(change.system_id)
    for (name, texts), made in rows.items():
        table = BY_NAME[name]
        said = [
            {one.page_id for one in end.pages.changes if (one.table, one.prop, one.new) == (table, prop.name, text)}
            for prop, text in zip((prop for prop in table.shared if prop.kind == "text"), texts, strict=True) if text
        ]
        pages = set.intersection(*said) if said else set()
        if pages and len(made) > len(pages):
            yield f"{name}: the pages {sorted(pages)} became the rows {sorted(made)}"


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


def nothing_said_twice(end: Ending) -> Iterator[str]:
    """No page has more comments of ours than there is something to explain on it."""
    for page_id, said in end.comments.items():
        if said > end.explained.get(page_id, 0):
            yield f"page {page_id} has {said} comments of ours for {end.explained.get(page_id, 0)} explanations"


ONCE: Final = (no_page_twice, no_page_two_rows, nothing_made_twice, nothing_said_twice)


def needless(end: Ending) -> int:
    """Count the writes to pages that changed nothing there."""
    changed: dict[str, set[int]] = {}
    for one in end.pages.changes:
        if one.by == "bot":
            changed.setdefault(one.page_id, set()).add(one.step)
    writes: dict[str, int] = {}
    for request in end.requests:
        if request.method == "PATCH" and request.path.startswith("/v1/pages/") and request.status == 200:
            page_id = request.path.removeprefix("/v1/pages/")
            writes[page_id] = writes.get(page_id, 0) + 1
    return sum(max(0, number - len(changed.get(page_id, ()))) for page_id, number in writes.items())
