"""When a row's mapped columns changed last, told from hashes of what the log says of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from state.stamping import (
    NULL,
    SIZE,
    UNKNOWN,
    Change,
    Deleted,
    Known,
    Layout,
    Text,
    Wrote,
    after,
    hash_of,
    times_of,
)

COLUMNS = ("id", "name", "flag", "story")
LAYOUT = Layout.of(COLUMNS)
START = datetime(2026, 1, 1, tzinfo=UTC)

texts: st.SearchStrategy[Text] = st.none() | st.booleans() | st.sampled_from(["", "null", "true", "a", "é🌱"])
rows = st.fixed_dictionaries({"id": st.just("r"), "name": texts, "flag": texts, "story": texts})
partial = st.fixed_dictionaries({"id": st.just("r"), "name": texts, "flag": texts}, optional={"story": texts})


def wrote(values: Mapping[str, Text], hour: int, *, new: bool = False, ours: bool = False) -> Wrote:
    return Wrote("r", LAYOUT.hashes(values), START + timedelta(hours=hour), hour, new, ours)


changes = st.lists(
    st.builds(wrote, partial, st.just(0), new=st.booleans(), ours=st.booleans())
    | st.builds(Deleted, st.just("r"), st.just(START), st.just(0)),
    max_size=6,
).map(lambda found: [change._replace(at=START + timedelta(hours=n), lsn=n) for n, change in enumerate(found, 1)])


def folded(known: Known | None, changes: list[Change], *, per_column: bool = True) -> Known | None:
    for change in changes:
        known = after(known, change, per_column=per_column)
    return known


@given(rows, rows)
def test_rows_have_the_same_hashes_exactly_when_they_print_the_same(
    one: dict[str, Text], other: dict[str, Text]
) -> None:
    def printed(row: dict[str, Text]) -> dict[str, object]:
        return {column: str(held).lower() if isinstance(held, bool) else held for column, held in row.items()}

    assert (LAYOUT.hashes(one) == LAYOUT.hashes(other)) is (printed(one) == printed(other))


def test_null_nothing_and_the_empty_text_are_told_apart() -> None:
    assert len({hash_of(None), hash_of(""), hash_of("null"), UNKNOWN}) == 4
    assert len(NULL) == len(UNKNOWN) == len(hash_of("x" * 100_000)) == SIZE


def test_the_key_is_not_hashed_since_it_names_the_row() -> None:
    values: dict[str, Text] = {"name": "a", "flag": True, "story": None}

    assert LAYOUT.hashes({**values, "id": "r"}) == LAYOUT.hashes({**values, "id": "s"})
    assert len(LAYOUT.hashes(values)) == SIZE * len(COLUMNS)


@given(rows, partial)
def test_a_change_moves_the_time_exactly_when_a_column_that_is_there_differs(
    before: dict[str, Text], now: dict[str, Text]
) -> None:
    known = after(None, wrote(before, 1, new=True), per_column=True)

    found = after(known, wrote(now, 2), per_column=True)

    differing = {column for column, value in now.items() if hash_of(value) != hash_of(before[column])}
    assert (found is known) is (differing == set())
    assert found.changed_at == START + timedelta(hours=2 if differing else 1)
    times = times_of(LAYOUT, found)
    assert times == {
        column: START + timedelta(hours=2 if column in differing else 1) for column in ("name", "flag", "story")
    }


@given(changes)
def test_without_column_times_the_row_is_stamped_alike_and_no_column_is(found: list[Change]) -> None:
    with_columns, without = folded(None, found), folded(None, found, per_column=False)

    assert (without is None) is (with_columns is None)
    if with_columns is not None and without is not None:
        assert without == with_columns._replace(column_times=None)


@given(changes)
def test_no_column_changed_later_than_its_row(found: list[Change]) -> None:
    known = folded(None, found)

    if known is not None and known.changed_at is not None:
        assert all(time <= known.changed_at for time in times_of(LAYOUT, known).values())


@given(changes, st.integers(0, 6))
def test_what_the_app_did_and_is_seen_again_from_any_place_ends_the_same(found: list[Change], place: int) -> None:
    found = [change for change in found if not (isinstance(change, Wrote) and change.ours)]
    once = folded(None, found)

    again = folded(once, found[place:])

    assert again is None or once is None or again._replace(column_times=None) == once._replace(column_times=None)


@given(rows, rows)
def test_what_we_wrote_back_is_known_and_not_new(before: dict[str, Text], now: dict[str, Text]) -> None:
    known = after(None, wrote(before, 1, new=True), per_column=True)

    ours = after(known, wrote(now, 2, ours=True), per_column=True)

    assert ours == known._replace(hashes=LAYOUT.hashes(now))
    assert after(ours, wrote(now, 3), per_column=True) is ours


@given(partial)
def test_an_update_of_a_row_that_nothing_is_known_of_counts_as_a_change(now: dict[str, Text]) -> None:
    found = after(None, wrote(now, 1), per_column=True)

    assert found.changed_at == START + timedelta(hours=1)
    assert times_of(LAYOUT, found).keys() == now.keys() - {"id"}


@given(rows, partial)
def test_a_seeded_row_is_stamped_by_a_change_only(seed: dict[str, Text], now: dict[str, Text]) -> None:
    seeded = Known(LAYOUT.hashes(seed), seeded_lsn=1)

    found = after(seeded, wrote(now, 2), per_column=False)

    differs = any(hash_of(value) != hash_of(seed[column]) for column, value in now.items())
    assert found.changed_at == (START + timedelta(hours=2) if differs else None)


@given(rows)
def test_a_seed_that_was_read_after_the_commit_can_not_tell_what_it_changed(row: dict[str, Text]) -> None:
    seeded = Known(LAYOUT.hashes(row), seeded_lsn=5)

    found = after(seeded, wrote(row, 5), per_column=False)

    assert found.changed_at == START + timedelta(hours=5)
    assert after(found, wrote(row, 6), per_column=False) is found


def test_a_text_that_was_never_seen_is_there_because_it_changed() -> None:
    unseen = after(None, wrote({"id": "r", "name": "a", "flag": None}, 1), per_column=True)

    found = after(unseen, wrote({"id": "r", "name": "a", "flag": None, "story": "long"}, 2), per_column=True)

    assert times_of(LAYOUT, unseen).keys() == {"name", "flag"}
    assert times_of(LAYOUT, found)["story"] == found.changed_at == START + timedelta(hours=2)


@given(rows)
def test_a_deleted_row_keeps_its_time_of_death_only(row: dict[str, Text]) -> None:
    known = after(None, wrote(row, 1, new=True), per_column=True)

    gone = after(known, Deleted("r", START + timedelta(hours=2), 2), per_column=True)
    back = after(gone, wrote(row, 3, new=True), per_column=True)

    assert gone == Known(deleted_at=START + timedelta(hours=2))
    assert (back.changed_at, back.deleted_at) == (START + timedelta(hours=3), None)


@given(rows)
def test_hashes_of_another_mapping_are_not_compared(row: dict[str, Text]) -> None:
    other = Layout.of(("id", "flag", "name", "story"))
    known = after(None, Wrote("r", other.hashes(row), START, 1, new=True), per_column=True)

    found = after(known, wrote(row, 2), per_column=True)

    assert times_of(LAYOUT, known) == {}
    assert set(times_of(LAYOUT, found).values()) == {START + timedelta(hours=2)}
