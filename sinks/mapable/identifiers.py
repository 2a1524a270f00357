"""Ids for rows that are made here: of the form that the application's own (cuid) have."""

from __future__ import annotations

import secrets
import string
from typing import Final

ALPHABET: Final = string.digits + string.ascii_lowercase
LENGTH: Final = 25


def fresh_id() -> str:
    """Return an id that no row has: "c" and 24 random digits of base 36, some 124 bits."""
    return "c" + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH - 1))
