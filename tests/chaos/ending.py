"""What is there at the end of a run: rows, pages, links, the audit log, conflicts and what was left undone."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from deploy.sandbox.requestlog import Request
from tests.chaos.fields import BY_NAME, TABLES, Table, plain
from tests.chaos.witness import Pages, RowChange, rows_seen
from tests.system.expectation import expected
from tests.system.scene import Scene

LINKS: Final = """
select "entityType" as tab, "systemId" as id, "notionPageId" as page_id, "pageState" as state, "leftOut" as left_out
from notion_sync."NotionSyncMapping"
"""
AUDIT: Final = """
select id, at, action, entity, system_id, page_id, properties, actor, detail from notion_sync.audit_log order by id
"""
CONFLICTS: Final = """
select "entityType" as tab, "systemId" as id, page_id, field, mapable, notion, status from notion_sync.conflict
"""
FORMER: Final = """select id, name, email from "User" where role <> 'PARTICIPANT'"""
POINTS_AT: Final = 'select id, "participantId" as target from "{}"'
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
HELD: Final = "select entity, system_id from notion_sync.deletion where state = 'held'"
WORK: Final = "select entity, system_id from notion_sync.work"
EXPLAINED: Final = "select page_id, count(*) as times from notion_sync.explanation group by page_id"
ANONYMOUS: Final = """select id from "Complaint" where source = 'ANONYMOUS'"""


@dataclass(frozen=True, slots=True)
class Link:
    """What the product believes to be a row's page."""

    table: Table
    system_id: str
    page_id: str | None
    state: str
    left_out: Mapping[str, str]


@dataclass(slots=True)
class Record:
    """Every value that the audit log, a conflict or a row written by the service holds, by page or row and field."""

    values: dict[tuple[str, str], list[Any]] = field(default_factory=dict)

    def add(self, owner: str | None, key: str, value: Any) -> None:
        if owner is not None:
            self.values.setdefault((owner, key), []).append(value)

    def has(self, owner: str, key: str, kind: str, value: Any) -> bool:
        # a text with characters that no Postgres text can hold is refused, and can't be written down
        wanted = None if isinstance(value, str) and _UNSTORABLE.search(value) else value
        return any(_same(kind, one, wanted) for one in self.values.get((owner, key), ()))


@dataclass(slots=True)
class Ending:
    """Everything that the model judges."""

    pages: Pages
    changes: Sequence[RowChange]
    expected: Mapping[str, Mapping[str, Mapping[str, Any]]]    # by database, System ID, property
    targets: Mapping[str, Mapping[str, str | None]]            # by table, System ID: the participant pointed at
    links: Sequence[Link]
    audit: Sequence[Mapping[str, Any]]
    conflicts: Sequence[Mapping[str, Any]]
    parked: Sequence[Mapping[str, Any]]
    work: Sequence[tuple[str, str]]
    held: frozenset[tuple[str, str]]    # deletes that wait for a person
    requests: Sequence[Request]
    log: Sequence[str]
    disruptions_s: Sequence[float]     # when a process was killed or its connections were lost
    wrong: frozenset[tuple[str, str, str]]    # (page, property, value) that MapAble can not take
    members: frozenset[str]            # users that are participants now
    comments: Mapping[str, int]        # by page: those of our bot
    explained: Mapping[str, int]       # by page: what there was to explain
    ahead_s: float                     # of the stopwatch that pages and requests go by, MapAble's clock is this much

    def made_by_bot(self, page_id: str) -> bool:
        """Whether our bot made the page, also of one that is there no more."""
        return any(one.page_id == page_id and one.made and one.by == "bot" for one in self.pages.changes)

    def link_of(self, table: str, system_id: str) -> Link | None:
        return next((one for one in self.links if (one.table.name, one.system_id) == (table, system_id)), None)

    def record(self) -> Record:
        """Gather what was written down of values."""
        record = Record()
        for line in self.audit:
            owners = (line["page_id"], f"{line['entity']}/{line['system_id']}")
            for key, value in _told(line):
                for owner in owners:
                    record.add(owner, key, value)
        for conflict in self.conflicts:
            for owner in (conflict["page_id"], f"{BY_NAME[conflict['tab']].entity}/{conflict['id']}"):
                record.add(owner, conflict["field"], conflict["mapable"])
                record.add(owner, conflict["field"], conflict["notion"])
        return record


def _told(line: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the values that one audit line tells, by field."""
    detail = line["detail"] or {}
    told: list[tuple[str, Any]] = []
    for key, both in detail.get("fields", {}).items():
        told += [(key, both.get("was")), (key, both.get("now"))]
    for name in ("lost", "replaced"):
        told += list(detail.get(name, {}).items())
    for key in line["properties"]:
        told += [
            (key, detail[name])
            for name in ("value", "notion", "mapable", "lastSeen", "kept")
            if name in detail
        ]
    return told


def _same(kind: str, one: Any, other: Any) -> bool:
    try:
        return bool(plain(kind, one) == plain(kind, other))
    except (ValueError, TypeError):
        return bool(one == other)


async def ending_of(
    scene: Scene, pages: Pages, *, log: Sequence[str], disruptions_s: Sequence[float],
    wrong: frozenset[tuple[str, str, str]],
) -> Ending:
    """Look at everything once."""
    wanted: dict[str, dict[str, dict[str, Any]]] = await expected(scene)
    for row in await scene.rows(FORMER):
        wanted["Participants"][row["id"]] = {
            "System ID": row["id"], "Participant ID": row["id"], "Name": row["name"] or row["email"],
            "Email": row["email"], "Status": "Inactive",
        }
    anonymous = {row["id"] for row in await scene.rows(ANONYMOUS)}
    targets = {
        table.name: {
            row["id"]: None if table.name == "Complaint" and row["id"] in anonymous else row["target"]
            for row in await scene.rows(POINTS_AT.format(table.name))
        }
        for table in TABLES
        if table.name != "User"
    }
    members = await scene.rows("""select id from "User" where role = 'PARTICIPANT'""")
    return Ending(
        pages=pages, changes=await rows_seen(scene.db), expected=wanted, targets=targets,
        links=[
            Link(BY_NAME[row["tab"]], row["id"], row["page_id"], row["state"], row["left_out"])
            for row in await scene.rows(LINKS)
        ],
        audit=await scene.rows(AUDIT), conflicts=await scene.rows(CONFLICTS),
        parked=await scene.rows("select entity, system_id, reason, message from notion_sync.parked"),
        work=[(row["entity"], row["system_id"]) for row in await scene.rows(WORK)],
        held=frozenset((row["entity"], row["system_id"]) for row in await scene.rows(HELD)),
        requests=tuple(scene.sandbox.requests), log=log, disruptions_s=disruptions_s, wrong=wrong,
        comments=Counter(
            str(comment["parent"].get("page_id")) for comment in scene.sandbox.store.all("comment").values()
            if pages.author(comment["created_by"]) == "bot"
        ),
        explained={row["page_id"]: row["times"] for row in await scene.rows(EXPLAINED)},
        members=frozenset(row["id"] for row in members), ahead_s=time.time() - time.monotonic(),
    )


