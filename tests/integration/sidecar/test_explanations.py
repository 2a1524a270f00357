"""The outbox of explanations: each once, never too many, and nothing that was begun is sent blindly again."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from state import explanations
from state.changes import Key, PageId
from state.database import Connection, Pool
from state.explanations import digest_of, explain

KEY = Key("participant", "p1")
PAGE = PageId("11111111-1111-4111-8111-111111111111")


def page(number: int) -> PageId:
    return PageId(f"11111111-1111-4111-8111-{number:012}")


async def value(conn: Connection, query: str) -> Any:
    row = await (await conn.execute(query.encode())).fetchone()
    return row[0] if row is not None else None


async def said(conn: Connection, number: int, *, field: str = "name", typed: str = "Ann", text: str = "Why.") -> bool:
    return await explain(conn, Key("participant", f"p{number}"), page(number), field, digest_of(typed), text)


async def test_a_value_of_a_field_of_a_page_is_explained_once_for_ever(pool: Pool) -> None:
    async with pool.connection() as conn:
        first = await explain(conn, KEY, PAGE, "name", digest_of("Ann"), "Why.")
        (item,) = await explanations.due(conn)
        await explanations.sending(conn, item)
        await explanations.sent(conn, item)

        again = await explain(conn, KEY, PAGE, "name", digest_of("Ann"), "Why.")
        others = [
            await explain(conn, KEY, PAGE, "name", digest_of("Ben"), "Why."),
            await explain(conn, KEY, PAGE, "email", digest_of("Ann"), "Why."),
            await explain(conn, KEY, page(2), "name", digest_of("Ann"), "Why."),
        ]

    assert first
    assert not again
    assert others == [True, True, True]


async def test_it_is_queued_with_what_the_caller_commits_or_not_at_all(pool: Pool) -> None:
    async with pool.connection() as conn:
        async with conn.transaction():
            await explain(conn, KEY, PAGE, "name", digest_of("Ann"), "Why.")
            raise psycopg.Rollback

        assert await explanations.due(conn) == ()
        assert await explain(conn, KEY, PAGE, "name", digest_of("Ann"), "Why.")


async def test_beyond_five_a_minute_a_field_is_counted_in_one_notice(pool: Pool) -> None:
    async with pool.connection() as conn:
        queued = [await said(conn, number) for number in range(8)]
        other_field = await said(conn, 1, field="email")
        notices = await explanations.notices(conn)

    assert queued == [True] * 5 + [False] * 3
    assert other_field
    assert [(notice.entity, notice.field, notice.unsaid) for notice in notices] == [("participant", "name", 3)]


async def test_what_went_beyond_may_be_said_a_minute_later(pool: Pool) -> None:
    async with pool.connection() as conn:
        for number in range(6):
            await said(conn, number)
        await conn.execute("update explanation set queued_at = queued_at - interval '61 seconds'")

        assert await said(conn, 5)


async def test_a_notice_goes_away_after_an_hour_and_then_counts_anew(pool: Pool) -> None:
    async with pool.connection() as conn:
        for number in range(7):
            await said(conn, number)
        await conn.execute("update notice set last_at = last_at - interval '61 minutes'")

        gone = await explanations.notices(conn)
        await said(conn, 8)
        (anew,) = await explanations.notices(conn)

    assert gone == ()
    assert anew.unsaid == 1


async def test_workers_that_explain_at_once_keep_to_the_quota(pool: Pool) -> None:
    async def one(number: int) -> bool:
        async with pool.connection() as conn, conn.transaction():
            return await said(conn, number)

    queued = await asyncio.gather(*(one(number) for number in range(24)))

    assert sum(queued) == 5


async def test_a_text_is_forgotten_once_it_was_said_or_can_t_be(pool: Pool) -> None:
    async with pool.connection() as conn:
        await said(conn, 1, text="Quotes Ann.")
        await said(conn, 2, text="Quotes Ann.")
        first, second = await explanations.due(conn)

        await explanations.sent(conn, first)
        await explanations.dropped(conn, second)

        assert await value(conn, "select count(*) from explanation where text is not null") == 0


async def test_what_postgres_can_t_hold_does_not_fail_the_caller(pool: Pool) -> None:
    async with pool.connection() as conn:
        await said(conn, 1, text="before\0after\ud800")
        (item,) = await explanations.due(conn)

    assert item.text == "before\ufffdafter\ufffd"


async def test_only_one_sender_has_a_comment_in_hand(pool: Pool) -> None:
    async with pool.connection() as conn:
        await said(conn, 1)
        (item,) = await explanations.due(conn)

        taken = [await explanations.sending(conn, item), await explanations.sending(conn, item)]

        assert taken == [True, False]
        assert await explanations.due(conn) == ()


async def test_a_new_process_takes_up_what_was_begun_and_knows_it_was(pool: Pool) -> None:
    async with pool.connection() as conn:
        await said(conn, 1)
        (item,) = await explanations.due(conn)
        await explanations.sending(conn, item)

        await explanations.take_over(conn)
        (again,) = await explanations.due(conn)

    assert item.begun_at is None
    assert again.begun_at is not None


async def test_what_certainly_was_not_written_needs_no_looking_up(pool: Pool) -> None:
    async with pool.connection() as conn:
        await said(conn, 1)
        (item,) = await explanations.due(conn)
        await explanations.sending(conn, item)

        await explanations.later(conn, item, wait_s=0, unsent=True)
        (again,) = await explanations.due(conn)

    assert again.begun_at is None


@pytest.mark.parametrize("one", [None, True, False, "", "1", "true", [], ["a"]])
@pytest.mark.parametrize("other", [None, True, False, "", "1", "true", [], ["a"]])
def test_digests_tell_values_apart(one: Any, other: Any) -> None:
    alike = type(one) is type(other) and one == other

    assert (digest_of(one) == digest_of(other)) is alike
