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
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final, Self
from zoneinfo import ZoneInfo

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from cdc import dsn, envfile
from cdc.spelling import (
    AdminToken,
    BaseUrl,
    CreateRows,
    Direction,
    Format,
    Level,
    Name,
    NotionId,
    Plugin,
    Seconds,
    SharedFields,
    Strategy,
    Switch,
    TimeZone,
    Token,
    says_off,
)
from sinks.mapping.entities import ENTITIES
from sinks.mapping.model import Entity
from state.errors import FatalError


class Settings(BaseSettings):
    """Everything an operator can set. Field names are the environment variables in lower case."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    database_url: SecretStr
    database_direct_url: SecretStr | None = None
    notion_api_key: Token
    notion_base_url: BaseUrl = "https://api.notion.com"
    notion_parent_page_id: NotionId | None = None
    notion_sync_enabled: Switch = True
    notion_conflict_strategy: Strategy = "last-write-wins"
    notion_requests_per_minute: Annotated[int, Field(ge=0, le=100_000)] = 180
    notion_create_lookup_seconds: Seconds = 60.0
    notion_webhook_secret: Token | None = None
    notion_poll_seconds: Seconds = 60.0
    notion_sweep_seconds: Seconds = 86_400.0
    notion_revert_grace_seconds: Seconds = 30.0
    notion_shared_fields: SharedFields = frozenset()
    notion_create_rows: CreateRows = frozenset()
    notion_request_timeout_seconds: Annotated[float, Field(gt=0, le=90)] = 60.0
    time_zone: TimeZone = "Australia/Sydney"
    admin_token: AdminToken | None = None
    sync_requests_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 30
    audit_retention_days: Annotated[int, Field(ge=1, le=36_500)] = 2_557
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    state_schema: Name = "notion_sync"
    replication_slot: Name = "mapable_cdc"
    replication_plugin: Plugin = "wal2json"
    log_level: Level = "info"
    log_format: Format = "auto"
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

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        named = {f"NOTION_{entity.setting}_DB_ID": self.databases.get(entity.name) for entity in ENTITIES}
        by_id: dict[str, str] = {}
        for name, notion_id in {**named, "NOTION_PARENT_PAGE_ID": self.notion_parent_page_id}.items():
            if notion_id is not None and (other := by_id.setdefault(notion_id, name)) != name:
                raise ValueError(f"{other} and {name} have one and the same id")
        return self

    @property
    def database(self) -> dsn.Database:
        found = dsn.parse(self.database_url.get_secret_value())
        if found.schema_given or self.database_direct_url is None:
            return found
        return replace(found, schema=dsn.parse(self.database_direct_url.get_secret_value()).schema)

    @property
    def direct(self) -> dsn.Database:
        """Where the slot and the lock live: a pooler can serve neither. The schema is the same by either way."""
        found = dsn.parse((self.database_direct_url or self.database_url).get_secret_value())
        return found if found.schema_given else replace(found, schema=self.database.schema)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The entities that are switched on, in the order of a backfill."""
        return tuple(entity for entity in ENTITIES if self.switches.get(entity.name, True))

    @property
    def opened(self) -> frozenset[tuple[str, str]]:
        """The fields that an operator made two-way, as (entity, field)."""
        parts = (name.partition(".") for name in self.notion_shared_fields)
        return frozenset((entity, field) for entity, _, field in parts)

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
# Too far from the right name to be found by likeness
_ALIASES: Final = dict.fromkeys(
    ("NOTION_TOKEN", "NOTION_KEY", "NOTION_SECRET", "NOTION_INTEGRATION_TOKEN", "NOTION_INTEGRATION_SECRET"),
    "NOTION_API_KEY",
) | {"NOTION_PAGE_ID": "NOTION_PARENT_PAGE_ID", "NOTION_RATE_LIMIT": "NOTION_REQUESTS_PER_MINUTE"}
NO_KEY: Final = "none"
"""Who switched the sync off, so that nothing is sent, needs no key."""
KNOWN: Final = frozenset(_GROUPS) | frozenset(_PLAIN)


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")) -> Settings:
    """Return the settings; the environment goes before `.env`. Raises FatalError that names every mistake at once."""
    from_file, problems = _from_file(env_file)
    variables = envfile.merged(os.environ if environ is None else environ, from_file, KNOWN)
    problems += _unknown(variables)
    values: dict[str, Any] = {"databases": {}, "switches": {}, "directions": {}}
    blamed = set()
    for name in sorted(KNOWN):
        value, problem = envfile.value_of(name, variables)
        if problem is not None:
            problems.append(problem)
            blamed.add(name)
        if value is None:
            continue
        if name in _GROUPS:
            group, entity = _GROUPS[name]
            values[group][entity] = value
        elif name in _PLAIN:
            values[_PLAIN[name]] = value
    if says_off(values.get("notion_sync_enabled")):
        values.setdefault("notion_api_key", NO_KEY)
    settings: Settings | None = None
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems += [
            _problem(item)
            for item in error.errors(include_input=False, include_url=False)
            if _name_of(item) not in blamed
        ]
    problems += _problems_of_urls(values)
    if settings is not None and not problems:
        problems += _problems_between(settings)
    if problems or settings is None:
        raise FatalError(
            "the settings can't be used:\n" + "\n".join(f"  - {problem}" for problem in problems),
            "Correct them in the environment or in .env; .env.example shows every name.",
        )
    return settings


def _from_file(path: Path | None) -> tuple[dict[str, str], list[str]]:
    """Return what `.env` holds and which of our settings in it can't be read; most of it may be another program's."""
    if path is None:
        return {}, []
    try:
        found, unread = envfile.read(path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return {}, []
    except (OSError, ValueError) as error:
        return {}, [f"{path.name} can't be read ({type(error).__name__})"]
    names = (re.split(r"[\s=:]", line.removeprefix("export ").lstrip(), maxsplit=1)[0] for line in unread)
    return found, [
        f"{name} in {path.name} can't be read: NAME=value is expected, with quotes that are closed"
        for name in names
        if name.removesuffix("_FILE") in KNOWN
    ]


def _problems_of_urls(values: Mapping[str, Any]) -> list[str]:
    problems = []
    for name in ("DATABASE_URL", "DATABASE_DIRECT_URL"):
        if isinstance(url := values.get(name.lower()), str):
            try:
                conninfo_to_dict(dsn.parse(url).dsn)
            except ValueError as error:
                problems.append(f"{name}: {error}")
            except psycopg.Error:
                # libpq's own words would quote a piece of it
                problems.append(f"{name}: libpq can't read it; write special characters of the password as %XX")
    return problems


def _problems_between(settings: Settings) -> list[str]:
    """Return what is wrong with settings that are right one by one."""
    problems = []
    first, direct = settings.database, settings.direct
    if direct.pooled:
        at = "DATABASE_URL" if settings.database_direct_url is None else "DATABASE_DIRECT_URL"
        problems.append(
            f"{at} goes through a connection pooler, which can't serve replication: "
            "set DATABASE_DIRECT_URL to the database's own URL"
        )
    if first.schema != direct.schema:
        problems.append("DATABASE_URL and DATABASE_DIRECT_URL name different schemas")
    if settings.state_schema == direct.schema or settings.state_schema in {"public", "information_schema"}:
        problems.append("STATE_SCHEMA: a schema of its own is expected, not one where other tables stand")
    return problems


def _unknown(variables: Mapping[str, str]) -> list[str]:
    problems = []
    for name, value in sorted(variables.items()):
        plain = name.removesuffix("_FILE")
        if not name.upper().startswith("NOTION_") or plain in KNOWN or envfile.is_service_link(name, value):
            continue
        near = [_ALIASES[plain.upper()]] if plain.upper() in _ALIASES else difflib.get_close_matches(
            plain.upper(), KNOWN, n=1, cutoff=0.6
        )
        problems.append(f"{name} is not a setting" + (f": did you mean {near[0]}?" if near else ""))
    return problems


def _name_of(error: Any) -> str | None:
    """Return the variable that the error is about; None: about several."""
    names = {(group, entity): name for name, (group, entity) in _GROUPS.items()}
    where = tuple(str(part) for part in error["loc"])
    return names.get((where[0], where[1])) if len(where) > 1 else (where[0].upper() if where else None)


def _problem(error: Any) -> str:
    """Return one line for an operator, without the value."""
    name = _name_of(error)
    if error["type"] == "missing":
        example = {
            "DATABASE_URL": "postgresql://user:password@host:5432/mapable",
            "NOTION_API_KEY": "the connection's token, it starts with ntn_",
        }.get(name or "", "a value")
        return f"{name} is missing: write {example}"
    text = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}: {text}" if name else text
