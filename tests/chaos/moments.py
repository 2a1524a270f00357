"""Moments to die at: every step that makes something durable, right before and right after it, by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from deploy.sandbox.requestlog import Request
from tests.chaos.talk import ACKNOWLEDGED

KILLS: Final = (
    "anywhere", "before a write is saved", "after a write is saved", "after a page is made", "before a commit",
    "after a commit",
)
"""The moments of random kills; a commit is any of the sidecar's or of MapAble's rows."""
_PAGE: Final = "/v1/pages/[^/]+"


@dataclass(frozen=True, slots=True)
class Step:
    """One durable step. `said`: what its transaction holds; `asked`: method, path and a part of the body of a request.

    `by`: what makes the service come to it, a method of `provoking.Provoking`.
    """

    name: str
    by: str
    said: tuple[str, ...] = ()
    asked: tuple[str, str, str] | None = None

    def is_said(self, durable: tuple[str, ...]) -> bool:
        """Whether it is the step that becomes durable."""
        return bool(self.said) and all(any(part in one for one in durable) for part in self.said)

    def is_asked(self, request: Request) -> bool:
        """Whether it is this request to Notion."""
        if self.asked is None:
            return False
        method, path, part = self.asked
        return request.method == method and re.fullmatch(path, request.path) is not None and part in str(request.body)


STEPS: Final[tuple[Step, ...]] = (
    # the one that is active
    Step("the leader is named", "start_again", ("where name = 'leader'",)),
    Step("leases are taken over", "start_again", ("with held as",)),
    # the slot
    Step("a comparison is noted as due", "lose_the_slot", ("insert into setting", "marking_due", "true")),
    Step("the slot is made", "lose_the_slot", ("CREATE_REPLICATION_SLOT",)),
    Step("the slot's beginning is stored", "lose_the_slot", ("insert into stream_position",)),
    Step("a marking is begun", "lose_the_slot", ("insert into marking",)),
    Step("a part is marked", "lose_the_slot", ("update marking set phase",)),
    Step("a marking is over", "lose_the_slot", ("delete from marking",)),
    # capture
    Step("changes are marked", "change_a_row", ("insert into work", "insert into stream_position")),
    Step("how far is noted", "change_nothing_known", ("setval('acknowledged'",)),
    Step("the log is acknowledged", "change_a_row", (ACKNOWLEDGED,)),
    # a row goes to its page
    Step("a key is claimed", "change_a_row", ("fence = nextval('work_fence')",)),
    Step("a page is intended", "insert_a_row", ('"pageState", "intendedAt", pushing)',)),
    Step("a page is made", "insert_a_row", asked=("POST", "/v1/pages", "")),
    Step("a made page is linked", "insert_a_row", ("insert into audit_log", "page.created")),
    Step("a write is noted", "change_a_row", ("set pushing =",)),
    Step("a page is written", "change_a_row", asked=("PATCH", _PAGE, "properties")),
    Step("a written page is settled", "change_a_row", ("insert into audit_log", "page.updated")),
    Step("what is equal is cleared", "change_what_is_not_shown", ("delete from work",)),
    # creates whose outcome is not known
    Step("a found page is adopted", "lose_the_answer_of_a_create", ("page.adopted",)),
    Step("an intent is dropped", "lose_a_create", ('delete from "NotionSyncMapping"',)),
    Step("a lost answer is made up for", "lose_the_answer_of_a_write", ("page.updated", "answer")),
    # relations and names
    Step("a relation waits", "insert_child_first", ("insert into pending_relation",)),
    Step("who waited is marked", "insert_child_first", ("delete from pending_relation", "insert into work")),
    Step("a name is marked on", "rename_a_manager", ("update lookup_seen", "delete from work")),
    # deletes
    Step("a delete is counted", "delete_a_row", ("insert into deletion",)),
    Step("a page is trashed", "delete_a_row", asked=("PATCH", _PAGE, "'in_trash': True")),
    Step("a tombstone is stored", "delete_a_row", ("page.trashed",)),
    Step("a page is taken out of the trash", "bring_a_row_back", asked=("PATCH", _PAGE, "'in_trash': False")),
    Step("a page that is back is linked", "bring_a_row_back", ("page.restored",)),
    # a page goes to its row
    Step("an event is kept", "edit_a_page", ("insert into inbox", "insert into work")),
    Step("a row is written", "edit_a_page", ('update "public".',)),
    Step("a row is made", "make_a_page", ('insert into "public".',)),
    Step("a made row's page is named", "make_a_page", asked=("PATCH", _PAGE, "properties")),
    Step("a page is judged", "make_half_a_page", ("insert into stray_page",)),
    Step("a page is unlinked", "trash_a_page", ("page.trashed_by_person",)),
    Step("a page is linked again", "trash_and_restore_a_page", ("page.linked_again",)),
    # people are told
    Step("a rivalry is decided", "edit_on_both_sides", ("conflict.decided",)),
    Step("an edit is refused", "edit_what_is_kept", ("edit.refused",)),
    Step("an edit is put back", "edit_what_is_kept", asked=("PATCH", _PAGE, "properties")),
    Step("what was put back is told", "edit_what_is_kept", ("edit.put_back", "insert into explanation")),
    Step("a comment is begun", "edit_what_is_kept", ("update explanation set", "begun_at = coalesce")),
    Step("a comment is made", "edit_what_is_kept", asked=("POST", "/v1/comments", "")),
    Step("a comment is done", "edit_what_is_kept", ("comment.written",)),
    # looking
    Step("a look is over", "edit_a_page", ("insert into look", "edited_until")),
    Step("a sweep is over", "sweep", ("insert into look", "swept_at")),
    # databases
    Step("an option is put back", "remove_an_option", asked=("PATCH", "/v1/data_sources/.*", "")),
)
MANUAL_STEPS: Final[tuple[Step, ...]] = (
    Step("a conflict is opened", "edit_on_both_sides", ("insert into conflict", "conflict.opened")),
    Step("a conflict is written down", "edit_on_both_sides", ("insert into conflict", "insert into explanation")),
)
"""Those that only `manual-review` comes to."""


def is_commit(durable: tuple[str, ...]) -> bool:
    """Whether something other than how far the log may go becomes durable."""
    return durable != (ACKNOWLEDGED,)
