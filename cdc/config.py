"""Settings: environment variables and `.env`, checked once at the start, with errors that say what to write.

Tolerant of what people paste (a comment behind a value, a Notion URL for an id, an empty value for none) and strict
about what they mistype: an unknown `NOTION_*` name is an error that names the nearest right one. Other unknown names
belong to the application whose `.env` this often is.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from cdc import dsn
from sinks.mapping.entities import ENTITIES
from sinks.mapping.model import Entity
from sinks.notion.ids import parse_id
from state.errors import FatalError

Direction = Literal["to_notion", "from_notion", "both"]
Strategy = Literal["last-write-wins", "timestamp-based", "manual-review"]

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


def _switch(value: object) -> object:
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("true or false is expected")


def _name(value: str) -> str:
    if re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", value) is None:
        raise ValueError("lower-case letters, digits and underscores are expected, 63 at most")
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


Switch = Annotated[bool, BeforeValidator(_switch)]
NotionId = Annotated[str, AfterValidator(parse_id)]
Name = Annotated[str, AfterValidator(_name)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Everything an operator can set. Field names are the environment variables in lower case."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    database_url: SecretStr
    database_direct_url: SecretStr | None = None
    notion_api_key: SecretStr
    notion_base_url: Annotated[str, AfterValidator(_base_url)] = "https://api.notion.com"
    notion_parent_page_id: NotionId | None = None
    notion_sync_enabled: Switch = True
    notion_conflict_strategy: Strategy = "last-write-wins"
    notion_requests_per_minute: Annotated[int, Field(ge=0, le=100_000)] = 180
    notion_create_lookup_seconds: Seconds = 60.0
    notion_request_timeout_seconds: Annotated[float, Field(gt=0, le=90)] = 60.0
    time_zone: Annotated[str, AfterValidator(_zone)] = "Australia/Sydney"
    admin_token: SecretStr | None = None
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    state_schema: Name = "notion_sync"
    replication_slot: Name = "mapable_cdc"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"
    databases: Mapping[str, NotionId] = Field(default_factory=dict)
    switches: Mapping[str, Switch] = Field(default_factory=dict)
    directions: Mapping[str, Direction] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load` prepared and nothing else."""
        return (init_settings,)

    @field_validator("notion_conflict_strategy", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        by_id: dict[str, str] = {}
        for entity, database_id in self.databases.items():
            other = by_id.setdefault(database_id, entity)
            if other != entity:
                raise ValueError(f"the databases of {other} and {entity} have one and the same id")
        return self

    @property
    def database(self) -> dsn.Database:
        return dsn.parse(self.database_url.get_secret_value())

    @property
    def direct(self) -> dsn.Database:
        """Where the slot and the lock live: a pooler can serve neither."""
        return dsn.parse((self.database_direct_url or self.database_url).get_secret_value())

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The entities that are switched on, in the order of a backfill."""
        return tuple(entity for entity in ENTITIES if self.switches.get(entity.name, True))

    def direction_of(self, entity: Entity) -> Direction:
        return self.directions.get(entity.name, "both")


_GROUPS: Final = {
    **{f"NOTION_{entity.setting}_DB_ID": ("databases", entity.name) for entity in ENTITIES},
    **{f"NOTION_SYNC_{entity.setting}": ("switches", entity.name) for entity in ENTITIES},
    **{f"NOTION_DIRECTION_{entity.setting}": ("directions", entity.name) for entity in ENTITIES},
}
_PLAIN: Final = {
    name.upper(): name for name in Settings.model_fields if name not in {"databases", "switches", "directions"}
}
# Settings of the seed and of the design that a later version of this program acts on; setting them is no mistake
_LATER: Final = frozenset(
    {"NOTION_WEBHOOK_SECRET", "NOTION_POLL_SECONDS", "NOTION_SWEEP_SECONDS", "NOTION_REVERT_GRACE_SECONDS",
     "NOTION_SHARED_FIELDS", "NOTION_CREATE_ROWS"}
)
KNOWN: Final = frozenset(_GROUPS) | frozenset(_PLAIN) | _LATER
# A comment needs white space before it: a password may hold a '#'
_COMMENT: Final = re.compile(r"\s+#.*$")


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")) -> Settings:
    """Return the settings; the environment goes before `.env`. Raises FatalError that names every mistake at once."""
    given = os.environ if environ is None else environ
    from_file: dict[str, str] = {}
    if env_file is not None and env_file.is_file():
        from_file = {name: value or "" for name, value in dotenv_values(env_file, interpolate=False).items()}
    merged = {**from_file, **given}
    problems = _unknown(merged)
    values: dict[str, Any] = {"databases": {}, "switches": {}, "directions": {}}
    for name in sorted(KNOWN):
        value, problem = _value(name, merged)
        if problem is not None:
            problems.append(problem)
        if value is None:
            continue
        if name in _GROUPS:
            group, entity = _GROUPS[name]
            values[group][entity] = value
        elif name in _PLAIN:
            values[_PLAIN[name]] = value
    settings: Settings | None = None
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems += [_problem(item) for item in error.errors(include_input=False, include_url=False)]
    for name in ("DATABASE_URL", "DATABASE_DIRECT_URL"):
        if isinstance(url := values.get(name.lower()), str):
            try:
                dsn.parse(url)
            except ValueError as error:
                problems.append(f"{name}: {error}")
    if settings is not None and not problems and settings.direct.pooled:
        problems.append(
            "DATABASE_URL goes through a connection pooler, which can't serve replication: "
            "set DATABASE_DIRECT_URL to the database's own URL"
        )
    if problems or settings is None:
        raise FatalError(
            "the settings can't be used:\n" + "\n".join(f"  - {problem}" for problem in problems),
            "Correct them in the environment or in .env; .env.example shows every name.",
        )
    return settings


def _value(name: str, merged: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return (value, problem) of one variable: its own, or the content of the file that NAME_FILE names."""
    raw = _COMMENT.sub("", merged.get(name, "")).strip()
    path = merged.get(f"{name}_FILE", "").strip()
    if raw and path:
        return raw, f"{name} and {name}_FILE are both set: keep one"
    if path:
        try:
            return Path(path).read_text("utf-8").strip() or None, None
        except (OSError, UnicodeDecodeError) as error:
            return None, f"{name}_FILE can't be read ({type(error).__name__})"
    return raw or None, None


def _unknown(merged: Mapping[str, str]) -> list[str]:
    problems = []
    for name in sorted(merged):
        if not name.startswith("NOTION_") or name in KNOWN or name.removesuffix("_FILE") in KNOWN:
            continue
        near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.6)
        problems.append(f"{name} is not a setting" + (f": did you mean {near[0]}?" if near else ""))
    return problems


def _problem(error: Any) -> str:
    """Return one line for an operator, without the value."""
    names = {(group, entity): name for name, (group, entity) in _GROUPS.items()}
    where = tuple(str(part) for part in error["loc"])
    name = names.get((where[0], where[1])) if len(where) > 1 else (where[0].upper() if where else None)
    if error["type"] == "missing":
        example = {
            "DATABASE_URL": "postgresql://user:password@host:5432/mapable",
            "NOTION_API_KEY": "the connection's token, it starts with ntn_",
        }.get(name or "", "a value")
        return f"{name} is missing: write {example}"
    text = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}: {text}" if name else text
