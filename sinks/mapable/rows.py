"""Reading MapAble's rows: by primary key, named columns only, each statement short.

One statement reads the row, the names it shows of others, and whether the transaction that marked the key was visible
to that very read: a commit can reach us before others may see it (it waits for a synchronous standby).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.abc import AdaptContext, Buffer
from psycopg.types.datetime import TimestampLoader
from psycopg.types.json import set_json_loads

from sinks.mapping.entities import columns_of
from sinks.mapping.model import Entity, Field, Lookup, LookupVia, Row
from state.changes import Key
from state.database import Connection, Pool, readable
from state.errors import TransientError
from state.stamping import NULL, SIZE, Layout

SCHEMA_CHANGED: Final = ("42703", "42P01", "42501", "42804", "3F000")
"""Column or table missing, forbidden or of another type: the entity pauses, it is not the row's fault."""

LOOKUP_PREFIX: Final = "lookup:"


class SourceBusy(TransientError):
    """MapAble's table is locked or slow just now; nothing was waited for longer than a moment."""


class SourceChanged(TransientError):
    """A mapped table or column was renamed, dropped or forbidden: this entity can't be read until that is healed."""


@dataclass(frozen=True, slots=True)
class Read:
    """What one key's read found. `row` is None when there is no such row; `shown` are the looked-up rows behind it."""

    row: Row | None
    visible: bool
    shown: Mapping[Key, str | None]
    hashes: bytes = b""     # of the mapped columns as they stood, to be compared with the log (`state.stamps.seed`)


class _TextOutsideRange(TimestampLoader):
    """Loads a timestamp that Python can't hold (infinity, BC, year 10000) as its text."""

    def load(self, data: Buffer) -> Any:
        try:
            return super().load(data)
        except psycopg.DataError:
            return bytes(data).decode()


async def adapt(conn: Connection) -> None:
    """Make a pool's connection load what Python can't hold too, so that one odd value does not fail a whole read."""
    load_odd_values(conn)


def load_odd_values(context: AdaptContext) -> None:
    """Register the loaders that `adapt` is for."""
    context.adapters.register_loader("timestamp", _TextOutsideRange)
    set_json_loads(_json_or_nothing, context)


def _json_or_nothing(raw: str | bytes) -> object:
    """Return what a jsonb column holds; None where Python can't take it: too deeply nested, endless digits.

    Not its text: that would carry to Notion what stands in the column beside the parts that the mapping lists.
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def shown_name(name: object, email: object) -> str | None:
    """Return what a page shows for a person: the name, else the e-mail; empty counts as missing."""
    for text in (name, email):
        if isinstance(text, str) and text:
            return text
    return None


class Rows:
    """Reads of the source schema, on a read-only pool whose statements time out."""

    def __init__(self, pool: Pool, schema: str) -> None:
        self._pool = pool
        self._schema = schema
        self._reads: dict[str, sql.Composed] = {}

    async def read(self, entity: Entity, keys: Mapping[str, str | None]) -> Mapping[str, Read]:
        """Return the rows of `keys` (id to the xid8 whose visibility matters, as text, or None)."""
        query = self._reads.setdefault(entity.name, self._select(entity))
        arguments = {"ids": list(keys), "xids": list(keys.values())}
        try:
            async with self._pool.connection() as conn:
                cursor = await conn.execute(query, arguments)
                names = [column.name for column in cursor.description or ()]
                rows = [dict(zip(names, values, strict=True)) for values in await cursor.fetchall()]
        except psycopg.Error as error:
            raise translated(error, entity.table) from None
        return {str(row["key"]): _read(entity, row) for row in rows}

    async def shown(self, via: LookupVia, keys: Mapping[str, str | None]) -> Mapping[str, tuple[str | None, bool]]:
        """Return what pages show of looked-up rows (for a worker: which user), and whether each mark was visible."""
        table, columns = ("Worker", 'r."userId", null') if via is LookupVia.WORKER else ("User", "r.name, r.email")
        query = sql.SQL(
            "select k.id, {columns}, pg_visible_in_snapshot(coalesce(k.xid::xid8, '3'::xid8), pg_current_snapshot())"
            " from unnest(%(ids)s::text[], %(xids)s::text[]) as k (id, xid) left join {table} r on r.id = k.id"
        ).format(columns=sql.SQL(columns), table=sql.Identifier(self._schema, table))
        rows = await self._fetched(query, {"ids": list(keys), "xids": list(keys.values())}, table)
        return {str(row[0]): (shown_name(row[1], row[2]), bool(row[3])) for row in rows}

    async def page_of_ids(self, entity: Entity, after: str, limit: int) -> tuple[str, ...]:
        """Return the next ids of rows that are due a page, in key order."""
        query = sql.SQL("select id from {table} where id > %(after)s {member} order by id limit %(limit)s").format(
            table=sql.Identifier(self._schema, entity.table), member=_member(entity)
        )
        return await self._ids(query, {"after": after, "limit": limit}, entity.table)

    async def due(self, entity: Entity, ids: Sequence[str]) -> tuple[str, ...]:
        """Return those of `ids` whose rows are due a page."""
        query = sql.SQL("select id from {table} where id = any (%(ids)s) {member}").format(
            table=sql.Identifier(self._schema, entity.table), member=_member(entity)
        )
        return await self._ids(query, {"ids": list(ids)}, entity.table)

    async def gone(self, entity: Entity, ids: Sequence[str]) -> frozenset[str]:
        """Return those of `ids` that are no row of the table, due a page or not."""
        query = sql.SQL("select id from {table} where id = any (%(ids)s)").format(
            table=sql.Identifier(self._schema, entity.table)
        )
        return frozenset(ids) - frozenset(await self._ids(query, {"ids": list(ids)}, entity.table))

    async def dependents(
        self, entity: Entity, field: Field, key: Key, after: str, window: int
    ) -> tuple[tuple[str, ...], str | None]:
        """Look through the next `window` rows in key order for those that show `key`.

        Returns their ids and the id to go on after, or None at the end. A window of keys, because the foreign key may
        have no index, and each statement on MapAble's tables has to stay short.
        """
        source = field.source
        assert isinstance(source, Lookup)
        through_worker = source.via is LookupVia.WORKER and key.entity == LookupVia.USER.value
        shows = (
            sql.SQL("w.fk in (select id from {worker} where {user} = %(id)s)").format(
                worker=sql.Identifier(self._schema, "Worker"), user=sql.Identifier("userId")
            )
            if through_worker
            else sql.SQL("w.fk = %(id)s")
        )
        query = sql.SQL(
            "select w.id, {shows} from (select id, {fk} as fk from {table} where id > %(after)s order by id"
            " limit %(window)s) w order by w.id"
        ).format(shows=shows, fk=sql.Identifier(source.column), table=sql.Identifier(self._schema, entity.table))
        arguments = {"after": after, "window": window, "id": key.system_id}
        rows = await self._fetched(query, arguments, entity.table)
        found = tuple(row[0] for row in rows if row[1])
        return found, rows[-1][0] if len(rows) == window else None

    async def count(self, entity: Entity) -> int:
        """Return the number of rows that are due a page."""
        query = sql.SQL("select count(*) from {table} where true {member}").format(
            table=sql.Identifier(self._schema, entity.table), member=_member(entity)
        )
        ((count,),) = await self._fetched(query, {}, entity.table)
        return int(count)

    async def _ids(self, query: sql.Composed, arguments: Mapping[str, object], table: str) -> tuple[str, ...]:
        return tuple(row[0] for row in await self._fetched(query, arguments, table))

    async def _fetched(
        self, query: sql.Composed, arguments: Mapping[str, object], table: str
    ) -> Sequence[tuple[Any, ...]]:
        try:
            async with self._pool.connection() as conn:
                return await (await conn.execute(query, arguments)).fetchall()
        except psycopg.Error as error:
            raise translated(error, table) from None

    def _select(self, entity: Entity) -> sql.Composed:
        columns: list[sql.Composable] = [
            sql.SQL("r.{}").format(sql.Identifier(column)) for column in columns_of(entity)
        ]
        joins = [self._looked_up(entity.table, sql.Identifier("r"), sql.SQL("k.id"), columns_of(entity))]
        for number, field in enumerate(lookup_fields(entity)):
            source = field.source
            assert isinstance(source, Lookup)
            user, worker = sql.Identifier(f"user{number}"), sql.Identifier(f"worker{number}")
            reference = sql.SQL("r.{}").format(sql.Identifier(source.column))
            if source.via is LookupVia.WORKER:
                joins.append(self._looked_up("Worker", worker, reference, ("id", "userId")))
                reference = sql.SQL("{}.{}").format(worker, sql.Identifier("userId"))
            joins.append(self._looked_up("User", user, reference, ("id", "name", "email")))
            columns += [
                sql.SQL("{}.{} as {}").format(user, sql.Identifier(column), sql.Identifier(_alias(field, column)))
                for column in ("id", "name", "email")
            ]
        return sql.SQL(
            "select k.id as key,"
            " pg_visible_in_snapshot(coalesce(k.xid::xid8, '3'::xid8), pg_current_snapshot()) as visible,"
            " {hashes} as hashes, {columns}"
            " from unnest(%(ids)s::text[], %(xids)s::text[]) as k (id, xid) {joins}"
        ).format(hashes=_hashes(entity), columns=sql.SQL(", ").join(columns), joins=sql.SQL(" ").join(joins))

    def _looked_up(
        self, table: str, alias: sql.Identifier, key: sql.Composable, columns: Sequence[str]
    ) -> sql.Composable:
        """Join one row by its key. A plain join may read all of a table that is not large; this one never does."""
        return sql.SQL(
            "left join lateral (select {columns} from {table} where id = {key} limit 1) {alias} on true"
        ).format(
            columns=sql.SQL(", ").join(map(sql.Identifier, columns)), table=sql.Identifier(self._schema, table),
            key=key, alias=alias,
        )


def lookup_fields(entity: Entity) -> Sequence[Field]:
    """Return the fields that show another row's name."""
    return [field for field in entity.fields if isinstance(field.source, Lookup)]


def translated(error: psycopg.Error, table: str) -> TransientError:
    """Return what a failed read means; the driver's text stays out, it may quote values."""
    if error.sqlstate in SCHEMA_CHANGED:
        return SourceChanged(f"{table} can't be read as mapped: {readable(error)}")
    return SourceBusy(f"{table} could not be read just now: {readable(error)}")


def _member(entity: Entity) -> sql.Composable:
    if entity.member is None:
        return sql.SQL("")
    return sql.SQL("and {} = {}").format(sql.Identifier(entity.member.column), sql.Literal(entity.member.value))


def _hashes(entity: Entity) -> sql.Composable:
    """Return the SQL for what `Layout.hashes` says of a row of the log."""
    layout = Layout.of(columns_of(entity))
    of_column = sql.SQL("coalesce(substr(sha256(convert_to(r.{column}::text, 'UTF8')), 1, {size}), {null})")
    return sql.SQL(" || ").join(
        [
            sql.Literal(layout.tag),
            *(
                of_column.format(column=sql.Identifier(column), size=sql.Literal(SIZE), null=sql.Literal(NULL))
                for column in layout.columns
            ),
        ]
    )


def _alias(field: Field, column: str) -> str:
    return f"{LOOKUP_PREFIX}{field.key}.{column}"


def _read(entity: Entity, row: Mapping[str, Any]) -> Read:
    if row["id"] is None:
        return Read(None, bool(row["visible"]), {})
    found: dict[str, object] = {column: row[column] for column in columns_of(entity)}
    shown: dict[Key, str | None] = {}
    for field in lookup_fields(entity):
        source = field.source
        assert isinstance(source, Lookup)
        user_id = row[_alias(field, "id")]
        person = (row[_alias(field, "name")], row[_alias(field, "email")]) if user_id is not None else None
        found[LOOKUP_PREFIX + field.key] = person
        if source.via is LookupVia.WORKER and row[source.column] is not None:
            shown[Key(LookupVia.WORKER.value, str(row[source.column]))] = user_id
        if person is not None:
            shown[Key(LookupVia.USER.value, str(user_id))] = shown_name(*person)
    return Read(found, bool(row["visible"]), shown, row["hashes"])
