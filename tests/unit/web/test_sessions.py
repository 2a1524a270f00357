"""Sessions of the dashboard prove themselves, end by themselves, and are worth nothing with another token."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cdc.web.dashboard.sessions import SESSION_S, Session, Sessions

NOW_S = 1_900_000_000.0


def test_a_cookie_gives_its_session_back() -> None:
    sessions = Sessions("token")

    session = sessions.begin("some-id", NOW_S)

    assert sessions.opened(sessions.sealed(session), NOW_S + SESSION_S - 1) == session
    assert Sessions("token").opened(sessions.sealed(session), NOW_S) == session


def test_it_ends_by_itself() -> None:
    sessions = Sessions("token")

    cookie = sessions.sealed(sessions.begin("some-id", NOW_S))

    assert sessions.opened(cookie, NOW_S + SESSION_S) is None


def test_it_ends_when_somebody_signs_out_and_no_other_does() -> None:
    sessions = Sessions("token")
    one, other = sessions.begin("one", NOW_S), sessions.begin("other", NOW_S)

    sessions.end(one, NOW_S)
    sessions.end(sessions.begin("later", NOW_S), NOW_S + 1)

    assert sessions.opened(sessions.sealed(one), NOW_S) is None
    assert sessions.opened(sessions.sealed(other), NOW_S) == other


def test_another_token_knows_neither_session_nor_form() -> None:
    sessions, others = Sessions("token"), Sessions("another")
    session = sessions.begin("some-id", NOW_S)

    assert others.opened(sessions.sealed(session), NOW_S) is None
    assert not others.form_is_ours(session, sessions.form_token(session))


def test_a_form_s_token_is_one_session_s() -> None:
    sessions = Sessions("token")
    one, other = sessions.begin("one", NOW_S), sessions.begin("other", NOW_S)

    assert sessions.form_is_ours(one, sessions.form_token(one))
    assert not sessions.form_is_ours(other, sessions.form_token(one))
    assert sessions.form_token(one) not in sessions.sealed(one)


@given(st.text() | st.from_regex(r"[\w-]{1,9}\.[0-9]{1,12}\.[0-9a-f]{64}", fullmatch=True))
def test_what_somebody_made_up_opens_nothing(cookie: str) -> None:
    assert Sessions("token").opened(cookie, 0.0) is None


@given(st.integers(0, 200), st.characters(max_codepoint=127))
def test_a_cookie_that_was_changed_anywhere_opens_nothing(place: int, letter: str) -> None:
    sessions = Sessions("token")
    cookie = sessions.sealed(Session("some-id", int(NOW_S)))
    changed = cookie[: place % len(cookie)] + letter + cookie[place % len(cookie) + 1 :]

    opened = sessions.opened(changed, 0.0)

    assert (opened is None) == (changed != cookie)


def test_only_the_token_itself_is_admitted() -> None:
    sessions = Sessions("token")

    assert sessions.admits("token")
    assert not any(sessions.admits(given) for given in ("", "toke", "tokens", "TOKEN", "tökén", "\udcff"))
