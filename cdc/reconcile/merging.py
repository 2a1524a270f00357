"""Merging one record: what goes to the page, what goes to the row, what waits for a person; field by field, and pure.

The step of each field is `state.threeway`'s. Here it meets the mapping (who owns the field, what its column takes), the
rules across fields, the strategy, and conflicts that a person has open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol
from zoneinfo import ZoneInfo

from cdc.reconcile.plan import Ours, Refusal
from cdc.reconcile.strategy import Verdict, Winner
from sinks.base import Page
from sinks.mapping.canonical import decode
from sinks.mapping.likeness import alike
from sinks.mapping.model import Column, Entity, Field, Mirror, Owner, Row
from sinks.mapping.parsing import ColumnValue, Refused, check_row, parse
from sinks.mapping.rendering import owner_of
from state import threeway
from state.changes import ABSENT, Absent
from state.merge import Base, Json, Pair
from state.threeway import Step, Unknown

PING_PONG: Final = "ping-pong"


class OpenConflict(Protocol):
    """A conflict that is open, or that a person has just decided."""

    @property
    def mapable(self) -> Json: ...
    @property
    def notion(self) -> Json: ...
    @property
    def status(self) -> str: ...
    @property
    def choice(self) -> str | None: ...
    @property
    def value(self) -> Json: ...
    @property
    def rule(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for this record now."""

    direction: str
    opened: frozenset[tuple[str, str]]
    time_zone: ZoneInfo
    verdict: Callable[[Field], Verdict]
    conflicts: Mapping[str, OpenConflict] = field(default_factory=dict)
    restored: Callable[[Field, Json], bool] = lambda *_: False   # the option went from the schema, and is back
    restless: Callable[[Field], bool] = lambda _: False          # both sides keep changing the field


@dataclass(frozen=True, slots=True)
class Pulled:
    """A person's value on its way to the row."""

    column: str
    value: ColumnValue
    theirs: Json


@dataclass(frozen=True, slots=True)
class Clash:
    """Both sides changed the field, to different values."""

    base: Json
    mapable: Json
    notion: Json
    verdict: Verdict


@dataclass(slots=True)
class Merged:
    """What is to be done. `base` is what both sides agree on once all but `push` is done."""

    base: dict[str, Pair]
    push: dict[str, Json] = field(default_factory=dict)
    pull: dict[str, Pulled] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)
    left_as_is: dict[str, Refusal] = field(default_factory=dict)    # not taken, and nothing can be put back
    decided: dict[str, Clash] = field(default_factory=dict)         # the strategy chose
    frozen: dict[str, Clash] = field(default_factory=dict)          # a person has to
    closed: dict[str, Literal["converged", "resolved"]] = field(default_factory=dict)
    undone: dict[str, str] = field(default_factory=dict)            # a person chose what can't be done, and why


def merge(
    entity: Entity, row: Row, ours: Ours, base: Base, pushing: Mapping[str, Json], page: Page, rules: Rules
) -> Merged:
    """Return what is to be done about every field of the record."""
    merged = Merged(dict(base))
    for declared in entity.fields:
        if not isinstance(declared.source, Mirror):
            _Merge(entity, row, ours, base, pushing, page, rules, merged).field(declared)
    _hold_rules(entity, row, base, rules, merged)
    if rules.direction == "from_notion":
        merged.push.clear()
        # nothing is put back where nothing is written, but what was not taken is on record
        merged.left_as_is |= merged.refused
        merged.refused.clear()
    return merged


@dataclass(frozen=True, slots=True)
class _Merge:
    entity: Entity
    row: Row
    ours: Ours
    base: Base
    pushing: Mapping[str, Json]
    page: Page
    rules: Rules
    merged: Merged

    def field(self, declared: Field) -> None:
        key = declared.key
        ours: Json | Absent = self.ours.values.get(key, ABSENT)
        theirs = self.page.theirs(key)
        state = threeway.Field(
            ours, self.base.get(key), theirs, self.pushing.get(key, ABSENT), shared=self._shared(declared)
        )
        same = alike(declared.kind)
        step = threeway.step(state, same)
        known = threeway.acknowledged(state, same)
        if known is not None:
            self.merged.base[key] = known
        if isinstance(theirs, Absent | Unknown) or isinstance(ours, Absent):
            self._untold(declared, step, ours, theirs, known)
            return
        if key in self.rules.conflicts:
            self._with_conflict(declared, ours, theirs, self.rules.conflicts[key])
            return
        match step:
            case Step.AGREE:
                self.merged.base[key] = Pair(ours, theirs)
            case Step.PUSH:
                self.merged.push[key] = ours
            case Step.PULL if self.rules.restless(declared):
                self._freeze(declared, ours, theirs, PING_PONG)
            case Step.PULL:
                self._pull(declared, ours, theirs)
            case Step.PUT_BACK:
                self._refuse(declared, ours, theirs, f"{declared.name} is kept by MapAble and can't be changed here.")
            case Step.CLASH:
                self._clash(declared, ours, theirs)

    def _shared(self, declared: Field) -> bool:
        if self.rules.direction == "to_notion":
            return False
        opened = (self.entity.name, declared.key) in self.rules.opened
        return owner_of(declared, self.row, self.rules.time_zone, opened=opened) is Owner.SHARED

    def _untold(
        self, declared: Field, step: Step, ours: Json | Absent, theirs: threeway.Theirs, known: Pair | None
    ) -> None:
        """Handle a field of which one side can't be told: nothing is written, nothing agreed."""
        if step is Step.PUT_BACK and not isinstance(ours, Absent):
            self.merged.refused[declared.key] = Refusal(
                None, f"{declared.name} holds something that MapAble can't store.", unreadable=True
            )
        elif (
            isinstance(ours, Absent) and declared.key in self.ours.left_out
            and not isinstance(theirs, Absent | Unknown) and known is not None and known.got != theirs
        ):
            reason = self.ours.left_out[declared.key]
            self.merged.left_as_is[declared.key] = Refusal(
                theirs, f"{declared.name} can't be changed here while MapAble's own value can't be shown. {reason}"
            )

    def _with_conflict(self, declared: Field, ours: Json, theirs: Json, conflict: OpenConflict) -> None:
        """Handle a field that is frozen: until both sides are equal, or a person decided on what they are now."""
        key = declared.key
        if alike(declared.kind)(ours, theirs):
            self.merged.base[key] = Pair(ours, theirs)
            self.merged.closed[key] = "converged"
            return
        if conflict.status == "deciding" and conflict.mapable == ours and conflict.notion == theirs:
            if conflict.choice == "mapable":
                self._keep_ours(declared, ours, theirs)
                self.merged.closed[key] = "resolved"
                return
            value = conflict.value if conflict.choice == "value" else theirs
            parsed = self._parsed(declared, value)
            if not isinstance(parsed, Refused):
                self._pull(declared, ours, value, shown=theirs)
                self.merged.closed[key] = "resolved"
                return
            self.merged.undone[key] = parsed.reason
        self._freeze(declared, ours, theirs, conflict.rule)

    def _keep_ours(self, declared: Field, ours: Json, theirs: Json) -> None:
        """Base moves to what was seen of theirs, so that ours is the only side that changed since."""
        self.merged.base[declared.key] = Pair(theirs, theirs)
        self.merged.push[declared.key] = ours

    def _freeze(self, declared: Field, ours: Json, theirs: Json, rule: str) -> None:
        times = self.rules.verdict(declared)
        verdict = Verdict(Winner.PERSON, rule, times.mapable_at, times.notion_at)
        self.merged.frozen[declared.key] = Clash(self._base(declared), ours, theirs, verdict)

    def _base(self, declared: Field) -> Json:
        known = self.merged.base.get(declared.key)
        return known.got if known is not None and not isinstance(known.got, Absent) else None

    def _parsed(self, declared: Field, value: Json) -> ColumnValue | Refused:
        return parse(self.entity, declared, decode(declared.kind, value), self.row, self.rules.time_zone)

    def _pull(self, declared: Field, ours: Json, theirs: Json, *, shown: Json | Absent = ABSENT) -> None:
        """Take a value to the row. `shown`: what the page shows, where a person chose another value than that."""
        assert isinstance(declared.source, Column)
        value = self._parsed(declared, theirs)
        if isinstance(value, Refused):
            self._refuse(declared, ours, theirs, value.reason)
            return
        on_page = theirs if isinstance(shown, Absent) else shown
        self.merged.pull[declared.key] = Pulled(declared.source.name, value, theirs)
        self.merged.base[declared.key] = Pair(on_page, on_page)

    def _refuse(self, declared: Field, ours: Json, theirs: Json, reason: str) -> None:
        if theirs is None and self.rules.restored(declared, self._base(declared)):
            # nobody cleared it: the option was taken out of the schema, and the page lost it with that
            self.merged.push[declared.key] = ours
            return
        self.merged.refused[declared.key] = Refusal(theirs, reason)

    def _clash(self, declared: Field, ours: Json, theirs: Json) -> None:
        value = self._parsed(declared, theirs)
        if isinstance(value, Refused):
            # it could not win: what MapAble can't take is put back whoever was last
            self._refuse(declared, ours, theirs, value.reason)
            return
        verdict = self.rules.verdict(declared)
        if self.rules.direction == "from_notion":
            verdict = Verdict(Winner.NOTION, "from_notion", verdict.mapable_at, verdict.notion_at)
        elif self.rules.restless(declared):
            verdict = Verdict(Winner.PERSON, PING_PONG, verdict.mapable_at, verdict.notion_at)
        clash = Clash(self._base(declared), ours, theirs, verdict)
        match verdict.winner:
            case Winner.PERSON:
                self.merged.frozen[declared.key] = clash
            case Winner.NOTION:
                self.merged.decided[declared.key] = clash
                self._pull(declared, ours, theirs)
            case Winner.MAPABLE:
                self.merged.decided[declared.key] = clash
                self._keep_ours(declared, ours, theirs)


def _hold_rules(entity: Entity, row: Row, base: Base, rules: Rules, merged: Merged) -> None:
    """Refuse what would break a rule across fields, until what is left to be pulled breaks none."""
    while merged.pull:
        after = {**row, **{pulled.column: pulled.value for pulled in merged.pull.values()}}
        broken = {
            key: violation.reason
            for violation in check_row(entity, after)
            for key in violation.fields
            if key in merged.pull
        }
        if not broken:
            return
        for key, reason in broken.items():
            not_taken(merged, base, rules.conflicts, key, reason)


def not_taken(
    merged: Merged, base: Base, conflicts: Mapping[str, OpenConflict], key: str, reason: str
) -> None:
    """The row does not take a person's value: both sides agree on no more than before, and the edit is refused.

    What they chose in a conflict is theirs to choose again: the page is left as it is.
    """
    pulled, chosen = take_back(merged, base, key)
    if not chosen:
        merged.refused[key] = Refusal(pulled.theirs, reason)
        return
    conflict, known = conflicts[key], base.get(key)
    was = known.got if known is not None and not isinstance(known.got, Absent) else None
    verdict = Verdict(Winner.PERSON, conflict.rule)
    merged.frozen[key] = Clash(was, conflict.mapable, conflict.notion, verdict)
    merged.undone[key] = reason


def take_back(merged: Merged, base: Base, key: str) -> tuple[Pulled, bool]:
    """Take a value out of what goes to the row; return it, and whether a person had chosen it in a conflict."""
    pulled = merged.pull.pop(key)
    merged.base.pop(key)
    if key in base:
        merged.base[key] = base[key]
    merged.decided.pop(key, None)
    return pulled, merged.closed.pop(key, None) is not None
