"""JSON for the sidecar that can hold every text a person can type: also the characters that Postgres refuses.

U+0000 and lone surrogates have no place in a Postgres text, and one of them in a value fails the whole transaction,
again and again. They are stored behind a mark, and read back as they were.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from psycopg.types.json import set_json_dumps, set_json_loads

from state.database import Connection

MARK: Final = "\uf8ff"
_REFUSED: Final = re.compile(f"[\0\ud800-\udfff{MARK}]")
_MARKED: Final = re.compile(f"{MARK}([0-9a-f]{{4}})")


async def adapt(conn: Connection) -> None:
    """Let the connection write and read JSON in this way."""
    set_json_dumps(dumps, conn)
    set_json_loads(loads, conn)


def dumps(value: Any) -> str:
    """Return the value as JSON that Postgres takes."""
    text = json.dumps(value, ensure_ascii=False)
    if "\\u0000" not in text and _REFUSED.search(text) is None:
        return text
    return json.dumps(_mapped(value, _hidden), ensure_ascii=False)


def loads(text: str | bytes) -> Any:
    """Return the value again."""
    written = text if isinstance(text, str) else text.decode()
    value = json.loads(written)
    return _mapped(value, _shown) if MARK in written else value


def _hidden(text: str) -> str:
    return _REFUSED.sub(lambda found: f"{MARK}{ord(found[0]):04x}", text)


def _shown(text: str) -> str:
    return _MARKED.sub(lambda found: chr(int(found[1], 16)), text)


def _mapped(value: Any, text_of: Callable[[str], str]) -> Any:
    match value:
        case str():
            return text_of(value)
        case dict():
            return {_mapped(key, text_of): _mapped(inner, text_of) for key, inner in value.items()}
        case list() | tuple():
            return [_mapped(inner, text_of) for inner in value]
    return value
