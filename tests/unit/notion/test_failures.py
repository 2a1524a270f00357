"""An answer that is no success becomes one of our errors by what to do about it, and quotes nothing of what it said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.base import CommentsForbidden, EntityUnavailable, OutcomeUnknown, PageGone, PageTrashed, SinkUnavailable
from sinks.notion.failures import (
    DEFAULT_PAUSE_S,
    LONGEST_PAUSE_S,
    ConflictOnSave,
    NotionOutage,
    classify,
    create_failed,
    parse_body,
    retry_after_s,
)
from state.errors import FatalError, PoisonError, RateLimited, SyncError
from tests.strategies import junk_json

NOW_S = 1_790_000_000.0     # Mon, 21 Sep 2026 14:13:20 GMT
PAGE = "0123456789abcdef0123456789abcdef"
DASHED = "01234567-89ab-cdef-0123-456789abcdef"
HTML = "<html><head><title>502 Bad Gateway</title></head><body>CANARY cloudflare</body></html>"
ARCHIVED = "Can't edit block that is archived. You must unarchive the block before editing."
ANCESTOR = "Can't edit page on block with an archived ancestor. You must unarchive the ancestor before editing page."


def answer(code: str | None, message: str = "CANARY", **more: object) -> dict[str, Any]:
    return {"object": "error", "code": code, "message": message, "request_id": "r", "additional_data": more}


@pytest.mark.parametrize(("status", "body", "kind"), [
    (400, answer("invalid_json"), PoisonError),
    (400, answer("invalid_request_url"), PoisonError),
    (400, answer("invalid_request"), PoisonError),
    (400, answer("validation_error"), PoisonError),
    (400, answer("invalid_grant"), SinkUnavailable),
    (400, answer("invalid_beta"), SinkUnavailable),
    (400, answer("missing_version"), SinkUnavailable),
    (400, answer("validation_error", ARCHIVED), PageTrashed),
    (400, answer("validation_error", ANCESTOR), PageTrashed),
    (400, {}, PoisonError),
    (401, answer("unauthorized"), SinkUnavailable),
    (403, answer("restricted_resource"), SinkUnavailable),
    (403, answer("restricted_resource", block_limit="block_creation"), PoisonError),
    (403, answer("restricted_resource", rate_limit_reason="public_api_request_blocked"), SinkUnavailable),
    (403, {}, SinkUnavailable),
    (404, answer("object_not_found"), PageGone),
    (404, {}, SinkUnavailable),
    (407, {}, SinkUnavailable),
    (408, {}, NotionOutage),
    (409, answer("conflict_error"), ConflictOnSave),
    (409, answer("row_limit_exceeded"), PoisonError),
    (413, {}, PoisonError),
    (418, answer("something_new"), PoisonError),
    (429, answer("rate_limited", rate_limit_reason="public_api_request_rate_limit"), RateLimited),
    (429, answer("rate_limited", rate_limit_reason="public_api_space_request_rate_limit"), RateLimited),
    (429, answer("rate_limited", rate_limit_reason="public_api_endpoint_rate_limit"), RateLimited),
    (429, answer("rate_limited", rate_limit_reason="a_reason_of_tomorrow"), RateLimited),
    (429, answer("rate_limited", rate_limit_reason="public_api_request_blocked"), SinkUnavailable),
    (429, {}, RateLimited),
    (500, answer("internal_server_error"), NotionOutage),
    (502, answer("bad_gateway"), NotionOutage),
    (502, parse_body(HTML), NotionOutage),
    (503, answer("service_unavailable"), NotionOutage),
    (503, answer("database_connection_unavailable"), NotionOutage),
    (503, answer("service_unavailable", committed_resource_id=PAGE), NotionOutage),
    (504, answer("gateway_timeout"), NotionOutage),
    (520, parse_body(HTML), NotionOutage),
    (529, answer("service_overload"), NotionOutage),
    (301, {}, SinkUnavailable),
    (302, parse_body(HTML), SinkUnavailable),
])  # fmt: skip
def test_status_and_code_decide(status: int, body: Mapping[str, Any], kind: type[SyncError]) -> None:
    error = classify(status, body, {}, NOW_S)

    assert type(error) is kind
    assert str(status) in str(error)
    assert "CANARY" not in str(error)


def test_a_missing_capability_is_what_the_caller_makes_of_it() -> None:
    error = classify(403, answer("restricted_resource"), {}, NOW_S, CommentsForbidden)

    assert type(error) is CommentsForbidden


def test_a_limit_on_new_pages_is_the_matter_of_the_page_that_was_to_be_made() -> None:
    blocks = classify(403, answer("restricted_resource", block_limit="block_creation"), {}, NOW_S, CommentsForbidden)
    rows = classify(409, answer("row_limit_exceeded"), {}, NOW_S)

    assert isinstance(blocks, PoisonError)
    assert isinstance(rows, PoisonError)
    assert (blocks.reason, rows.reason) == ("notion_block_limit", "notion_row_limit_exceeded")
    assert create_failed(rows) is rows


@pytest.mark.parametrize(("status", "body"), [
    (403, {}),
    (403, answer("restricted_resource", rate_limit_reason="public_api_request_blocked")),
    (401, answer("unauthorized")),
])
def test_what_is_no_matter_of_capabilities_stays_what_it_is(status: int, body: Mapping[str, Any]) -> None:
    assert type(classify(status, body, {}, NOW_S, CommentsForbidden)) is SinkUnavailable


@pytest.mark.parametrize("message", [
    'body failed validation: body.properties.x.rich_text[0].text.content should be shorter, instead was `"archived"`.',
    "body failed validation. Fix one:\nCan't edit block that is archived.",
    "The client wrote: Can't edit block that is archived.",
])  # fmt: skip
def test_a_value_that_speaks_of_archives_is_no_page_in_the_trash(message: str) -> None:
    error = classify(400, answer("validation_error", message), {}, NOW_S)

    assert isinstance(error, PoisonError)


def test_work_that_can_not_succeed_carries_the_code_as_its_reason() -> None:
    named = classify(400, answer("validation_error"), {}, NOW_S)
    unnamed = classify(413, {}, {}, NOW_S)

    assert isinstance(named, PoisonError)
    assert isinstance(unnamed, PoisonError)
    assert (named.reason, unnamed.reason) == ("notion_validation_error", "notion_413")


@pytest.mark.parametrize("code", ["CANARY", "canary\nline", "canary canary", "c" * 61, {"canary": 1}, None, 7, True])
def test_a_code_that_is_none_is_not_repeated(code: object) -> None:
    error = classify(400, {"code": code}, {}, NOW_S)

    assert "canary" not in str(error).lower()
    assert isinstance(error, PoisonError)
    assert error.reason == "notion_400"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529, 408])
def test_the_wait_that_was_asked_for_is_kept(status: int) -> None:
    error = classify(status, answer("any"), httpx.Headers({"Retry-After": "37"}), NOW_S)

    assert isinstance(error, RateLimited | NotionOutage)
    assert error.retry_after_s == 37


def test_who_limits_without_saying_for_how_long_gets_a_moment() -> None:
    error = classify(429, answer("rate_limited"), {}, NOW_S)

    assert isinstance(error, RateLimited)
    assert error.retry_after_s == DEFAULT_PAUSE_S


@pytest.mark.parametrize(("said", "wait_s"), [
    ("21", 21.0), ("junk", DEFAULT_PAUSE_S), (None, DEFAULT_PAUSE_S), (["21"], DEFAULT_PAUSE_S),
])  # fmt: skip
def test_where_the_header_is_lost_the_body_says_it_too(said: object, wait_s: float) -> None:
    error = classify(429, answer("rate_limited", retry_after=said), {}, NOW_S)

    assert isinstance(error, RateLimited)
    assert error.retry_after_s == wait_s


@pytest.mark.parametrize(("text", "wait_s"), [
    ("37", 37.0),
    (" 37 ", 37.0),
    ("0.25", 0.25),
    ("0", 0.0),
    ("-5", 0.0),
    ("1e3", 1000.0),
    ("3601", LONGEST_PAUSE_S),
    ("1e300", LONGEST_PAUSE_S),
    ("inf", DEFAULT_PAUSE_S),
    ("nan", DEFAULT_PAUSE_S),
    ("", 0.0),
    ("soon", DEFAULT_PAUSE_S),
    ("Mon, 21 Sep 2026 14:14:20 GMT", 60.0),
    ("Mon, 21 Sep 2026 14:14:20 -0000", 60.0),
    ("Mon, 21 Sep 2026 14:14:20", 60.0),
    ("Tue, 22 Sep 2026 00:14:20 +1000", 60.0),
    ("Mon, 21 Sep 2026 14:13:00 GMT", 0.0),
    ("Mon, 21 Sep 2099 14:13:00 GMT", LONGEST_PAUSE_S),
    ("Mon, 99 Sep 2026 14:13:00 GMT", DEFAULT_PAUSE_S),
    ("Mon, 21 Sep 99999 14:13:00 GMT", DEFAULT_PAUSE_S),
])  # fmt: skip
def test_every_form_of_retry_after_is_read(text: str, wait_s: float) -> None:
    assert retry_after_s({"retry-after": text}, NOW_S) == wait_s


@given(st.text() | st.integers().map(str) | st.floats().map(str))
def test_no_retry_after_stops_us_or_makes_us_wait_for_ever(text: str) -> None:
    assert 0 <= retry_after_s({"retry-after": text}, NOW_S) <= LONGEST_PAUSE_S


@pytest.mark.parametrize("made", [PAGE, PAGE.upper(), DASHED])
def test_a_failed_answer_that_names_the_page_it_made_is_believed(made: str) -> None:
    error = classify(503, answer("service_unavailable", committed_resource_id=made), {}, NOW_S)

    assert isinstance(error, NotionOutage)
    assert error.sent
    assert error.page_id == DASHED


@pytest.mark.parametrize("made", ["", "CANARY", None, 5, [PAGE]])
def test_what_is_no_id_names_no_page(made: object) -> None:
    error = classify(503, answer("service_unavailable", committed_resource_id=made), {}, NOW_S)

    assert isinstance(error, NotionOutage)
    assert error.page_id is None


@pytest.mark.parametrize("text", [HTML, "", "null", "[]", "7", '"text"', "{", "[" * 100_000, "\ud800", '{"a": 1'])
def test_what_is_no_json_object_is_an_empty_body(text: str) -> None:
    assert parse_body(text) == {}


@given(
    status=st.integers(300, 599),
    body=st.dictionaries(
        st.sampled_from(["code", "message", "additional_data", "status"]),
        junk_json | st.dictionaries(
            st.sampled_from(["rate_limit_reason", "block_limit", "committed_resource_id", "retry_after"]), junk_json
        ),
    ),
)
def test_whatever_comes_is_one_of_our_errors_and_never_a_reason_to_stop(status: int, body: dict[str, Any]) -> None:
    error = classify(status, body, {}, NOW_S)

    assert isinstance(error, SyncError)
    assert not isinstance(error, FatalError)


@given(status=st.integers(300, 599), code=st.sampled_from(["validation_error", "rate_limited", "service_unavailable"]))
def test_no_error_repeats_what_the_answer_said(status: int, code: str) -> None:
    body = json.loads(json.dumps(answer(code, "CANARY", rate_limit_reason="CANARY", block_limit="CANARY", a="CANARY")))

    error = classify(status, body, {"retry-after": "CANARY"}, NOW_S)

    assert "CANARY" not in str(error)
    assert "CANARY" not in repr(error)
    assert "CANARY" not in getattr(error, "reason", "")


@pytest.mark.parametrize(("failed", "kind"), [
    (NotionOutage("down", sent=True), OutcomeUnknown),
    (NotionOutage("no connection", sent=False), NotionOutage),
    (ConflictOnSave("409"), OutcomeUnknown),
    (PageGone("404"), EntityUnavailable),
    (PageTrashed("400"), EntityUnavailable),
    (RateLimited("429", 5.0), RateLimited),
    (SinkUnavailable("401"), SinkUnavailable),
    (PoisonError("notion_validation_error", "400"), PoisonError),
    (EntityUnavailable("409"), EntityUnavailable),
])  # fmt: skip
def test_a_failed_create_is_unknown_unless_it_certainly_did_not_happen(
    failed: SyncError, kind: type[SyncError]
) -> None:
    assert type(create_failed(failed)) is kind


def test_the_page_that_a_failed_create_made_is_passed_on() -> None:
    error = create_failed(classify(503, answer("service_unavailable", committed_resource_id=PAGE), {}, NOW_S))

    assert isinstance(error, OutcomeUnknown)
    assert error.page_id == DASHED
