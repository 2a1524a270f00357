"""What becomes of a page that no row is linked to: the pure decision."""

from __future__ import annotations

from dataclasses import dataclass

from sinks.base import Page
from sinks.mapping.entities import SYSTEM_ID
from state.changes import Key, PageId
from state.links import PageState


@dataclass(frozen=True, slots=True)
class Owner:
    """The row that the page's System ID names: whether it is there and due a page, and how its link stands."""

    key: Key
    due: bool
    state: str | None = None            # of its link; None: it has none
    page_id: PageId | None = None       # of the page it is linked to
    was_its: bool = False               # the page in question was the row's own once: people may have worked on it


@dataclass(frozen=True, slots=True)
class Forget:
    """It is not among our pages (any more): gone, taken away, archived, or in another database."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Its System ID can't be read (a person removed the property): whether it is new or a copy can't be told."""


@dataclass(frozen=True, slots=True)
class Trash:
    """We made it by mistake beside the row's own page, and nobody has touched it."""

    key: Key
    original: PageId


@dataclass(frozen=True, slots=True)
class Adopt:
    """It is the page of a row that has none."""

    key: Key
    instead: bool    # of one that a person took away


@dataclass(frozen=True, slots=True)
class Ask:
    """The row itself is about to find out which page is its own."""

    key: Key


@dataclass(frozen=True, slots=True)
class Flag:
    """A person has to know. `key`: the row concerned, if there is one."""

    kind: str
    action: str
    key: Key | None = None


@dataclass(frozen=True, slots=True)
class Make:
    """A person's new page, of which a row may be made."""


Verdict = Forget | Unreadable | Trash | Adopt | Ask | Flag | Make

COPIED = "page.copied"
UNCLAIMED = "page.unclaimed"


def judge(page: Page | None, owner: Owner | None, *, bot: str | None, may_make: bool) -> Verdict:
    """Return what becomes of the page. `page` is None when it is gone or in none of our databases.

    `owner` is None when the page carries no System ID. A System ID is a hint and never proves whose a page is: a row's
    own page is the one that is linked, whatever others carry its ID. `bot` is None while it is not known who we are in
    Notion: then no page counts as made by us, nor as made by a person.
    """
    if page is None or page.in_trash or page.archived:
        return Forget()
    if SYSTEM_ID.key not in page.values:
        return Unreadable()
    makes_row = may_make and bot is not None and page.created_by not in (None, bot)
    if owner is None:
        return Make() if makes_row else Flag("new", UNCLAIMED)
    match owner.state:
        case PageState.INTENDED | PageState.AMBIGUOUS:
            return Ask(owner.key)
        case PageState.LIVE if owner.page_id is not None:
            untouched = bot is not None and page.created_by == bot and page.edited_by == bot and not owner.was_its
            return Trash(owner.key, owner.page_id) if untouched else Flag("copy", COPIED, owner.key)
        case PageState.TRASHED if owner.due:
            return Flag("copy", COPIED, owner.key)    # the row is back, and takes its own page out of the trash
        case None | PageState.UNLINKED if owner.due:
            return Adopt(owner.key, instead=owner.state is not None)
    return Make() if makes_row else Flag("orphan", UNCLAIMED)
