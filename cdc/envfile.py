"""Variables as people write them: `.env` in any encoding, values with quotes and comments, secrets in files.

A value from the real environment may have passed through a tool that hands on what stood in a file, quotes and
comment included (Docker's `--env-file`), so it is cleaned, too. What stood in quotes in `.env` is taken as it is.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dotenv.parser import parse_stream

_QUOTED: Final = re.compile(r"""(["'])(.*?)\1\s*(?:#.*)?""", re.DOTALL)
# A comment needs white space before it: a password may hold a '#'
_COMMENT: Final = re.compile(r"\s+#.*", re.DOTALL)
_QUOTED_IN_FILE: Final = re.compile(r"""\s*(?:export\s+)?[^=]*=\s*["']""")
_UNREPLACED: Final = re.compile(r"\$\{\w+\}")
# The shape of names that Kubernetes makes for a Service called `notion-sync`, say
_SERVICE_LINK: Final = re.compile(r"NOTION_\w*(SERVICE_HOST|SERVICE_PORT\w*|PORT_\d+_(TCP|UDP|SCTP)\w*)")


def cleaned(raw: str) -> str:
    """Return a value without the quotes around it and the comment behind it; empty means unset."""
    text = raw.strip()
    if quoted := _QUOTED.fullmatch(text):
        return quoted[2].strip()
    return "" if text.startswith("#") else _COMMENT.sub("", text)


def read(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the variables in a `.env` file that have a value, and the lines that can't be read.

    Raises OSError when the file can't be read.
    """
    values: dict[str, str] = {}
    unread: list[str] = []
    for binding in parse_stream(io.StringIO(_decoded(path.read_bytes()), newline="")):
        if binding.error:
            unread.append(binding.original.string.strip())
        elif binding.key is not None:
            value = binding.value or ""
            quoted = _QUOTED_IN_FILE.match(binding.original.string) is not None
            values[binding.key] = value.strip() if quoted else cleaned(value)
    return {name: value for name, value in values.items() if value}, tuple(unread)


def merged(given: Mapping[str, str], from_file: Mapping[str, str], known: frozenset[str]) -> dict[str, str]:
    """Return all variables with a value. The environment goes before the file, for NAME and NAME_FILE as one."""
    ours = {name: value for name, raw in given.items() if (value := _given(name, raw, known))}
    return {
        **{
            name: value
            for name, value in from_file.items()
            if not (_plain(name) in known and {_plain(name), f"{_plain(name)}_FILE"} & ours.keys())
        },
        **ours,
    }


def value_of(name: str, variables: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return (value, problem) of one variable: its own, or the content of the file that NAME_FILE names."""
    value = variables.get(name)
    path = variables.get(f"{name}_FILE")
    if value and path:
        return value, f"{name} and {name}_FILE are both set: keep one"
    if path:
        try:
            value = _decoded(Path(path).read_bytes()).strip()
        except (OSError, ValueError) as error:
            return None, f"{name}_FILE can't be read ({type(error).__name__})"
        if not value:
            return None, f"{name}_FILE names a file that is empty"
    if value and _UNREPLACED.search(value):
        return None, f"{name} holds a ${{NAME}}, which is not replaced here: write what it stands for"
    if value and not value.isprintable():
        return None, f"{name} holds a line break or another character that can't be seen: one line is expected"
    return value or None, None


def is_service_link(name: str, value: str) -> bool:
    """Whether the variable is one that Kubernetes adds for a Service in the namespace, and nobody's setting."""
    return _SERVICE_LINK.fullmatch(name) is not None or (
        name.startswith("NOTION_") and name.endswith("_PORT") and re.match(r"(tcp|udp|sctp)://", value) is not None
    )


def _given(name: str, raw: str, known: frozenset[str]) -> str:
    return cleaned(raw) if _plain(name) in known or name.upper().startswith("NOTION_") else raw


def _plain(name: str) -> str:
    return name.removesuffix("_FILE")


def _decoded(content: bytes) -> str:
    """Return the text of a file: UTF-8, UTF-16 where it says so, else Latin-1, which reads everything."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
