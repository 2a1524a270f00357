"""Two witnesses: every change of a row with who made it (a trigger), and every change of a page (the sandbox's store).

Neither knows the product. What the model says about the end rests on these two records and nothing else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from deploy.sandbox import options, texts
from deploy.sandbox.errors import Json
from deploy.sandbox.retyping import shown_number
from deploy.sandbox.server import Sandbox
from deploy.sandbox.store import Change
from tests.chaos.fields import BY_DATABASE, TABLES, Table
from tests.system.waiting import Connection

SERVICE: Final = "service"
APP: Final = "app"
# A row's changes are in order: who comes second waits for the first one's commit before the trigger fires
TRIGGER: Final = """
create schema chaos;
create table chaos.seen (
    n bigserial primary key, at timestamptz not null default clock_timestamp(), who text not null, tab text not null,
    op text not null, id text not null, old jsonb, new jsonb
);
create function chaos.see() returns trigger language plpgsql security definer as $$
begin
    -- another key is another row
    insert into chaos.seen (who, tab, op, id, old, new)
    select coalesce(nullif(current_setting('chaos.who', true), ''), 'service'), tg_table_name, step.op, step.id,
        step.old, step.new
    from (values
        ('DELETE', old.id, to_jsonb(old), null, tg_op = 'DELETE' or old.id <> new.id),
        ('INSERT', new.id, null, to_jsonb(new), tg_op = 'INSERT' or old.id <> new.id),
        ('UPDATE', new.id, to_jsonb(old), to_jsonb(new), tg_op = 'UPDATE' and old.id = new.id)
    ) as step (op, id, old, new, due)
    where step.due;
    return null;
end $$;
"""
WATCH: Final = 'create trigger seen after insert or update or delete on "{}" for each row execute function chaos.see();'
SEEN: Final = "select n, at, who, tab, op, id, old::text, new::text from chaos.seen order by n"


@dataclass(frozen=True, slots=True)
class RowChange:
    """One change of one row, in the order of commits."""

    n: int
    at: datetime
    who: str
    table: str
    op: str
    system_id: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None


async def watch_rows(db: Connection) -> None:
    """Put the triggers up; sessions that don't say `set chaos.who = 'app'` count as the service."""
    await db.execute(TRIGGER.encode())
    for name in (*BY_TABLES, "Worker"):
        await db.execute(WATCH.format(name).encode())
    await db.execute(b"grant usage on schema chaos to public")


async def rows_seen(db: Connection) -> tuple[RowChange, ...]:
    """Return every change of a row so far."""
    cursor = await db.execute(SEEN.encode())
    return tuple(
        RowChange(row[0], row[1], row[2], row[3], row[4], row[5], _parsed(row[6]), _parsed(row[7]))
        for row in await cursor.fetchall()
    )


def _parsed(text: str | None) -> Mapping[str, Any] | None:
    return None if text is None else json.loads(text, parse_float=Decimal, parse_int=int)


BY_TABLES: Final = tuple(table.name for table in TABLES)


@dataclass(frozen=True, slots=True)
class PageChange:
    """One property of one page, or its being in the trash (`prop` None), from one value to another."""

    step: int    # the same for all that changed at once
    at_s: float
    page_id: str
    table: Table
    by: str
    prop: str | None
    old: Any
    new: Any
    made: bool    # the page came to be with this


@dataclass(slots=True)
class Pages:
    """All that happened to pages. `bot`, `nobody` or a person did it. Names are those that setup gave."""

    sandbox: Sandbox
    changes: list[PageChange] = field(default_factory=list)
    on_bot: list[Callable[[], None]] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)    # what the bot did to what is not its own
    _steps: int = 0
    _names: dict[str, dict[str, str]] = field(default_factory=dict)         # source id: property id: first name
    _labels: dict[tuple[str, str], str] = field(default_factory=dict)       # property id, option id: first label
    _tables: dict[str, Table] = field(default_factory=dict)

    def begin(self) -> None:
        """Learn the databases as setup left them and listen from now on."""
        for database in self.sandbox.store.all("database").values():
            table = BY_DATABASE[texts.joined(database["title"])]
            (source,) = self.sandbox.state.sources(database)
            self._tables[source["id"]] = table
            self._names[source["id"]] = {prop_id: prop["name"] for prop_id, prop in source["properties"].items()}
            for prop_id, prop in source["properties"].items():
                for option in prop["config"].get("options", ()) if prop["type"] == "select" else ():
                    self._labels[prop_id, option["id"]] = option["name"]
        self.sandbox.store.listen(self._notice)

    def name_now(self, table: Table, name: str) -> str:
        """Return what the property is called by now."""
        return str(self.source(table)["properties"][self.property_id(table, name)]["name"])

    def property_id(self, table: Table, name: str) -> str:
        """Return the property's id."""
        names = self._names[self.source(table)["id"]]
        return next(prop_id for prop_id, first in names.items() if first == name)

    def option(self, table: Table, name: str, label: str) -> Json | None:
        """Return the option that was first called so, if it is still there."""
        prop_id = self.property_id(table, name)
        found = self.source(table)["properties"][prop_id]["config"]["options"]
        return next((one for one in found if self._labels.get((prop_id, one["id"])) == label), None)

    def source(self, table: Table) -> Json:
        """Return the stored data source of a table."""
        source_id = next(source_id for source_id, one in self._tables.items() if one is table)
        found = self.sandbox.store.get("data_source", source_id)
        assert found is not None
        return found

    def live(self, table: Table, *, trashed: bool = False) -> dict[str, dict[str, Any]]:
        """Return what the pages show, by page id and first name; those in the trash too where asked for."""
        source_id = self.source(table)["id"]
        return {
            page["id"]: self.shown(page)
            for page in self.sandbox.state.rows(source_id)
            if trashed or not page["in_trash"]
        }

    def page(self, page_id: str) -> Json | None:
        return self.sandbox.store.get("page", page_id)

    def table_of(self, page: Json) -> Table | None:
        return self._tables.get(page["parent"].get("data_source_id", ""))

    def author(self, user_id: str | None) -> str:
        if user_id is None:
            return "nobody"
        return "bot" if user_id == self.sandbox.state.bot_id else user_id

    def shown(self, page: Json) -> dict[str, Any]:
        """Return a page's values as plain ones, by first name; properties that people added are left out."""
        source = self.sandbox.state.source_of(page)
        if source is None:
            return {}
        names = self._names[source["id"]]
        return {
            names[prop_id]: self._value(prop_id, prop, page)
            for prop_id, prop in source["properties"].items()
            if prop_id in names
        }

    def _value(self, prop_id: str, prop: Json, page: Json) -> Any:
        stored = page["properties"].get(prop_id)
        match prop["type"]:
            case "title" | "rich_text":
                return texts.joined(stored or ())
            case "number":
                return None if stored is None else shown_number(stored)
            case "select":
                # an option that people renamed keeps its meaning
                found = options.by_id(prop["config"]["options"], stored or "")
                return self._labels.setdefault((prop_id, stored), found["name"]) if found else None
            case "date":
                return stored["start"] if stored else None
            case _:
                return stored

    def _notice(self, change: Change) -> None:
        if change.kind != "page":
            return
        document = change.after or change.before
        assert document is not None
        table = self.table_of(document)
        if table is None:
            return
        self._steps += 1
        by = self.author(change.by)
        made = change.before is None
        old = self.shown(change.before) if change.before is not None and self.table_of(change.before) is table else {}
        new = self.shown(change.after) if change.after is not None else {}
        for name in {**old, **new}:
            if old.get(name) != new.get(name):
                self._add(document["id"], table, by, name, old.get(name), new.get(name), made)
        was = change.before is not None and change.before["in_trash"]
        now = change.after is None or change.after["in_trash"]
        if made or was != now:
            self._add(document["id"], table, by, None, None if made else was, now, made)
        if by == "bot":
            self._watch_bot(change, table)
            for listener in tuple(self.on_bot):
                listener()

    def _add(self, page_id: str, table: Table, by: str, prop: str | None, old: Any, new: Any, made: bool) -> None:
        self.changes.append(
            PageChange(self._steps, time.monotonic(), page_id, table, by, prop, old, new, made)
        )

    def _watch_bot(self, change: Change, table: Table) -> None:
        """Note when the bot touches a property that people added."""
        if change.before is None or change.after is None:
            return
        ours = self._names[self.source(table)["id"]]
        before, after = change.before["properties"], change.after["properties"]
        theirs = [prop_id for prop_id in {**before, **after} if prop_id not in ours]
        if any(before.get(prop_id) != after.get(prop_id) for prop_id in theirs):
            self.strange.append(f"the bot changed a property that people added to {table.database}")
