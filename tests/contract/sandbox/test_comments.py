"""Comments: what the connection may write, what it sees of persons', and what it lacks a capability for.

Source: Notion's "Working with comments" page and the reference of the comment endpoints.
"""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.receiver import Receiver, settled
from tests.contract.sandbox.shapes import NOBODY, Api, Clock, Json, Notion, Table, add_row, text

REFUSED = "API token does not have access to this resource."


@pytest.fixture
async def page(notion: Notion, people_table: Table) -> str:
    """The id of a row."""
    return str((await add_row(notion, people_table, "Ann"))["id"])


async def say(api: Api, page: str, words: str = "hello") -> Json:
    answer = await api("POST", "/v1/comments", {"parent": {"page_id": page}, "rich_text": text(words)})
    assert answer.status == 200, answer.text
    return answer.body


async def heard(api: Api, target: str, query: str = "") -> list[Json]:
    """Return the comments that the API lists."""
    answer = await api("GET", f"/v1/comments?block_id={target}{query}")
    assert answer.status == 200, answer.text
    results: list[Json] = answer.body["results"]
    return results


def words(comments: list[Json]) -> list[str]:
    return ["".join(item["plain_text"] for item in one["rich_text"]) for one in comments]


async def test_the_connection_comments_and_reads_it_back(
    sandbox: Sandbox, api: Api, notion: Notion, page: str, clock: Clock
) -> None:
    made = await say(api, page, "Put back: the e-mail is MapAble's.")

    made.pop("request_id")
    assert made["object"] == "comment"
    assert made["parent"] == {"type": "page_id", "page_id": page}
    assert made["created_by"] == {"object": "user", "id": sandbox.state.bot_id}
    assert made["created_time"] == made["last_edited_time"] == "2026-09-21T14:13:00.000Z"
    assert made["display_name"] == {"type": "integration", "resolved_name": "Sandbox connection"}
    assert await heard(api, page) == [made]
    retrieved = (await api("GET", f"/v1/comments/{made['id']}")).body
    retrieved.pop("request_id")
    assert retrieved == made
    assert (await notion.comments.list(block_id=page))["results"] == [made]


async def test_persons_and_the_connection_talk_in_one_discussion(sandbox: Sandbox, api: Api, page: str) -> None:
    first = await say(api, page, "Which of the two?")
    sandbox.people.comment(page, "The first one.", discussion=first["discussion_id"], person="Tom Baker")
    sandbox.people.comment(page, "Something else.", person="Mei Chen")

    answer = await api("POST", "/v1/comments", {"discussion_id": first["discussion_id"], "rich_text": text("Thanks.")})

    assert answer.status == 200
    listed = await heard(api, page)
    assert words(listed) == ["Which of the two?", "The first one.", "Something else.", "Thanks."]
    assert [one["discussion_id"] == first["discussion_id"] for one in listed] == [True, True, False, True]
    assert listed[1]["created_by"]["id"] == sandbox.state.person("Tom Baker")["id"]
    assert listed[1]["display_name"] == {"type": "user", "resolved_name": "Tom Baker"}
    assert [one["author"] for one in sandbox.people.comments(page)] == [
        "Sandbox connection", "Tom Baker", "Mei Chen", "Sandbox connection",
    ]  # fmt: skip


async def test_a_comment_is_no_edit_of_the_page(
    sandbox: Sandbox, api: Api, notion: Notion, page: str, clock: Clock
) -> None:
    before = await notion.pages.retrieve(page)
    clock.move(300)

    await say(api, page)
    sandbox.people.comment(page, "hi")

    after = await notion.pages.retrieve(page)
    assert {**after, "request_id": None} == {**before, "request_id": None}


async def test_a_paragraph_has_comments_of_its_own(sandbox: Sandbox, api: Api, page: str) -> None:
    block = sandbox.people.add_text(page, "a paragraph")

    answer = await api("POST", "/v1/comments", {"parent": {"block_id": block}, "rich_text": text("here")})

    assert answer.body["parent"] == {"type": "block_id", "block_id": block}
    assert words(await heard(api, block)) == ["here"]
    assert await heard(api, page) == []


async def test_the_connection_changes_and_deletes_its_own_comments_only(sandbox: Sandbox, api: Api, page: str) -> None:
    mine = await say(api, page)
    theirs = sandbox.people.comment(page, "mine")

    changed = await api("PATCH", f"/v1/comments/{mine['id']}", {"rich_text": text("better")})
    for method, body in (("PATCH", {"rich_text": text("x")}), ("DELETE", None)):
        refused = await api(method, f"/v1/comments/{theirs}", body)
        assert (refused.status, refused.code) == (404, "object_not_found")
    deleted = await api("DELETE", f"/v1/comments/{mine['id']}")

    assert (changed.status, words([changed.body])) == (200, ["better"])
    assert (deleted.status, deleted.body["id"]) == (200, mine["id"])
    assert words(await heard(api, page)) == ["mine"]
    assert (await api("GET", f"/v1/comments/{mine['id']}")).status == 404


async def test_with_its_first_comment_a_discussion_goes(sandbox: Sandbox, api: Api, page: str) -> None:
    first = await say(api, page)
    sandbox.people.comment(page, "answer", discussion=first["discussion_id"])

    await api("DELETE", f"/v1/comments/{first['id']}")

    assert await heard(api, page) == []
    gone = await api("POST", "/v1/comments", {"discussion_id": first["discussion_id"], "rich_text": text("x")})
    assert (gone.status, gone.code) == (404, "object_not_found")


async def test_a_persons_removed_comment_is_gone(sandbox: Sandbox, api: Api, page: str) -> None:
    comment = sandbox.people.comment(page, "oops")

    sandbox.people.remove_comment(comment)

    assert await heard(api, page) == []
    with pytest.raises(LookupError):
        sandbox.people.remove_comment(comment)


async def test_long_lists_come_in_pages(sandbox: Sandbox, api: Api, page: str) -> None:
    for number in range(5):
        sandbox.people.comment(page, str(number))

    first = (await api("GET", f"/v1/comments?block_id={page}&page_size=3")).body
    rest = await heard(api, page, f"&page_size=3&start_cursor={first['next_cursor']}")

    assert (first["object"], first["type"], first["has_more"]) == ("list", "comment", True)
    assert words(first["results"]) + words(rest) == ["0", "1", "2", "3", "4"]


BAD: dict[str, tuple[Any, int]] = {
    "neither parent nor discussion": ({"rich_text": text("x")}, 400),
    "both": ({"parent": {"page_id": "PAGE"}, "discussion_id": NOBODY, "rich_text": text("x")}, 400),
    "no text": ({"parent": {"page_id": "PAGE"}}, 400),
    "an empty text": ({"parent": {"page_id": "PAGE"}, "rich_text": []}, 400),
    "too long an item": ({"parent": {"page_id": "PAGE"}, "rich_text": text("🙂" * 1001)}, 400),
    "too many items": ({"parent": {"page_id": "PAGE"}, "rich_text": text("x") * 101}, 400),
    "an unknown key": ({"parent": {"page_id": "PAGE"}, "rich_text": text("x"), "colour": "red"}, 400),
    "a bad id": ({"parent": {"page_id": "nobody"}, "rich_text": text("x")}, 400),
    "an unknown page": ({"parent": {"page_id": NOBODY}, "rich_text": text("x")}, 404),
    "an unknown discussion": ({"discussion_id": NOBODY, "rich_text": text("x")}, 404),
    "an attachment": ({"parent": {"page_id": "PAGE"}, "rich_text": text("x"), "attachments": [{}]}, 400),
}


@pytest.mark.parametrize(("body", "status"), BAD.values(), ids=BAD)
async def test_a_bad_comment_is_refused(api: Api, page: str, body: Json, status: int) -> None:
    if "page_id" in body.get("parent", {}):
        body = {**body, "parent": {"page_id": body["parent"]["page_id"].replace("PAGE", page)}}

    answer = await api("POST", "/v1/comments", body)

    assert answer.status == status
    assert answer.code == ("object_not_found" if status == 404 else "validation_error")
    assert await heard(api, page) == []


async def test_nobody_comments_on_what_is_in_the_trash(sandbox: Sandbox, api: Api, page: str) -> None:
    comment = await say(api, page)
    sandbox.people.trash(page)

    refused = await api("POST", "/v1/comments", {"parent": {"page_id": page}, "rich_text": text("x")})

    assert (refused.status, refused.code) == (400, "validation_error")
    assert (await api("PATCH", f"/v1/comments/{comment['id']}", {"rich_text": text("x")})).status == 400


async def test_comments_of_a_page_that_is_not_shared_are_not_there(sandbox: Sandbox, api: Api, page: str) -> None:
    comment = await say(api, page)
    sandbox.people.unshare(page)

    for method, path, body in (
        ("GET", f"/v1/comments?block_id={page}", None),
        ("GET", f"/v1/comments/{comment['id']}", None),
        ("POST", "/v1/comments", {"discussion_id": comment["discussion_id"], "rich_text": text("x")}),
        ("DELETE", f"/v1/comments/{comment['id']}", None),
    ):
        assert (await api(method, path, body)).status == 404, (method, path)


async def test_without_the_capability_to_comment_writing_is_refused(sandbox: Sandbox, api: Api, page: str) -> None:
    comment = await say(api, page)
    sandbox.switches.update({"insert_comments": False})

    for method, path, body in (
        ("POST", "/v1/comments", {"parent": {"page_id": page}, "rich_text": text("x")}),
        ("PATCH", f"/v1/comments/{comment['id']}", {"rich_text": text("x")}),
        ("DELETE", f"/v1/comments/{comment['id']}", None),
    ):
        answer = await api(method, path, body)
        assert (answer.status, answer.code, answer.message) == (403, "restricted_resource", REFUSED)
    assert words(await heard(api, page)) == ["hello"]


async def test_without_the_capability_to_read_comments_a_write_tells_its_id_alone(
    sandbox: Sandbox, api: Api, page: str
) -> None:
    sandbox.switches.update({"read_comments": False})

    made = await say(api, page)

    assert set(made) == {"object", "id", "request_id"}
    assert [one["text"] for one in sandbox.people.comments(page)] == ["hello"]
    for path in (f"/v1/comments?block_id={page}", f"/v1/comments/{made['id']}"):
        assert (await api("GET", path)).code == "restricted_resource"


async def test_comments_are_told_one_by_one_with_their_page(
    sandbox: Sandbox, api: Api, hook: Receiver, page: str
) -> None:
    await settled(sandbox)
    hook.forget()
    block = sandbox.people.add_text(page, "a paragraph")
    mine = await say(api, page)
    await api("PATCH", f"/v1/comments/{mine['id']}", {"rich_text": text("better")})
    theirs = sandbox.people.comment(page, "hi", person="Tom Baker")
    sandbox.people.remove_comment(theirs, person="Tom Baker")
    await api("POST", "/v1/comments", {"parent": {"block_id": block}, "rich_text": text("here")})

    await settled(sandbox)
    told = [event for event in hook.events if event["entity"]["type"] == "comment"]
    kinds = [event["type"] for event in told]
    assert sorted(kinds) == sorted(["comment.created"] * 3 + ["comment.updated", "comment.deleted"])
    assert {event["data"]["page_id"] for event in told} == {page}
    (deleted,) = [event for event in told if event["type"] == "comment.deleted"]
    assert deleted["authors"] == [{"id": sandbox.state.person("Tom Baker")["id"], "type": "person"}]
    assert deleted["data"]["parent"] == {"id": page, "type": "page"}
    assert {"id": block, "type": "block"} in [event["data"]["parent"] for event in told]


async def test_without_the_capability_to_read_comments_none_is_told(
    sandbox: Sandbox, hook: Receiver, page: str
) -> None:
    await settled(sandbox)
    hook.forget()
    sandbox.switches.update({"read_comments": False})

    sandbox.people.comment(page, "hi")

    await settled(sandbox)
    assert hook.received == []


async def test_a_persons_comments_over_the_control_api(sandbox: Sandbox, api: Api, page: str) -> None:
    async with aiohttp.ClientSession(sandbox.url) as session:

        async def act(action: str, **arguments: Any) -> tuple[int, Any]:
            async with session.post(f"/sandbox/people/{action}", json=arguments) as answer:
                return answer.status, await answer.json()

        where = {"database": "Participants", "where": {"Name": "Ann"}}
        status, made = await act("comment", **where, text="hi", person="Tom Baker")
        assert status == 200
        async with session.get(f"/sandbox/pages/{page}/comments") as answer:
            (shown,) = await answer.json()
        assert (shown["id"], shown["text"], shown["author"]) == (made["id"], "hi", "Tom Baker")
        assert (await act("comment", page=page, text="hi", discussion=NOBODY))[0] == 400
        assert (await act("remove_comment", comment=made["id"]))[0] == 200
    assert await heard(api, page) == []
