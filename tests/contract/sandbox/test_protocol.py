"""Headers, versions, ids and the shape of errors, on the wire."""

from __future__ import annotations

import pytest

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.shapes import NOBODY, OLDER, VERSION, Api, Notion, Table, add_row, text


@pytest.mark.parametrize("token", [None, "ntn_wrong", ""])
async def test_a_request_without_the_token_is_unauthorized(api: Api, token: str | None) -> None:
    answer = await api("GET", "/v1/users/me", token=token)

    assert (answer.status, answer.code, answer.message) == (401, "unauthorized", "API token is invalid.")


async def test_the_version_header_is_required(api: Api) -> None:
    answer = await api("GET", "/v1/users/me", version=None)

    assert (answer.status, answer.code) == (400, "missing_version")
    assert answer.message.endswith("should be defined, instead was `undefined`.")


async def test_other_versions_than_the_two_simulated_are_refused(api: Api) -> None:
    assert (await api("GET", "/v1/users/me", version=OLDER)).status == 200
    answer = await api("GET", "/v1/users/me", version="2022-06-28")

    assert (answer.status, answer.code) == (400, "validation_error")


async def test_every_answer_carries_its_request_id_in_header_and_body(api: Api) -> None:
    for answer in (await api("GET", "/v1/users/me"), await api("GET", "/v1/nothing")):
        assert answer.headers["x-notion-request-id"] == answer.body["request_id"]
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_an_error_has_notions_body(api: Api) -> None:
    answer = await api("GET", f"/v1/pages/{NOBODY}")

    assert answer.status == 404
    assert set(answer.body) == {"object", "status", "code", "message", "request_id"}
    assert answer.body["object"] == "error"
    assert answer.message.startswith(f"Could not find page with ID: {NOBODY}. Make sure the relevant pages")


@pytest.mark.parametrize("raw", [b"{", b'{"a": NaN}', b"\xff\xfe"])
async def test_malformed_json_is_told(api: Api, raw: bytes) -> None:
    answer = await api("POST", "/v1/pages", raw=raw)

    assert (answer.status, answer.code) == (400, "invalid_json")


async def test_a_body_that_is_not_an_object_is_invalid(api: Api) -> None:
    answer = await api("POST", "/v1/pages", raw=b"[]")

    assert (answer.status, answer.code) == (400, "validation_error")


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/nothing"), ("GET", "/"), ("GET", "/v2/users/me")])
async def test_an_unknown_path_is_an_invalid_url(api: Api, method: str, path: str) -> None:
    answer = await api(method, path)

    assert (answer.status, answer.code) == (400, "invalid_request_url")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", f"/v1/blocks/{NOBODY}/children"),
        ("GET", f"/v1/pages/{NOBODY}/markdown"),
        ("GET", f"/v1/data_sources/{NOBODY}/templates"),
    ],
)
async def test_what_is_not_simulated_says_so(api: Api, method: str, path: str) -> None:
    answer = await api(method, path, {})

    assert (answer.status, answer.code) == (400, "validation_error")
    assert answer.message.startswith("not simulated")


async def test_ids_are_accepted_with_and_without_dashes(api: Api, sandbox: Sandbox) -> None:
    for page_id in (sandbox.parent_page_id, sandbox.parent_page_id.replace("-", ""), sandbox.parent_page_id.upper()):
        assert (await api("GET", f"/v1/pages/{page_id}")).body["id"] == sandbox.parent_page_id


async def test_a_bad_id_is_a_validation_error(api: Api) -> None:
    in_path = await api("GET", "/v1/pages/nonsense")
    in_body = await api("POST", "/v1/pages", {"parent": {"data_source_id": "nonsense"}, "properties": {}})

    assert (in_path.status, in_path.code) == (400, "validation_error")
    assert in_body.message == (
        'body failed validation: body.parent.data_source_id should be a valid uuid, instead was `"nonsense"`.'
    )


async def test_unknown_keys_are_refused(api: Api, people_table: Table) -> None:
    bodies = (
        {"parent": {"data_source_id": people_table.source_id}, "properties": {}, "colour": "red"},
        {"parent": {"data_source_id": people_table.source_id, "owner": 1}, "properties": {}},
        {"parent": {"data_source_id": people_table.source_id}, "properties": {"Name": {"title": [], "extra": 1}}},
    )
    for body in bodies:
        answer = await api("POST", "/v1/pages", body)
        assert (answer.status, answer.code) == (400, "validation_error")
        assert "should be not present" in answer.message


async def test_archived_exists_only_before_the_newest_version(api: Api, notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann")
    path = f"/v1/pages/{page['id']}"

    refused = await api("PATCH", path, {"archived": False})
    older = await api("PATCH", path, {"archived": True}, version=OLDER)

    assert refused.message == ("body failed validation: body.archived should be not present, instead was `false`.")
    assert (older.status, older.body["archived"], older.body["in_trash"]) == (200, True, True)
    newest = await api("GET", path, version=VERSION)
    assert (newest.body["in_trash"], "archived" in newest.body) == (True, False)


async def test_a_missing_part_is_named_by_its_path(api: Api) -> None:
    answer = await api("POST", "/v1/pages", {"properties": {}})

    assert answer.message == "body failed validation: body.parent should be defined, instead was `undefined`."


async def test_a_payload_over_500_kb_is_refused(api: Api, people_table: Table) -> None:
    body = {
        "parent": {"data_source_id": people_table.source_id},
        "properties": {"System ID": {"rich_text": text("x" * 2000) * 100}, "Name": {"title": text("y" * 2000) * 100}},
    }
    assert (await api("POST", "/v1/pages", body)).status == 200

    body["children"] = [{"paragraph": {"rich_text": text("z" * 2000)}}] * 50
    answer = await api("POST", "/v1/pages", body)

    assert (answer.status, answer.code) == (400, "validation_error")
    assert "500000" in answer.message


async def test_users_me_is_the_bot_and_persons_are_others(sandbox: Sandbox, notion: Notion) -> None:
    me = await notion.users.me()
    users = await notion.users.list()
    person_id = sandbox.state.person("Tom Baker")["id"]
    tom = await notion.users.retrieve(person_id)

    assert (me["id"], me["type"]) == (sandbox.state.bot_id, "bot")
    assert me["bot"]["workspace_id"] == sandbox.state.workspace_id
    assert [user["type"] for user in users["results"]] == ["bot", "person", "person", "person"]
    assert (tom["name"], tom["person"]["email"]) == ("Tom Baker", "tom.baker@example.org")
    sandbox.switches.user_emails = False
    assert (await notion.users.retrieve(person_id))["person"] == {}
