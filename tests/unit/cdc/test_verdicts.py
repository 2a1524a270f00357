"""What becomes of a page that no row is linked to: a table, and a row's own page is never in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cdc.watch.verdicts import (
    COPIED,
    UNCLAIMED,
    Adopt,
    Ask,
    Flag,
    Forget,
    Make,
    Owner,
    Trash,
    Unreadable,
    Verdict,
    judge,
)
from sinks.base import Page
from state.changes import Key, PageId
from state.links import PageState

BOT, ANN = "bot", "ann"
R1 = Key("risk", "r1")
OTHER = PageId("other")

typed = Page(PageId("p"), "source", "r1", {"systemId": "r1"}, False, None, ANN, None, created_by=ANN)
ours = replace(typed, created_by=BOT, edited_by=BOT)
new = replace(typed, system_id=None, values={"systemId": None})
unreadable = replace(new, values={})


def owner(state: PageState | None = None, *, due: bool = True) -> Owner:
    return Owner(R1, due, state, None if state in (None, PageState.INTENDED, PageState.AMBIGUOUS) else OTHER)


@pytest.mark.parametrize(
    ("page", "named", "verdict"),
    [
        (None, None, Forget()),
        (replace(new, in_trash=True), None, Forget()),
        (replace(ours, archived=True), owner(PageState.LIVE), Forget()),
        (unreadable, None, Unreadable()),
        (replace(unreadable, in_trash=True), None, Forget()),
        (new, None, Flag("new", UNCLAIMED)),
        (typed, owner(due=False), Flag("orphan", UNCLAIMED)),
        (typed, owner(PageState.TRASHED, due=False), Flag("orphan", UNCLAIMED)),
        (typed, owner(PageState.UNLINKED, due=False), Flag("orphan", UNCLAIMED)),
        (typed, owner(), Adopt(R1, instead=False)),
        (ours, owner(), Adopt(R1, instead=False)),
        (typed, owner(PageState.UNLINKED), Adopt(R1, instead=True)),
        (typed, owner(PageState.INTENDED), Ask(R1)),
        (ours, owner(PageState.AMBIGUOUS, due=False), Ask(R1)),
        (typed, owner(PageState.LIVE), Flag("copy", COPIED, R1)),
        (typed, owner(PageState.LIVE, due=False), Flag("copy", COPIED, R1)),
        (typed, owner(PageState.TRASHED), Flag("copy", COPIED, R1)),
        (ours, owner(PageState.LIVE), Trash(R1, OTHER)),
        (ours, replace(owner(PageState.LIVE), was_its=True), Flag("copy", COPIED, R1)),
        (replace(ours, edited_by=ANN), owner(PageState.LIVE), Flag("copy", COPIED, R1)),
        (replace(ours, created_by=ANN), owner(PageState.LIVE), Flag("copy", COPIED, R1)),
        (replace(ours, created_by=None), owner(PageState.LIVE), Flag("copy", COPIED, R1)),
    ],
)
def test_a_page_is_judged(page: Page | None, named: Owner | None, verdict: Verdict) -> None:
    assert judge(page, named, bot=BOT, may_make=False) == verdict


@pytest.mark.parametrize(
    ("page", "named", "verdict"),
    [
        (new, None, Make()),
        (unreadable, None, Unreadable()),
        (typed, owner(due=False), Make()),
        (typed, owner(PageState.TRASHED, due=False), Make()),
        (typed, owner(), Adopt(R1, instead=False)),
        (typed, owner(PageState.LIVE), Flag("copy", COPIED, R1)),
        (replace(new, created_by=BOT), None, Flag("new", UNCLAIMED)),
        (replace(new, created_by=None), None, Flag("new", UNCLAIMED)),
        (ours, owner(due=False), Flag("orphan", UNCLAIMED)),
    ],
)
def test_where_rows_may_be_made_only_a_persons_page_makes_one(
    page: Page, named: Owner | None, verdict: Verdict
) -> None:
    assert judge(page, named, bot=BOT, may_make=True) == verdict


@pytest.mark.parametrize("page", [new, ours, typed])
@pytest.mark.parametrize("state", [None, PageState.LIVE])
def test_while_it_is_not_known_who_we_are_nothing_is_made_nor_trashed(page: Page, state: PageState | None) -> None:
    named = owner(state) if page.system_id is not None else None

    assert not isinstance(judge(page, named, bot=None, may_make=True), Make | Trash)
