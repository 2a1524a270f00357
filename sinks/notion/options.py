"""What select options stand for: the labels that MapAble knows, whatever people have renamed them to. Pure.

An option is known by its id. One that is not yet known is told by its name, once: then it is known, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sinks.mapping.model import Field

Option = Mapping[str, Any]
"""An option as Notion answers it: id, name, colour."""


def label_of(field: Field, name: str, taken: Collection[str]) -> str | None:
    """Return the label of an option in use that nobody knows yet; None for a person's own, or a second one.

    Names that differ in capitals only are one name to Notion: a write by name would choose this very option.
    """
    label = _declared(field, name) or (name if field.free_options else None)
    return None if label in taken else label


def labels_of(field: Field, options: Iterable[Option], known: Mapping[str, str]) -> dict[str, str]:
    """Return the label of every option that is there and stands for one, by option id.

    Of a free column's options only the declared ones are told by name: one that a person is still typing the name of
    must not be known by its first letters. The others are learned from the pages that show them.
    """
    listed = {str(option["id"]): str(option["name"]) for option in options}
    labels = {option_id: known[option_id] for option_id in listed if option_id in known}
    taken = set(labels.values())
    for option_id, name in listed.items():
        label = _declared(field, name)
        if option_id not in labels and label is not None and label not in taken:
            labels[option_id] = label
            taken.add(label)
    return labels


def id_of(label: str, known: Mapping[str, str]) -> str | None:
    """Return the id of the option that shows a value; None when Notion has to find, or make, it by its name."""
    ids = {known[option_id]: option_id for option_id in known}
    if label in ids:
        return ids[label]
    folded = label.casefold()
    return next((option_id for name, option_id in ids.items() if name.casefold() == folded), None)


def _declared(field: Field, name: str) -> str | None:
    folded = name.casefold()
    return next((label for label in field.options if label.casefold() == folded), None)
