"""How single settings may be spelled: tolerant of spelling, strict about meaning. Errors never quote a value."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from sinks.mapping.entities import CREATABLE, ENTITIES
from sinks.notion.ids import parse_id

ADMIN_TOKEN_LENGTH: Final = 16
"""Guesses are not locked out, as that would lock out operators, too: the length has to do."""

_TRUE: Final = frozenset({"1", "true", "yes", "on", "t", "y", "enabled"})
_FALSE: Final = frozenset({"0", "false", "no", "off", "f", "n", "disabled"})
# What other programs' loggers call their levels: the variable is often theirs, too
_LEVELS: Final = {
    "trace": "debug", "verbose": "debug", "silly": "debug", "http": "info", "log": "info", "notice": "info",
    "warn": "warning", "fatal": "error", "critical": "error", "err": "error",
}


def _switch(value: object) -> object:
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("true or false is expected")


def says_off(value: object) -> bool:
    """Whether a switch is spelled as off."""
    return str(value).strip().lower() in _FALSE


def _name(value: str) -> str:
    if re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", value) is None or value.startswith("pg_"):
        raise ValueError(
            "lower-case letters, digits and underscores are expected, 63 at most, not beginning with a digit or pg_"
        )
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("an IANA time zone such as Australia/Sydney is expected") from None
    return value


def _base_url(value: str) -> str:
    url = value.rstrip("/").removesuffix("/v1").rstrip("/")
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
        raise ValueError("an http(s) URL without /v1 is expected, for example https://api.notion.com")
    return url


def _token(value: SecretStr) -> SecretStr:
    token = re.sub(r"^Bearer\s+", "", value.get_secret_value(), flags=re.IGNORECASE)
    if re.fullmatch(r"[!-~]+", token) is None:
        raise ValueError("a token without white space, in plain ASCII, is expected")
    return SecretStr(token)


def _hard_to_guess(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < ADMIN_TOKEN_LENGTH:
        raise ValueError(f"a long random text is expected, {ADMIN_TOKEN_LENGTH} characters at least")
    return value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _dashed(value: object) -> object:
    return value.lower().replace("_", "-").replace(" ", "-") if isinstance(value, str) else value


def _underscored(value: object) -> object:
    return value.lower().replace("-", "_").replace(" ", "_") if isinstance(value, str) else value


def _level(value: object) -> object:
    return _LEVELS.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _listed(value: object) -> object:
    """Return the parts of a list with commas; a list that is one already stays."""
    return frozenset(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _shared_fields(value: frozenset[str]) -> frozenset[str]:
    openable = {f"{entity.name}.{field.key}" for entity in ENTITIES for field in entity.fields if field.openable}
    if not value <= openable:
        raise ValueError(f"some of {', '.join(sorted(openable))} are expected, with commas between")
    return value


def _create_rows(value: frozenset[str]) -> frozenset[str]:
    if not value <= CREATABLE:
        raise ValueError(f"some of {', '.join(sorted(CREATABLE))} are expected, with commas between")
    return value


SharedFields = Annotated[frozenset[str], BeforeValidator(_listed), AfterValidator(_shared_fields)]
CreateRows = Annotated[frozenset[str], BeforeValidator(_listed), AfterValidator(_create_rows)]
Switch = Annotated[bool, BeforeValidator(_switch)]
NotionId = Annotated[str, AfterValidator(parse_id)]
Name = Annotated[str, AfterValidator(_name)]
Token = Annotated[SecretStr, AfterValidator(_token)]
AdminToken = Annotated[Token, AfterValidator(_hard_to_guess)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Direction = Annotated[Literal["to_notion", "from_notion", "both"], BeforeValidator(_underscored)]
Strategy = Annotated[Literal["last-write-wins", "timestamp-based", "manual-review"], BeforeValidator(_dashed)]
Plugin = Annotated[Literal["wal2json", "pgoutput", "auto"], BeforeValidator(_lower)]
Level = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_level)]
Format = Annotated[Literal["auto", "json", "console"], BeforeValidator(_lower)]
TimeZone = Annotated[str, AfterValidator(_zone)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
