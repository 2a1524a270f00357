"""What a person sees when a command fails: a sentence and what to do, never the text of a foreign error."""

from __future__ import annotations

import psycopg
import pytest

from cdc.cli.terminal import Failed, Stuck, WrongUsage, run
from cdc.refusals import refused
from sinks.base import SinkUnavailable
from sinks.notion.discovery import WrongSetting
from sinks.notion.failures import NotionOutage
from state.errors import FatalError, TransientError

SECRET = "geheim 4711"


async def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "error",
    [ValueError(SECRET), psycopg.DataError(SECRET), ExceptionGroup(SECRET, [KeyError(SECRET)]), RuntimeError(SECRET)],
    ids=lambda error: type(error).__name__,
)
def test_foreign_texts_are_not_repeated(error: Exception) -> None:
    with pytest.raises(Stuck) as caught:
        run(fail(error))

    assert SECRET not in caught.value.message + caught.value.hint
    assert caught.value.__suppress_context__


def test_a_mistake_of_the_program_names_its_kind_and_place() -> None:
    with pytest.raises(Stuck, match=r"ValueError at unit/test_terminal\.py:\d+"):
        run(fail(ValueError(SECRET)))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FatalError("said", "do"), Stuck),
        (WrongSetting("said", "do"), WrongUsage),
        (SinkUnavailable("said"), Stuck),
        (NotionOutage("said", sent=True), Stuck),
        (TransientError("said"), Stuck),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_our_own_texts_are(error: Exception, kind: type[Failed]) -> None:
    with pytest.raises(kind, match="said") as caught:
        run(fail(error))

    assert caught.value.hint


def test_of_several_errors_the_one_for_a_person_is_told() -> None:
    group = ExceptionGroup("both", [TransientError("wait"), ExceptionGroup("more", [FatalError("mend it", "do")])])

    with pytest.raises(Stuck, match="mend it"):
        run(fail(group))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('connection to server at "10.1.2.3", port 5432 failed: FATAL:  password authentication failed for user "x"\n',
         'password authentication failed for user "x"'),
        ('connection to server at "10.1.2.3", port 5432 failed: Connection refused\n\tIs the server running',
         "nothing listens there"),
        ('could not translate host name "db.internal" to address', "the host's name is not known"),
        ("postgresql://u:geheim@h/d is odd", "OperationalError"),
    ],
)
def test_why_a_connection_failed_is_told_without_where_to(text: str, reason: str) -> None:
    told = refused(psycopg.OperationalError(text))

    assert str(told) == f"the database can't be reached: {reason}"
