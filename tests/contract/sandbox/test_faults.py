"""What goes wrong: scripted faults before and after the commit, the rate window, conflicts, outages."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from notion_client import APIResponseError

from deploy.sandbox.faults import STATUSES
from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.shapes import TOKEN, Answer, Api, Clock, Json, Notion, Table, add_row, text


def new_page(table: Table, name: str = "Ann") -> Json:
    return {"parent": {"data_source_id": table.source_id}, "properties": {"Name": {"title": text(name)}}}


@pytest.mark.parametrize("kind", [kind for kind in STATUSES if kind != "502"])
async def test_a_fault_before_the_commit_answers_and_changes_nothing(
    sandbox: Sandbox, api: Api, people_table: Table, kind: str
) -> None:
    fault = sandbox.faults.script(method="POST", path_pattern="/v1/pages", kind=kind, when="before", times=1)

    answer = await api("POST", "/v1/pages", new_page(people_table))

    assert (answer.status, answer.code) == (int(kind), STATUSES[kind][0])
    assert answer.body["request_id"] == answer.headers["x-notion-request-id"]
    assert sandbox.people.rows("Participants") == []
    assert fault.applied == 1
    assert (await api("POST", "/v1/pages", new_page(people_table))).status == 200
    assert [request.fault for request in sandbox.requests.select("POST", "/v1/pages")] == [f"{kind} before", None]


async def test_a_bad_gateway_is_html(sandbox: Sandbox, api: Api) -> None:
    sandbox.faults.script(kind=502)

    answer = await api("GET", "/v1/users/me")

    assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (502, "text/html")
    assert "<html>" in answer.text


@pytest.mark.parametrize("kind", ["500", "502", "503", "504", "malformed"])
async def test_a_fault_after_the_commit_has_made_the_page(
    sandbox: Sandbox, api: Api, people_table: Table, kind: str
) -> None:
    sandbox.faults.script(method="POST", path_pattern="/v1/pages", kind=kind, when="after")

    answer = await api("POST", "/v1/pages", new_page(people_table))

    assert answer.status == (200 if kind == "malformed" else int(kind))
    made = sandbox.people.rows("Participants")
    assert [row["properties"]["Name"] for row in made] == ["Ann"]
    assert sandbox.requests.select("POST", "/v1/pages")[0].object_id == made[0]["id"]


@pytest.mark.parametrize("with_committed_id", [True, False])
async def test_a_503_after_the_commit_guides_the_client(
    sandbox: Sandbox, api: Api, people_table: Table, with_committed_id: bool
) -> None:
    sandbox.faults.script(method="POST", kind=503, when="after", with_committed_id=with_committed_id)

    told = (await api("POST", "/v1/pages", new_page(people_table))).body["additional_data"]

    made = sandbox.people.rows("Participants")[0]["id"]
    assert told.get("committed_resource_id") == (made if with_committed_id else None)
    assert "Do not repeat the write." in told["retry_guidance"]
    sandbox.faults.script(method="PATCH", kind=503, when="after")
    patched = await api("PATCH", f"/v1/pages/{made}", {"properties": {"Budget": {"number": 1}}})
    assert "committed_resource_id" not in patched.body["additional_data"]
    assert sandbox.people.row(made)["properties"]["Budget"] == 1


@pytest.mark.parametrize(("when", "rows"), [("before", 0), ("after", 1)])
async def test_a_reset_breaks_the_connection(
    sandbox: Sandbox, api: Api, people_table: Table, when: str, rows: int
) -> None:
    sandbox.faults.script(method="POST", path_pattern="/v1/pages", kind="reset", when=when)

    with pytest.raises(aiohttp.ClientError):
        await api("POST", "/v1/pages", new_page(people_table))

    assert len(sandbox.people.rows("Participants")) == rows


@pytest.mark.parametrize(("when", "rows"), [("before", 0), ("after", 1)])
async def test_a_timeout_never_answers(sandbox: Sandbox, api: Api, people_table: Table, when: str, rows: int) -> None:
    sandbox.faults.script(method="POST", path_pattern="/v1/pages", kind="timeout", when=when)

    with pytest.raises(TimeoutError):
        await api("POST", "/v1/pages", new_page(people_table), timeout_s=0.2)

    assert len(sandbox.people.rows("Participants")) == rows
    assert sandbox.requests.select("POST", "/v1/pages")[0].status is None


async def test_a_slow_request_is_answered_late(sandbox: Sandbox, api: Api, people_table: Table) -> None:
    sandbox.faults.script(method="POST", path_pattern="/v1/pages", kind="slow", when="after", delay_s=5.0)

    task = asyncio.create_task(api("POST", "/v1/pages", new_page(people_table)))
    await sandbox.wait_for(lambda: sandbox.people.rows("Participants"))

    assert not task.done()
    task.cancel()


async def test_latency_delays_the_commit(sandbox: Sandbox, api: Api, people_table: Table) -> None:
    sandbox.switches.latency_s = 0.05

    task = asyncio.create_task(api("POST", "/v1/pages", new_page(people_table)))
    await sandbox.wait_for(lambda: sandbox.count("POST", "/v1/pages"))

    assert sandbox.people.rows("Participants") == []
    assert (await task).status == 200


async def test_scripts_count_skip_and_match(sandbox: Sandbox, api: Api, people_table: Table) -> None:
    sandbox.faults.script(method="POST", path_pattern="/v1/pages", kind=500, skip=1, times=2, body_contains="Ann")

    async def statuses(name: str) -> list[int]:
        return [(await api("POST", "/v1/pages", new_page(people_table, name))).status for _ in range(4)]

    assert await statuses("Bob") == [200] * 4
    assert await statuses("Ann") == [200, 500, 500, 200]


async def test_probable_faults_are_seeded() -> None:
    async def outcomes() -> list[int]:
        async with Sandbox(token=TOKEN, rate_limit=0, seed=3) as sandbox, aiohttp.ClientSession() as session:
            sandbox.faults.script(kind=500, times=None, probability=0.5)
            api = Api(session, sandbox)
            return [(await api("GET", "/v1/users/me")).status for _ in range(12)]

    first = await outcomes()

    assert set(first) == {200, 500}
    assert await outcomes() == first


def test_a_nonsense_script_is_refused() -> None:
    sandbox = Sandbox()

    with pytest.raises(ValueError, match="no kind of fault"):
        sandbox.faults.script(kind="earthquake")
    with pytest.raises(ValueError, match="before or after"):
        sandbox.faults.script(kind=500, when="during")


async def test_an_outage_answers_503_to_everything(sandbox: Sandbox, api: Api, people_table: Table) -> None:
    sandbox.switches.outage = True
    assert (await api("POST", "/v1/pages", new_page(people_table))).code == "service_unavailable"
    assert (await api("GET", "/v1/users/me")).status == 503

    sandbox.switches.outage = False

    assert (await api("GET", "/v1/users/me")).status == 200
    assert sandbox.count(status=503) == 2


@pytest.mark.parametrize(("retry_after", "header"), [(None, "1"), (37, "37")])
@pytest.mark.parametrize("kind", ["429", "529"])
async def test_overload_says_when_to_come_back(
    sandbox: Sandbox, api: Api, kind: str, retry_after: int | None, header: str
) -> None:
    sandbox.faults.script(kind=kind, retry_after=retry_after, reason="public_api_space_request_rate_limit")

    answer = await api("GET", "/v1/users/me")

    assert answer.headers["Retry-After"] == header
    if kind == "429":
        assert answer.body["additional_data"] == {
            "rate_limit_reason": "public_api_space_request_rate_limit",
            "retry_after": header,
        }


async def test_a_block_has_no_retry_after(sandbox: Sandbox, api: Api) -> None:
    sandbox.switches.blocked = True

    answer = await api("GET", "/v1/users/me")

    assert (answer.status, answer.code) == (429, "rate_limited")
    assert answer.body["additional_data"] == {"rate_limit_reason": "public_api_request_blocked"}
    assert "Retry-After" not in answer.headers


async def test_the_rate_window_allows_bursts_and_tells_when_it_turns(monotonic: Clock) -> None:
    async with (
        Sandbox(token=TOKEN, rate_limit=5, rate_window_s=60, seed=1, monotonic=monotonic) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        api = Api(session, sandbox)

        burst = [(await api("GET", "/v1/users/me")).status for _ in range(5)]
        refused = await api("GET", "/v1/users/me")

        wait_s = int(refused.headers["Retry-After"])
        assert (burst, refused.status, refused.code) == ([200] * 5, 429, "rate_limited")
        assert 1 <= wait_s <= 60
        assert refused.body["additional_data"] == {
            "rate_limit_reason": "public_api_request_rate_limit",
            "retry_after": str(wait_s),
        }
        monotonic.move(wait_s - 1)
        assert (await api("GET", "/v1/users/me")).status == 429
        monotonic.move(1)
        assert [(await api("GET", "/v1/users/me")).status for _ in range(6)] == [200] * 5 + [429]


async def test_the_windows_phase_depends_on_the_seed(monotonic: Clock) -> None:
    def wait_s(seed: int) -> float | None:
        rate = Sandbox(rate_limit=1, seed=seed, monotonic=monotonic).rate
        rate.take()
        return rate.take()

    assert wait_s(1) == wait_s(1) != wait_s(2)


@pytest.mark.parametrize(("switched", "statuses"), [(True, [200, 409]), (False, [200, 200])])
async def test_concurrent_writes_to_one_page_conflict_when_switched(
    sandbox: Sandbox, notion: Notion, api: Api, people_table: Table, switched: bool, statuses: list[int]
) -> None:
    page, other = await add_row(notion, people_table, "Ann"), await add_row(notion, people_table, "Bob")
    sandbox.switches.update({"conflict_on_concurrent_writes": switched, "latency_s": 0.05})

    async def write(page_id: str) -> Answer:
        return await api("PATCH", f"/v1/pages/{page_id}", {"properties": {"Budget": {"number": 1}}})

    same = await asyncio.gather(write(page["id"]), write(page["id"]))
    apart = await asyncio.gather(write(page["id"]), write(other["id"]))

    assert sorted(answer.status for answer in same) == statuses
    assert [answer.status for answer in apart] == [200, 200]
    if switched:
        conflict = next(answer for answer in same if answer.status == 409)
        assert (conflict.code, conflict.message) == (
            "conflict_error",
            "Conflict occurred while saving. Please try again.",
        )


async def test_the_library_sees_faults_as_its_own_errors(sandbox: Sandbox, notion: Notion) -> None:
    sandbox.faults.script(kind=503, path_pattern="/v1/users/me")

    with pytest.raises(APIResponseError) as caught:
        await notion.users.me()

    assert (caught.value.status, caught.value.code) == (503, "service_unavailable")


async def test_the_log_keeps_every_request(sandbox: Sandbox, api: Api, people_table: Table, monotonic: Clock) -> None:
    sandbox.clear_requests()
    monotonic.move(5)

    await api("POST", "/v1/pages?filter_properties=Name", new_page(people_table))
    await api("GET", "/v1/nothing")

    created, lost = sandbox.requests
    assert (created.at_s, created.method, created.path, created.status) == (1005.0, "POST", "/v1/pages", 200)
    assert (created.query, created.body) == ({"filter_properties": ["Name"]}, new_page(people_table))
    assert (lost.status, lost.body) == (400, None)
    assert (sandbox.count("POST", "/v1/pages"), sandbox.count(status=400), sandbox.count()) == (1, 1, 2)
    sandbox.clear_requests()
    assert sandbox.count() == 0


async def test_waiting_ends_with_the_change_or_the_time(sandbox: Sandbox, api: Api, people_table: Table) -> None:
    waiting: asyncio.Task[Any] = asyncio.create_task(
        sandbox.wait_for(lambda: any(row["properties"]["Name"] == "Ann" for row in sandbox.people.rows("Participants")))
    )

    await api("POST", "/v1/pages", new_page(people_table))

    await waiting
    with pytest.raises(TimeoutError):
        await sandbox.wait_for(lambda: False, timeout_s=0.01)
