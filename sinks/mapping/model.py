"""The vocabulary in which the seven entities are declared: fields, where they come from, who owns them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

Row = Mapping[str, object]
"""One source row as psycopg returns it, by column name; lookups stand under `lookup:<field key>`."""


class Kind(StrEnum):
    """The Notion property types that the product uses."""

    TITLE = "title"
    TEXT = "rich_text"
    EMAIL = "email"
    MONEY = "number"
    DAY = "day"          # a Notion date without time
    MOMENT = "moment"    # a Notion date with time
    SELECT = "select"
    CHECKBOX = "checkbox"
    RELATION = "relation"


class Owner(StrEnum):
    """Who may change the field. `APP`: Notion shows it, edits there are put back. `SHARED`: two-way."""

    APP = "app"
    SHARED = "shared"


SHORT_TEXT_BYTES: Final = 20_000
LONG_TEXT_BYTES: Final = 330_000
"""Room a text may take in one request, as UTF-8 JSON. Static, so that a field's value depends on its own columns
only; the fullest page (three short texts and one long one) stays below the 400 KB that we allow a request."""


@dataclass(frozen=True, slots=True)
class Column:
    """The field is one column of the entity's own table."""

    name: str
    fallback: str | None = None                 # shown, never written, where the column is empty
    unless: tuple[str, str] | None = None       # (column, value): shown as empty while that column holds that value


@dataclass(frozen=True, slots=True)
class Derived:
    """The field is made from columns of the row and is never read back."""

    columns: tuple[str, ...]
    make: Callable[[Row, ZoneInfo], str | None]


class LookupVia(StrEnum):
    """How a looked-up person is reached from the foreign key."""

    USER = "user"        # the column points at "User"
    WORKER = "worker"    # the column points at "Worker", whose "userId" points at "User"


@dataclass(frozen=True, slots=True)
class Lookup:
    """The field shows another row's name (else its e-mail)."""

    column: str
    via: LookupVia


@dataclass(frozen=True, slots=True)
class Mirror:
    """The other side of `entity`'s dual relation `field`: Notion fills it, we never write it."""

    entity: str
    field: str


Source = Column | Derived | Lookup | Mirror


@dataclass(frozen=True, slots=True)
class Field:
    """One mapped property: its stable key, its Notion name and type, its source and its owner."""

    key: str
    name: str
    kind: Kind
    source: Source
    owner: Owner
    openable: bool = False                  # an operator may make an APP field SHARED
    nullable: bool = True                   # the column may be NULL
    options: tuple[str, ...] = ()           # SELECT: the labels the column can hold
    free_options: bool = False              # SELECT: the column is free text; a new label makes its option
    target: str | None = None               # RELATION: the entity pointed at
    mirror: str | None = None               # RELATION: dual, with this field of the target
    one_way: bool = False                   # CHECKBOX: may be set from Notion, not unset
    room_bytes: int = SHORT_TEXT_BYTES      # TITLE, TEXT: longer texts are cut


@dataclass(frozen=True, slots=True)
class NotBefore:
    """Rule: the instant in column `later` is not before the one in `earlier`."""

    earlier: str
    later: str


@dataclass(frozen=True, slots=True)
class PartOf:
    """Rule: the money in column `part` is between zero and the one in `whole`."""

    part: str
    whole: str


Rule = NotBefore | PartOf
"""What must hold between columns for a value that comes from Notion. MapAble's own rows may break it."""


@dataclass(frozen=True, slots=True)
class Member:
    """Which rows of the table are due a page: those whose `column` holds `value`. Others keep the page they have."""

    column: str
    value: str


@dataclass(frozen=True, slots=True)
class Entity:
    """One mapped table and its Notion database."""

    name: str                               # the API name: participant, ndisplan, ...
    table: str                              # in the source schema, case-sensitive; also the "entityType" of its links
    title: str                              # of the Notion database
    setting: str                            # suffix of its environment variables: PARTICIPANTS, NDIS_PLANS, ...
    fields: tuple[Field, ...]
    extra_columns: tuple[str, ...] = ()     # read to decide, never sent (User.role)
    participant_column: str | None = None   # which column names the participant concerned; None: the row itself
    updated_column: str | None = "updatedAt"  # set by the application on each write, so a write-back must set it too
    rules: tuple[Rule, ...] = ()
    member: Member | None = None            # None: every row

    def is_due(self, row: Row | None) -> bool:
        """Whether there is such a row and it is one that gets a page."""
        return row is not None and (self.member is None or row[self.member.column] == self.member.value)

    def participant_of(self, system_id: str, row: Row | None) -> str | None:
        """Return the participant concerned, for the audit log; None when only a row that is gone could tell."""
        if self.participant_column is None:
            return system_id
        value = row.get(self.participant_column) if row is not None else None
        return str(value) if value is not None else None


@dataclass(frozen=True, slots=True)
class Reference:
    """A relation's value before it is resolved: the row pointed at."""

    entity: str
    system_id: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A value that Notion can't hold; the field is left alone and the reason recorded. Never holds the value."""

    reason: str


Value = str | Decimal | date | datetime | bool | None
"""A canonical scalar. Empty is always None; instants are aware and in UTC; money has two places."""

Rendered = Value | Reference | LeftOut
