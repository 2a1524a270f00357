"""What is read off the wire to Postgres: which statements a message makes durable."""

from __future__ import annotations

from tests.chaos.talk import ACKNOWLEDGED, Frames, Talk

IDLE = b"I"
OPEN = b"T"


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def query(text: str) -> bytes:
    return message(b"Q", text.encode() + b"\0")


def ready(state: bytes) -> bytes:
    return message(b"Z", state)


def test_a_statement_outside_of_a_transaction_is_durable_by_itself() -> None:
    talk = Talk()

    assert talk.out(query("delete from work")) == ("delete from work ",)
    assert talk.out(query("select 1 from work for update")) == ()


def test_a_transaction_is_durable_with_its_commit_and_one_rolled_back_never() -> None:
    talk = Talk()
    talk.out(query("BEGIN"))
    talk.back(ready(OPEN))

    assert talk.out(query("insert into work values (1)")) == ()
    talk.back(ready(OPEN))
    assert talk.out(query("COMMIT")) == ("insert into work values (1) ",)
    talk.back(ready(IDLE))
    talk.out(query("BEGIN"))
    talk.back(ready(OPEN))
    talk.out(query("delete from work"))
    talk.out(query("ROLLBACK"))
    talk.back(ready(IDLE))
    assert talk.out(query("COMMIT")) == ()


def test_a_prepared_statement_is_known_by_its_name_and_its_values_follow_it() -> None:
    talk = Talk()
    talk.out(message(b"P", b"one\0update work set gen = $1\0\0\0"))

    (said,) = talk.out(message(b"B", b"\0one\0\0\0\0\1\0\0\0\4abcd\0\0"))

    assert said.startswith("update work set gen = $1 ")
    assert "abcd" in said


def test_the_log_is_acknowledged_when_the_position_moves_only() -> None:
    talk, at = Talk(), (77).to_bytes(8, "big")
    status = message(b"d", b"r" + bytes(8) + at + bytes(17))

    assert talk.out(message(b"d", b"r" + bytes(33))) == ()
    assert talk.out(status) == (ACKNOWLEDGED,)
    assert talk.out(status) == ()


def test_messages_are_found_however_the_bytes_are_cut() -> None:
    messages = [query("select 1"), ready(IDLE), query("delete from work")]
    stream, frames = b"".join(messages), Frames()

    found = [one for at in range(len(stream)) for one in frames.split(stream[at : at + 1])]

    assert found == messages
