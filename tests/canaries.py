"""Canaries: a value in every place of the application's schema that must never leave it.

What may leave is stated here by hand, from the product's promise and not from its code, so that a column which slips
into the code's allow-list still sings.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

LISTED: Final[dict[str, frozenset[str]]] = {
    "User": frozenset({"id", "name", "email", "role"}),
    "NDISPlan": frozenset(
        {
            "id", "participantId", "planNumber", "status", "startDate", "endDate",
            "totalBudget", "remainingBudget", "planManagerId",
        }
    ),
    "Worker": frozenset({"id", "userId"}),
    "CarePlan": frozenset(
        {"id", "participantId", "workerId", "planName", "goals", "status", "startDate", "reviewDate"}
    ),
    "Incident": frozenset(
        {"id", "participantId", "incidentType", "description", "occurredAt", "status", "ndisReported"}
    ),
    "Complaint": frozenset(
        {"id", "participantId", "complaintNumber", "source", "description", "status", "receivedAt"}
    ),
    "Risk": frozenset({"id", "participantId", "title", "riskLevel", "status", "category"}),
    "PaymentTransaction": frozenset(
        {"id", "participantId", "providerId", "amount", "status", "serviceCode", "createdAt"}
    ),
}  # fmt: skip
"""The columns that the sync may read, by table. A table without an entry must not be read at all."""

UNPLANTED: Final = frozenset({"createdAt", "updatedAt"})
"""Every table has these two; a wrong value there would be a change of meaning, and a right one gives nobody away."""

NUMBER: Final = 987654321
SMALL_NUMBER: Final = "9876543.21"
MOMENT: Final = "1887-06-05 04:32:10.987"

_TEXTS: Final = ("text", "character varying")
_NUMBERS: Final = ("integer", "bigint", "numeric")
_MOMENTS: Final = ("timestamp without time zone", "timestamp with time zone")
PLANTED_TYPES: Final = (*_TEXTS, *_NUMBERS, *_MOMENTS, "jsonb", "ARRAY", "bytea")
"""What can hold a canary. A boolean, or an enum, has too few values to be recognised by one."""

# Key columns are left alone: they hold other rows' ids, which do leave, or what those rows are found by.
UNLISTED_COLUMNS: Final[LiteralString] = """
select c.table_name::text, c.column_name::text, c.data_type::text, c.is_nullable = 'NO' and c.column_default is null,
       coalesce(k.part_of_primary, false), k.points_at
from information_schema.columns c
join information_schema.tables t using (table_schema, table_name)
left join (
    select con.conrelid, att.attname, bool_or(con.contype = 'p') as part_of_primary,
           max(parent.relname) filter (where con.contype = 'f') as points_at
    from pg_catalog.pg_constraint con
    join pg_catalog.pg_attribute att on att.attrelid = con.conrelid and att.attnum = any (con.conkey)
    left join pg_catalog.pg_class parent on parent.oid = con.confrelid
    where con.contype in ('p', 'f')
    group by con.conrelid, att.attname
) k on k.conrelid = format('%I.%I', c.table_schema, c.table_name)::regclass and k.attname = c.column_name
where c.table_schema = current_schema() and t.table_type = 'BASE TABLE'
order by c.table_name, c.ordinal_position
"""


# Of a goal only its description, target date and status are listed.
GOAL_CANARY: Final = "CANARY-CarePlan-goals.evidence-5d1c"
PLANT_IN_GOALS: Final[LiteralString] = """
update "CarePlan"
set goals = (
    select jsonb_agg(
        case jsonb_typeof(goal)
            when 'object' then goal || jsonb_build_object('evidence', %(canary)s::text)
            else goal
        end
        order by place
    )
    from jsonb_array_elements(goals) with ordinality as parts (goal, place)
)
where jsonb_typeof(goals) = 'array' and goals <> '[]'
"""


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A column that must not leave."""

    table: str
    column: str
    data_type: str
    required: bool
    in_primary_key: bool
    points_at: str | None

    @property
    def plantable(self) -> bool:
        """Whether existing rows can take a canary in this column."""
        return (
            self.data_type in PLANTED_TYPES
            and self.column not in UNPLANTED
            and not self.in_primary_key
            and self.points_at is None
        )

    @property
    def canary(self) -> str:
        """The text that gives this column away: plain ASCII that no encoder changes, short enough for any key."""
        return f"CANARY-{self.table}-{self.column}-{_mark(self.table, self.column)}"


def plant(conn: psycopg.Connection[Any]) -> tuple[str, ...]:
    """Put a canary into every unlisted column of every row, and a row full of them into every unlisted table.

    Returns every text that must be found nowhere outside, in each form it could take on the way: plain, and for bytes
    hexadecimal and base64 too. Needs a "User" for the unlisted rows to point at; rows inserted later carry none.
    """
    columns = unlisted(conn)
    with conn.transaction():
        for table in dict.fromkeys(column.table for column in columns):
            _plant_in_rows(conn, [column for column in columns if column.table == table and column.plantable])
        for table in dict.fromkeys(column.table for column in columns if column.table not in LISTED):
            _plant_row(conn, [column for column in columns if column.table == table])
        conn.execute(PLANT_IN_GOALS, {"canary": GOAL_CANARY})
    return (*dict.fromkeys(song for column in columns for song in _songs(column)), GOAL_CANARY)


def unlisted(conn: psycopg.Connection[Any]) -> tuple[Unlisted, ...]:
    """Return every column of the application's schema that may not leave."""
    with conn.cursor(row_factory=tuple_row) as cursor:
        columns = [Unlisted(*row) for row in cursor.execute(UNLISTED_COLUMNS)]
    return tuple(column for column in columns if column.column not in LISTED.get(column.table, frozenset()))


def _plant_in_rows(conn: psycopg.Connection[Any], columns: Sequence[Unlisted]) -> None:
    if not columns:
        return
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(column.column), _per_row(column)) for column in columns
    )
    conn.execute(sql.SQL("update {} set {}").format(sql.Identifier(columns[0].table), assignments))


def _plant_row(conn: psycopg.Connection[Any], columns: Sequence[Unlisted]) -> None:
    """Insert one row in which keys too are canaries, unless they point at another row."""
    filled = [column for column in columns if column.points_at or column.required or column.plantable]
    # on conflict: planting twice plants once
    conn.execute(
        sql.SQL("insert into {} ({}) values ({}) on conflict do nothing").format(
            sql.Identifier(columns[0].table),
            sql.SQL(", ").join(sql.Identifier(column.column) for column in filled),
            sql.SQL(", ").join(map(_single, filled)),
        )
    )


def _single(column: Unlisted) -> sql.Composable:
    if column.points_at:
        return sql.SQL("(select min(id) from {})").format(sql.Identifier(column.points_at))
    if column.column in UNPLANTED:
        return sql.SQL("current_timestamp")
    return sql.Literal(_value(column))


def _per_row(column: Unlisted) -> sql.Composable:
    if column.data_type == "text":  # a unique index wants each row's canary to be its own
        return sql.SQL("{} || '-' || md5(ctid::text)").format(sql.Literal(column.canary))
    return sql.Literal(_value(column))


def _value(column: Unlisted) -> object:
    match column.data_type:
        case "integer" | "bigint":
            return NUMBER
        case "numeric":
            return SMALL_NUMBER
        case "timestamp without time zone" | "timestamp with time zone":
            return MOMENT
        case "jsonb":
            return Jsonb({"canary": column.canary, "nested": [{"canary": column.canary}]})
        case "ARRAY":
            return [column.canary]
        case "bytea":
            return column.canary.encode()
        case _:
            return column.canary


def _songs(column: Unlisted) -> Iterator[str]:
    match column.data_type:
        case "text" | "character varying" | "jsonb" | "ARRAY":
            if not column.points_at:
                yield column.canary
        case "bytea":
            yield column.canary
            yield column.canary.encode().hex()
            # without what the end's padding decides
            whole_groups = len(column.canary) // 3 * 3
            yield base64.b64encode(column.canary[:whole_groups].encode()).decode()
        case "integer" | "numeric" if column.plantable:
            yield str(NUMBER) if column.data_type == "integer" else SMALL_NUMBER
        case "timestamp without time zone" | "timestamp with time zone" if column.plantable:
            yield MOMENT.partition(" ")[0]


def _mark(table: str, column: str) -> str:
    return hashlib.sha256(f"{table}.{column}".encode()).hexdigest()[:4]
