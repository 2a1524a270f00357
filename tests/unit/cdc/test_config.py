"""Settings as people write them: tolerant of spelling, strict about meaning, and every mistake named at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from cdc.config import Settings, load
from sinks.mapping.entities import ENTITIES, by_name
from state.errors import FatalError

SECRET: Final = "hunter2-and-longer"
NEEDED: Final = {"DATABASE_URL": f"postgresql://app:{SECRET}@db:5432/mapable", "NOTION_API_KEY": "ntn_1"}
ID: Final = "0123456789abcdef0123456789abcdef"
DASHED: Final = "01234567-89ab-cdef-0123-456789abcdef"
OTHER_ID: Final = "f" * 32


def given(**variables: str) -> Settings:
    return load({**NEEDED, **variables}, None)


def refused(environ: dict[str, str], env_file: Path | None = None) -> str:
    """Return what is said of settings that can't be used; never a value of theirs."""
    with pytest.raises(FatalError) as caught:
        load(environ, env_file)
    assert SECRET not in str(caught.value)
    assert ".env.example" in caught.value.hint
    return str(caught.value)


def test_two_settings_are_enough() -> None:
    settings = given()

    assert settings.entities == ENTITIES
    assert settings.notion_base_url == "https://api.notion.com"
    assert settings.notion_requests_per_minute == 180
    assert settings.notion_conflict_strategy == "last-write-wins"
    assert settings.zone.key == "Australia/Sydney"
    assert settings.database.schema == "public"


def test_what_is_missing_is_named_with_what_to_write() -> None:
    said = refused({})

    assert "DATABASE_URL is missing: write postgresql://user:password@host:5432/mapable" in said
    assert "NOTION_API_KEY is missing: write the connection's token" in said


def test_a_sync_that_is_switched_off_needs_no_key() -> None:
    environ = {"DATABASE_URL": NEEDED["DATABASE_URL"], "NOTION_SYNC_ENABLED": "Off"}

    assert load(environ, None).notion_sync_enabled is False
    assert "NOTION_API_KEY is missing" in refused({**environ, "NOTION_SYNC_ENABLED": "on"})


def test_every_mistake_is_named_at_once() -> None:
    said = refused({"HTTP_PORT": "eighty", "TIME_ZONE": "Sydney", "NOTION_SYNC_RISKS": "perhaps", "DATABASE_URL": "db"})

    for name in ("HTTP_PORT", "TIME_ZONE", "NOTION_SYNC_RISKS", "DATABASE_URL", "NOTION_API_KEY"):
        assert f"  - {name}" in said, name


def test_the_plugin_is_one_of_three_however_it_is_written() -> None:
    assert given().replication_plugin == "wal2json"
    assert given(REPLICATION_PLUGIN="PgOutput").replication_plugin == "pgoutput"
    assert "  - REPLICATION_PLUGIN" in refused({**NEEDED, "REPLICATION_PLUGIN": "decoderbufs"})


def test_empty_is_unset() -> None:
    assert given(HTTP_PORT="", TIME_ZONE="  ", NOTION_PARTICIPANTS_DB_ID="# none yet") == given()
    assert "NOTION_API_KEY is missing" in refused({**NEEDED, "NOTION_API_KEY": ""})


@pytest.mark.parametrize(
    "written", [f"{ID}", DASHED, f"https://www.notion.so/acme/People-{ID}?v={OTHER_ID}", f'"{ID}"', f"{ID}  # People"]
)
def test_an_id_is_taken_as_it_was_pasted(written: str) -> None:
    assert given(NOTION_PARTICIPANTS_DB_ID=written).databases == {"participant": DASHED}


def test_the_seeds_comment_behind_a_value_is_no_part_of_it() -> None:
    settings = given(NOTION_CONFLICT_STRATEGY="manual-review  # last-write-wins | timestamp-based | manual-review")

    assert settings.notion_conflict_strategy == "manual-review"


@pytest.mark.parametrize(
    ("name", "written", "field", "meant"),
    [
        ("NOTION_SYNC_ENABLED", "No", "notion_sync_enabled", False),
        ("NOTION_CONFLICT_STRATEGY", "Timestamp Based", "notion_conflict_strategy", "timestamp-based"),
        ("NOTION_BASE_URL", "http://127.0.0.1:8081/v1/", "notion_base_url", "http://127.0.0.1:8081"),
        ("NOTION_REQUESTS_PER_MINUTE", "0", "notion_requests_per_minute", 0),
        ("NOTION_CREATE_LOOKUP_SECONDS", "0.25", "notion_create_lookup_seconds", 0.25),
        ("LOG_LEVEL", "WARN", "log_level", "warning"),
        ("LOG_FORMAT", "JSON", "log_format", "json"),
    ],
)
def test_spelling_is_forgiven(name: str, written: str, field: str, meant: Any) -> None:
    assert getattr(given(**{name: written}), field) == meant


def test_a_bearer_in_front_of_the_token_is_dropped() -> None:
    assert given(NOTION_API_KEY="Bearer ntn_9").notion_api_key.get_secret_value() == "ntn_9"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("HTTP_PORT", "65536"),
        ("NOTION_REQUESTS_PER_MINUTE", "-1"),
        ("NOTION_REQUEST_TIMEOUT_SECONDS", "-7.5"),
        ("NOTION_CREATE_LOOKUP_SECONDS", "inf"),
        ("NOTION_BASE_URL", "stand-in:8080"),
        ("NOTION_CONFLICT_STRATEGY", "mine-wins"),
        ("NOTION_DIRECTION_RISKS", "backwards"),
        ("NOTION_PARTICIPANTS_DB_ID", "my database"),
        ("NOTION_API_KEY", "ntn 1"),
        ("STATE_SCHEMA", "Notion-Sync"),
        ("REPLICATION_SLOT", "pg_mine"),
        ("LOG_LEVEL", "loud"),
        ("ADMIN_TOKEN", "${ADMIN}"),
    ],
)
def test_a_bad_value_is_named_and_not_repeated(name: str, written: str) -> None:
    said = refused({**NEEDED, name: written})

    assert said.count("  - ") == 1
    assert f"  - {name}" in said
    assert written not in said


@pytest.mark.parametrize(
    ("mistyped", "right"),
    [
        ("NOTION_APIKEY", "NOTION_API_KEY"),
        ("NOTION_TOKEN", "NOTION_API_KEY"),
        ("NOTION_PARTICIPANT_DB_ID", "NOTION_PARTICIPANTS_DB_ID"),
        ("NOTION_SYNC_PAYMENT", "NOTION_SYNC_PAYMENTS"),
        ("notion_conflict_strategie", "NOTION_CONFLICT_STRATEGY"),
    ],
)
def test_a_mistyped_name_is_an_error_that_names_the_right_one(mistyped: str, right: str) -> None:
    assert f"{mistyped} is not a setting: did you mean {right}?" in refused({**NEEDED, mistyped: "1"})


def test_names_of_other_programs_are_theirs(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("NEXTAUTH_SECRET=x\nSTRIPE_KEY='unclosed\nNOTION_PORT_8080_TCP=tcp://10.0.0.1:8080\n", "utf-8")

    assert load(NEEDED, env_file) == given()


def test_two_databases_with_one_id_are_an_error() -> None:
    said = refused({**NEEDED, "NOTION_RISKS_DB_ID": ID, "NOTION_INCIDENTS_DB_ID": DASHED})

    assert "NOTION_INCIDENTS_DB_ID and NOTION_RISKS_DB_ID have one and the same id" in said


def test_switches_and_directions_are_per_database() -> None:
    settings = given(NOTION_SYNC_RISKS="false", NOTION_DIRECTION_PAYMENTS="to-notion")

    assert by_name("risk") not in settings.entities
    assert len(settings.entities) == len(ENTITIES) - 1
    assert settings.direction_of(by_name("payment")) == "to_notion"
    assert settings.direction_of(by_name("incident")) == "both"


@pytest.mark.parametrize(
    ("name", "entity"),
    [
        ("PARTICIPANTS", "participant"), ("NDIS_PLANS", "ndisplan"), ("CARE_PLANS", "careplan"),
        ("INCIDENTS", "incident"), ("COMPLAINTS", "complaint"), ("RISKS", "risk"), ("PAYMENTS", "payment"),
    ],
)
def test_each_switch_direction_and_id_is_of_one_database(name: str, entity: str) -> None:
    settings = given(
        **{f"NOTION_SYNC_{name}": "false", f"NOTION_DIRECTION_{name}": "from_notion", f"NOTION_{name}_DB_ID": ID}
    )

    assert {each.name for each in ENTITIES} - {each.name for each in settings.entities} == {entity}
    assert [each.name for each in ENTITIES if settings.direction_of(each) == "from_notion"] == [entity]
    assert list(settings.databases) == [entity]


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text('export HTTP_PORT="9001"  # ours\nTIME_ZONE=UTC\nNOTION_API_KEY=from_file\n', "utf-8")

    settings = load({**NEEDED, "HTTP_PORT": "9002", "TIME_ZONE": ""}, env_file)

    assert (settings.http_port, settings.time_zone) == (9002, "UTC")
    assert settings.notion_api_key.get_secret_value() == "ntn_1"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_is_read_in_the_encoding_that_an_editor_gave_it(tmp_path: Path, encoding: str) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("# Schlüssel\r\nHTTP_PORT=9001\r\n", encoding)

    assert load(NEEDED, env_file).http_port == 9001


def test_secrets_come_from_files_too(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("ntn_from_a_file\n", "utf-8")
    environ = {"DATABASE_URL": NEEDED["DATABASE_URL"], "NOTION_API_KEY_FILE": str(token)}

    assert load(environ, None).notion_api_key.get_secret_value() == "ntn_from_a_file"
    assert "both set: keep one" in refused({**NEEDED, "NOTION_API_KEY_FILE": str(token)})
    assert "NOTION_API_KEY_FILE can't be read" in refused({**environ, "NOTION_API_KEY_FILE": str(tmp_path / "none")})
    token.write_text("\n", "utf-8")
    assert "names a file that is empty" in refused(environ)


def test_our_line_that_can_t_be_read_is_told_and_another_s_is_not(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"THEIRS {SECRET}\nNOTION_API_KEY {SECRET}\n", "utf-8")

    assert "NOTION_API_KEY in .env can't be read: NAME=value is expected" in refused(dict(NEEDED), env_file)


def test_a_pooler_needs_the_direct_url_beside_it() -> None:
    pooled = f"postgresql://app:{SECRET}@db:6432/mapable?pgbouncer=true"
    assert "set DATABASE_DIRECT_URL to the database's own URL" in refused({**NEEDED, "DATABASE_URL": pooled})

    settings = given(DATABASE_URL=pooled, DATABASE_DIRECT_URL=NEEDED["DATABASE_URL"] + "?schema=app")

    assert (settings.direct.pooled, settings.direct.schema, settings.database.schema) == (False, "app", "app")
    said = refused({**NEEDED, "DATABASE_DIRECT_URL": pooled})
    assert "DATABASE_DIRECT_URL goes through a connection pooler" in said


def test_two_schemas_are_one_too_many() -> None:
    one, other = (f"{NEEDED['DATABASE_URL']}?schema={name}" for name in ("app", "other"))

    assert "name different schemas" in refused({**NEEDED, "DATABASE_URL": one, "DATABASE_DIRECT_URL": other})
    assert "STATE_SCHEMA" in refused({**NEEDED, "DATABASE_URL": one, "STATE_SCHEMA": "app"})
    assert "STATE_SCHEMA" in refused({**NEEDED, "STATE_SCHEMA": "public"})


def test_a_token_that_could_be_guessed_is_refused() -> None:
    said = refused({**NEEDED, "ADMIN_TOKEN": "operator-2026-1"})

    assert "ADMIN_TOKEN" in said
    assert "16 characters at least" in said
    assert given(ADMIN_TOKEN="operator-2026-10").admin_token is not None


def test_settings_shown_by_mistake_give_nothing_away() -> None:
    settings = given(ADMIN_TOKEN=SECRET)

    assert SECRET not in repr(settings) + str(settings)
    assert SECRET not in repr(settings.database)
