"""The operations of a run and how often each comes: what MapAble does, and what people do."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from tests.chaos.application import Application
from tests.chaos.coordinators import Coordinators
from tests.chaos.samples import Samples

Operation = Callable[[Samples], Awaitable[None]]
SQL: Final[Mapping[str, int]] = {
    "insert": 12, "update_mapped": 22, "update_unmapped": 6, "update_both": 6, "update_to_the_same": 3, "update_hot": 3,
    "update_in_bulk": 4, "take_back": 5, "reassign": 8, "rename_looked_up": 5, "change_role": 4, "delete": 6,
    "delete_person": 1, "reuse_key": 4, "change_key": 2, "roll_back": 4, "use_savepoints": 4, "change_much_at_once": 3,
    "change_what_is_unknown": 2,
}
PEOPLE: Final[Mapping[str, int]] = {
    "edit": 22, "edit_twice": 5, "edit_as_mapable_does": 10, "edit_beside_mapable": 8, "edit_wrongly": 8,
    "edit_while_mapable_wavers": 3, "edit_who_is_pointed_at": 3, "change_again_once_written": 3,
    "copy_a_number": 2, "clear": 4, "edit_what_mapable_keeps": 8, "trash": 3, "restore": 4, "trash_and_restore": 2,
    "duplicate": 3, "purge": 1, "create": 5, "create_in_steps": 2, "create_half": 2, "create_elsewhere": 1,
    "rename_property": 2, "rename_option": 2, "add_property": 1, "comment": 2, "write_below": 2,
}  # fmt: skip
NAMES: Final = (*SQL, *PEOPLE)
WEIGHTS: Final = (*SQL.values(), *PEOPLE.values())


def chosen(rng: random.Random, among: Sequence[str] = ()) -> str:
    """Return the name of the next operation, one of these where there are any."""
    return rng.choice(among) if among else rng.choices(NAMES, WEIGHTS)[0]


def operation(name: str, application: Application, coordinators: Coordinators) -> Operation:
    """Return the operation of that name."""
    found: Operation = getattr(application if name in SQL else coordinators, name)
    return found
