"""Options of select, multi_select and status: names, colours, ids, and the rules of changing a list of them."""

from __future__ import annotations

import random
from typing import Any, Final

from deploy.sandbox.checks import as_array, as_object, as_text, known_keys, one_of
from deploy.sandbox.errors import UNDEFINED, Invalid, Json, unfit
from deploy.sandbox.ids import fresh_uuid
from deploy.sandbox.limits import OPTION_NAME_UNITS

COLOURS: Final = ("default", "gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red")
_GROUPS: Final = (("To-do", "gray"), ("In progress", "blue"), ("Complete", "green"))
_STATUSES: Final = (
    ("Not started", "default", "To-do"),
    ("In progress", "blue", "In progress"),
    ("Done", "green", "Complete"),
)


def checked_name(value: Any, path: str) -> str:
    """Return an option's name, or refuse it."""
    name = as_text(value, path, OPTION_NAME_UNITS)
    if "," in name:
        raise Invalid(f"Invalid select option, commas not allowed: {name}")
    if not name:
        raise unfit(f"{path}.length", "≥ `1`", 0)
    return name


def made(name: str, rng: random.Random, colour: str | None = None, description: str | None = None) -> Json:
    """Return a new option; a colour that nobody asked for is Notion's choice."""
    return {"id": fresh_uuid(rng), "name": name, "color": colour or rng.choice(COLOURS), "description": description}


def find(options: list[Json], name: str) -> Json | None:
    """Return the option of that name; names differ by more than case."""
    folded = name.casefold()
    return next((option for option in options if option["name"].casefold() == folded), None)


def by_id(options: list[Json], option_id: str) -> Json | None:
    """Return the option of that id."""
    return next((option for option in options if option["id"] == option_id), None)


def replaced(value: Any, path: str, current: list[Json], rng: random.Random) -> list[Json]:
    """Return the list that results from writing `value` over `current`: what it leaves out is gone.

    An option that stays keeps its id, name and colour: asking for another colour is refused, another name is ignored.
    """
    result: list[Json] = []
    for index, entry in enumerate(as_array(value, path)):
        here = f"{path}[{index}]"
        given = as_object(entry, here)
        known_keys(given, here, ("id", "name", "color", "description", "group"))
        colour = given.get("color")
        if colour is not None:
            one_of(colour, f"{here}.color", COLOURS, "a valid color")
        description = given.get("description")
        if description is not None:
            description = as_text(description, f"{here}.description", 2000)
        known = by_id(current, given["id"]) if isinstance(given.get("id"), str) else None
        if known is None:
            if "name" not in given:
                raise unfit(f"{here}.name", "defined", UNDEFINED)
            name = checked_name(given["name"], f"{here}.name")
            known = find(current, name)
        if known is None:
            option = made(name, rng, colour, description)
        elif colour not in (None, known["color"]):
            raise Invalid(f"Cannot update color of select with id: {known['id']}")
        else:
            option = known if "description" not in given else {**known, "description": description}
        if any(option["id"] == other["id"] for other in result) or find(result, option["name"]):
            raise Invalid(
                f"body failed validation: {path} should have unique names, `{option['name']}` is there twice."
            )
        result.append(option)
    return result


def default_status(rng: random.Random) -> Json:
    """Return the config of a status property that was asked for without options."""
    made_options = [(made(name, rng, colour), group) for name, colour, group in _STATUSES]
    groups = [
        {
            "id": fresh_uuid(rng),
            "name": name,
            "color": colour,
            "option_ids": [option["id"] for option, group in made_options if group == name],
        }
        for name, colour in _GROUPS
    ]
    return {"options": [option for option, _ in made_options], "groups": groups}


def regrouped(groups: list[Json], options: list[Json]) -> list[Json]:
    """Return the groups for a new list of options: newcomers land in To-do."""
    present = {option["id"] for option in options}
    kept = [{**group, "option_ids": [one for one in group["option_ids"] if one in present]} for group in groups]
    placed = {one for group in kept for one in group["option_ids"]}
    kept[0]["option_ids"] = [
        *kept[0]["option_ids"],
        *(option["id"] for option in options if option["id"] not in placed),
    ]
    return kept
