"""Identifiers: UUIDs with and without dashes, and Notion's short property ids with their URL encoding."""

from __future__ import annotations

import functools
import random
import re
import uuid
from collections.abc import Container
from urllib.parse import quote, unquote

from deploy.sandbox.errors import Invalid, shown

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
# Real ids are full of characters that need encoding; a client that decodes or re-encodes them must fail here too.
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:;<=>?@[\\]^_`{|}~"


def fresh_uuid(rng: random.Random) -> str:
    """Return a new version 4 UUID, dashed and in lower case."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def canonical_uuid(raw: object, path: str) -> str:
    """Return `raw` dashed and in lower case; `path` names the place in the error."""
    if isinstance(raw, str) and _UUID.fullmatch(raw.lower()):
        return str(uuid.UUID(raw))
    message = f"{path} should be a valid uuid, instead was `{shown(raw)}`."
    raise Invalid(message if " failed validation: " in path else f"body failed validation: {message}")


def fresh_property_id(rng: random.Random, taken: Container[str]) -> str:
    """Return a new four-character property id, decoded, with at least one character that a URL must encode."""
    while True:
        drawn = "".join(rng.choice(_ALPHABET) for _ in range(4))
        if drawn not in taken and encoded(drawn) != drawn:
            return drawn


@functools.lru_cache(maxsize=4096)
def encoded(property_id: str) -> str:
    """Return the id as Notion shows it: percent-encoded like JavaScript's encodeURIComponent."""
    return quote(property_id, safe="-_.!~*'()")


def decodings(key: str) -> tuple[str, ...]:
    """Return `key` as given, decoded once and decoded twice: clients encode ids that are encoded already."""
    once = unquote(key)
    return (key, once, unquote(once))
