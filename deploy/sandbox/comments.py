"""Comments on pages and paragraphs: discussions that the connection and persons take part in.

From the documentation: a connection changes and deletes only its own comments, others are 404 to it; a page or a
discussion is named, never both; without the capability to read, a write answers with the id alone. Guesses: deleting
the first comment of a discussion removes the discussion; nothing can be written on a page in the trash, as with any
other edit. Not simulated: markdown, attachments, other display names, resolving a discussion.
"""

from __future__ import annotations

from typing import Any, Final

from deploy.sandbox import listings, rendering, texts
from deploy.sandbox.calls import Call, Desk, route
from deploy.sandbox.checks import known_keys, tagged
from deploy.sandbox.errors import ARCHIVED_TEXT, UNDEFINED, Invalid, Json, NotFound, NotSimulated, unfit
from deploy.sandbox.ids import canonical_uuid
from deploy.sandbox.workspace import Workspace


def add(workspace: Workspace, parent: Json, discussion_id: str, rich_text: list[Json], by: str) -> Json:
    """Store a new comment and return it."""
    now_s = workspace.clock()
    comment: Json = {
        "id": workspace.fresh_id(), "parent": parent, "discussion_id": discussion_id, "rich_text": rich_text,
        "in_trash": False, "shared": None, "created_s": now_s, "created_by": by, "edited_s": now_s, "edited_by": by,
    }  # fmt: skip
    workspace.store.put("comment", comment["id"], comment, by)
    return comment


def remove(workspace: Workspace, comment: Json, by: str) -> None:
    """Delete a comment; with the first one of a discussion goes the discussion."""
    thread = discussion(workspace, comment["discussion_id"])
    for one in thread if thread[0]["id"] == comment["id"] else [comment]:
        workspace.store.delete("comment", one["id"], by)


def discussion(workspace: Workspace, discussion_id: str) -> list[Json]:
    """Return the comments of a discussion, oldest first."""
    return [one for one in workspace.store.all("comment").values() if one["discussion_id"] == discussion_id]


def commented(workspace: Workspace, target_id: str) -> tuple[Json, Json]:
    """Return (the page or paragraph that comments hang on, the parent they get)."""
    for kind in ("page", "block"):
        document = workspace.store.get(kind, target_id)
        if document is not None and workspace.visible(document):
            return document, {"type": f"{kind}_id", f"{kind}_id": target_id}
    raise NotFound("block", target_id)


def refuse_trashed(workspace: Workspace, document: Json) -> None:
    """Raise Notion's error for a comment on something in the trash."""
    if document["in_trash"]:
        raise Invalid(ARCHIVED_TEXT)
    workspace.refuse_under_trash(document)


def shown(workspace: Workspace, comment: Json) -> Json:
    """Return a comment as the API shows it."""
    author = workspace.store.get("user", comment["created_by"]) or {}
    made_and_edited = rendering.stamps(comment)
    return {
        "object": "comment",
        "id": comment["id"],
        "parent": comment["parent"],
        "discussion_id": comment["discussion_id"],
        "created_time": made_and_edited["created_time"],
        "last_edited_time": made_and_edited["last_edited_time"],
        "created_by": made_and_edited["created_by"],
        "rich_text": comment["rich_text"],
        "display_name": {
            "type": "integration" if author.get("type") == "bot" else "user",
            "resolved_name": author.get("name"),
        },
    }


def _create(desk: Desk, call: Call) -> Json:
    workspace, body = desk.workspace, call.body
    known_keys(body, "body", ("parent", "discussion_id", "rich_text", "markdown", "attachments", "display_name"))
    if body.get("attachments") or body.get("display_name"):
        raise NotSimulated("attachments and display names of comments")
    if ("parent" in body) == ("discussion_id" in body):
        raise Invalid("body failed validation: exactly one of body.parent and body.discussion_id should be defined.")
    if "parent" in body:
        kind, raw_id = tagged(body["parent"], "body.parent", ("page_id", "block_id"))
        target, parent = commented(workspace, canonical_uuid(raw_id, f"body.parent.{kind}"))
        discussion_id = workspace.fresh_id()
    else:
        discussion_id = canonical_uuid(body["discussion_id"], "body.discussion_id")
        thread = discussion(workspace, discussion_id)
        if not thread or not workspace.visible(thread[0]):
            raise NotFound("discussion", discussion_id)
        parent = thread[0]["parent"]
        target, _ = commented(workspace, parent[parent["type"]])
    refuse_trashed(workspace, target)
    return _answer(workspace, add(workspace, parent, discussion_id, _text(workspace, body), workspace.bot_id))


def _update(desk: Desk, call: Call) -> Json:
    known_keys(call.body, "body", ("rich_text", "markdown"))
    comment = _own(desk.workspace, call)
    changes = {"rich_text": _text(desk.workspace, call.body)}
    return _answer(desk.workspace, desk.workspace.edit("comment", comment, changes, desk.workspace.bot_id))


def _delete(desk: Desk, call: Call) -> Json:
    comment = _own(desk.workspace, call)
    remove(desk.workspace, comment, desk.workspace.bot_id)
    return _answer(desk.workspace, comment)


def _retrieve(desk: Desk, call: Call) -> Json:
    return shown(desk.workspace, desk.workspace.get("comment", call.id_in_path("comment")))


def _list(desk: Desk, call: Call) -> Json:
    raw_id = call.first("block_id")
    if raw_id is None:
        raise Invalid("query failed validation: query.block_id should be defined, instead was `undefined`.")
    target, _ = commented(desk.workspace, canonical_uuid(raw_id, "query failed validation: query.block_id"))
    found = desk.workspace.children(target["id"], "comment")
    part, cursor = desk.cursors.page(f"comments/{target['id']}", found, call.page_size, call.first("start_cursor"))
    return listings.listed("comment", [shown(desk.workspace, one) for one in part], cursor)


def _own(workspace: Workspace, call: Call) -> Json:
    comment = workspace.get("comment", call.id_in_path("comment"))
    if comment["created_by"] != workspace.bot_id:
        raise NotFound("comment", comment["id"])
    workspace.refuse_under_trash(comment)
    return comment


def _text(workspace: Workspace, body: Json) -> list[Json]:
    if "markdown" in body:
        if "rich_text" in body:
            raise Invalid("body failed validation: exactly one of body.rich_text and body.markdown should be defined.")
        raise NotSimulated("comments in markdown")
    raw: Any = body.get("rich_text", UNDEFINED)
    if raw is UNDEFINED:
        raise unfit("body.rich_text", "defined", UNDEFINED)
    items = texts.parse(raw, "body.rich_text", workspace.name_of)
    if not items:
        raise unfit("body.rich_text", "populated", raw)
    return items


def _answer(workspace: Workspace, comment: Json) -> Json:
    if not workspace.switches.read_comments:
        return {"object": "comment", "id": comment["id"]}
    return shown(workspace, comment)


ROUTES: Final = (
    route("POST", "/v1/comments", "insert_comments", _create),
    route("GET", "/v1/comments", "read_comments", _list),
    route("GET", "/v1/comments/{}", "read_comments", _retrieve),
    route("PATCH", "/v1/comments/{}", "insert_comments", _update),
    route("DELETE", "/v1/comments/{}", "insert_comments", _delete),
)
