"""A webhook is Notion's when its one signature is that of the very bytes that came."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.web.auth import admitted
from cdc.web.signature import digest_in, signed


@given(st.binary(max_size=500), st.text("abc_", min_size=1))
def test_a_signature_of_the_same_bytes_and_token_holds_and_no_other(raw: bytes, token: str) -> None:
    digest = hmac.new(token.encode(), raw, hashlib.sha256).hexdigest()

    assert signed(digest, raw, token)
    assert not signed(digest, raw + b" ", token)
    assert not signed(digest, raw, token + "x")


def test_the_one_well_formed_header_is_read() -> None:
    assert digest_in(["sha256=" + "AB" * 32]) == "ab" * 32


@pytest.mark.parametrize(
    "headers",
    [
        [], [""], ["sha256="], ["ab" * 32], ["sha256=" + "ab" * 31], ["sha256=" + "ab" * 33], ["sha1=" + "ab" * 32],
        ["sha256=" + "xy" * 32], ["sha256=" + "ab" * 32 + "\n"], [" sha256=" + "ab" * 32],
        ["sha256=" + "ab" * 32, "sha256=" + "ab" * 32], ["sha256=" + "ab" * 32 + ", sha256=" + "ab" * 32],
        ["sha256=" + "é" * 64], ["sha256=" + "٣" * 64],
    ],
)  # fmt: skip
def test_every_other_header_is_none(headers: list[str]) -> None:
    assert digest_in(headers) is None


@pytest.mark.parametrize(
    ("headers", "let_in"),
    [
        (["Bearer right"], True), (["bearer right"], True), (["Bearer  right "], True),
        ([], False), ([""], False), (["right"], False), (["Basic right"], False), (["Bearer"], False),
        (["Bearer "], False), (["Bearer wrong"], False), (["Bearer right x"], False), (["Bearer righté"], False),
        (["Bearer \udcff"], False), (["Bearer right", "Bearer right"], False),
    ],
)  # fmt: skip
def test_only_the_one_right_bearer_token_is_let_in(headers: list[str], let_in: bool) -> None:
    assert admitted(headers, "right") is let_in
