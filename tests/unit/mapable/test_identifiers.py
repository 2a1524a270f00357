"""Ids of rows made here look like the application's own and never repeat."""

from __future__ import annotations

import re

from sinks.mapable.identifiers import fresh_id


def test_an_id_has_the_form_of_a_cuid() -> None:
    assert all(re.fullmatch(r"c[0-9a-z]{24}", fresh_id()) for _ in range(1_000))


def test_ids_do_not_repeat_and_use_every_digit_everywhere() -> None:
    made = {fresh_id() for _ in range(10_000)}

    assert len(made) == 10_000
    assert all(len({one[place] for one in made}) == 36 for place in range(1, 25))
