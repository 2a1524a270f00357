"""A sandbox per test, with a clock that stands still, and two clients of it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import aiohttp
import httpx
import pytest
from notion_client import AsyncClient

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.receiver import Receiver, listening
from tests.contract.sandbox.shapes import TOKEN, VERSION, Api, Clock, Notion, Table, make_table


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def monotonic() -> Clock:
    return Clock(1000.0)


@pytest.fixture
async def sandbox(clock: Clock, monotonic: Clock) -> AsyncIterator[Sandbox]:
    async with Sandbox(token=TOKEN, rate_limit=0, seed=1, clock=clock, monotonic=monotonic) as sandbox:
        yield sandbox


@pytest.fixture
async def notion(sandbox: Sandbox) -> AsyncIterator[Notion]:
    # An own transport only because building httpx's default one reads every certificate authority, for every test.
    transport = httpx.AsyncClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    client = AsyncClient(
        client=transport, auth=TOKEN, base_url=sandbox.url, notion_version=VERSION, retry=False, timeout_ms=5000
    )
    yield client
    await client.aclose()


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as session:
        yield Api(session, sandbox)


@pytest.fixture
async def people_table(sandbox: Sandbox, notion: Notion) -> Table:
    properties = {
        "Name": {"title": {}},
        "System ID": {"rich_text": {}},
        "Email": {"email": {}},
        "Budget": {"number": {"format": "australian_dollar"}},
        "Status": {"select": {"options": [{"name": "Active", "color": "green"}, {"name": "Inactive"}]}},
        "Tags": {"multi_select": {}},
        "Day": {"date": {}},
        "Done": {"checkbox": {}},
        "Phone": {"phone_number": {}},
        "Site": {"url": {}},
        "Who": {"people": {}},
    }
    return await make_table(sandbox, notion, "Participants", properties)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def hook(sandbox: Sandbox, receiver: Receiver, people_table: Table) -> Receiver:
    """A receiver that is subscribed to everything, and a table that nothing is told of yet."""
    await listening(sandbox, receiver)
    return receiver
