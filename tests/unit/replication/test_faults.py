"""Errors of the server become ours by what to do about them, and say nothing that they should not."""

from __future__ import annotations

import traceback

import psycopg
import pytest

from cdc.replication import faults
from cdc.replication.link import connect
from cdc.replication.slot import check_name
from state.errors import FatalError, SyncError, TransientError


@pytest.mark.parametrize(("sqlstate", "kind"), [
    ("55006", faults.SlotBusy), ("42704", faults.SlotMissing), ("42710", faults.SlotExists), ("57P01", faults.LinkLost),
    ("08006", faults.LinkLost), ("42501", FatalError), ("58P01", FatalError), ("53400", FatalError),
    ("55000", FatalError), ("22023", FatalError), ("0A000", FatalError),
])  # fmt: skip
def test_the_code_decides_what_to_do(sqlstate: str, kind: type[SyncError]) -> None:
    error = faults.from_server(psycopg.errors.lookup(sqlstate)("CANARY"), "reading slot s")

    assert type(error) is kind
    assert "CANARY" not in str(error)


def test_a_plugin_that_is_not_allowed_is_explained_with_the_line_to_type() -> None:
    error = faults.from_server(psycopg.errors.InsufficientPrivilege(), "reading slot s")

    assert isinstance(error, FatalError)
    assert "ALTER SYSTEM SET output_plugin_libraries = pgoutput, test_decoding, wal2json;" in error.hint


@pytest.mark.parametrize("dsn", ["hostCANARY", "postgresql://u:p CANARY@h:1/x", "port=CANARY host=127.0.0.1"])
async def test_a_connection_string_that_can_not_be_read_is_not_quoted(dsn: str) -> None:
    with pytest.raises(SyncError) as caught:
        await connect(dsn, replication=True)

    assert "CANARY" not in "".join(traceback.format_exception(caught.value, limit=0))
    assert caught.value.__context__ is None


async def test_a_server_that_does_not_answer_is_tried_again_and_its_address_not_told() -> None:
    with pytest.raises(TransientError) as caught:
        await connect("host=127.0.0.1 port=1 user=CANARY password=CANARY dbname=CANARY", replication=True)

    assert str(caught.value) == "replication connection refused: the server does not answer"
    assert caught.value.__context__ is None


@pytest.mark.parametrize("name", ["a", "mapable_cdc", "0", "x" * 63])
def test_a_slot_may_have_a_plain_name(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "a-b", 'a"b', "a b", "é", "x" * 64, "a\n"])
def test_any_other_slot_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="slot name"):
        check_name(name)
