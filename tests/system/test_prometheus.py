"""A real Prometheus: its tool tests the rules, and its server scrapes the running service and answers every query."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from tenacity import AsyncRetrying, retry_if_exception_type, wait_fixed

from deploy.grafana.dashboard import ROWS
from deploy.local.commands import run
from deploy.local.ports import free_port
from tests.system import waiting
from tests.system.promtools import program
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.slow

HERE: Final = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
CONFIG: Final = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ['{rules}']
scrape_configs: [{{job_name: mapable-cdc, static_configs: [{{targets: ['{target}']}}]}}]
"""
RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values ('r', 'Old title', '', 'LOW', 'Access', '', now())
"""
LOOK: Final = "insert into notion_sync.setting values ('schema_due', 'true') on conflict (name) do nothing"
COMPARISON: Final = re.compile(r"(?<![=!<>~])(==|!=|<=|>=|<|>)(?![=~])")
READY_S: Final = 30.0
TRY_S: Final = 0.25


def test_the_rules_do_what_their_tests_say() -> None:
    done = run([program("promtool"), "test", "rules", HERE / "rules_test.yml"])

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_is_one() -> None:
    done = run([program("promtool"), "check", "config", HERE / "prometheus.yml"])

    assert done.returncode == 0, done.stdout + done.stderr


async def test_every_query_of_rules_and_dashboard_finds_data(mapable_dsn: str, tmp_path: Path) -> None:
    prometheus = program("prometheus")
    async with staged(mapable_dsn, NOTION_POLL_SECONDS="0.2", NOTION_SWEEP_SECONDS="1") as scene:
        target = scene.url().removeprefix("http://")
        async with served(prometheus, target, tmp_path) as url:
            await happened(scene)
            missing = dict(queries())

            async def all_found() -> bool:
                for name, query in tuple(missing.items()):
                    if await found(url, query):
                        del missing[name]
                await once_more(scene)
                return not missing

            try:
                await waiting.until(scene.sandbox, all_found)
            except TimeoutError:
                pytest.fail(f"without data: {missing}")
            rules = await asked(url, "/api/v1/rules")
    states = {rule["name"]: rule["health"] for group in rules["groups"] for rule in group["rules"]}
    assert states
    assert set(states.values()) == {"ok"}


async def happened(scene: Scene) -> None:
    """Let something of everything happen: a change, an edit, a webhook that is refused, a property that is gone."""
    await scene.run(RISK)
    await scene.until(lambda: scene.page("Risks", "r") is not None)
    await scene.settled()
    scene.sandbox.people.edit(scene.page_id("Risks", "r"), {"Title": "New title"})
    await scene.until_true("""select title = 'New title' from "Risk" where id = 'r'""")
    scene.sandbox.people.remove_property("Risks", "Category")
    await scene.run(LOOK)
    await scene.until_true("select exists (select from notion_sync.data_source where paused <> '{}')")
    status, _, _ = await scene.call("POST", "/api/notion/webhook", json={})
    assert status == 401


async def once_more(scene: Scene) -> None:
    """Let there be something new between two scrapes: a rate needs two."""
    await scene.run("""update "Risk" set title = title || '.' where id = 'r'""")
    await scene.call("POST", "/api/notion/webhook", json={})


def queries() -> Iterator[tuple[str, str]]:
    """Yield every panel's and rule's query; of rules the comparisons as 0 or 1, since a silent alert shows nothing."""
    for row in ROWS.values():
        for panel in row:
            for legend, query in panel.queries.items():
                yield f"{panel.title}: {legend}", query.replace("$__rate_interval", "1m")
    text = (HERE / "rules.yml").read_text(encoding="utf-8")
    for name, folded in re.findall(r"- alert: (\w+)\n +expr: (?:>-\n)?(.*?)\n +for:", text, re.DOTALL):
        parts = re.split(r"(\{[^}]*\})", " ".join(folded.split()))
        yield name, "".join(part if part.startswith("{") else COMPARISON.sub(r"\1 bool", part) for part in parts)


async def found(url: str, query: str) -> bool:
    return bool((await asked(url, "/api/v1/query", query=query))["result"])


async def asked(url: str, path: str, **parameters: str) -> dict[str, Any]:
    """Return the data of an answer of Prometheus, which must be a success."""
    async with aiohttp.ClientSession() as client, client.get(url + path, params=parameters) as answer:
        told: dict[str, Any] = await answer.json()
    assert told["status"] == "success", (parameters, told)
    data: dict[str, Any] = told["data"]
    return data


@asynccontextmanager
async def served(prometheus: str, target: str, folder: Path) -> AsyncIterator[str]:
    """Start a Prometheus of our own that scrapes `target`, and give its URL once it answers."""
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(rules=HERE / "rules.yml", target=target), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        prometheus, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(READY_S):
            await listens(port)
        yield url
    finally:
        process.terminate()
        await process.wait()


async def listens(port: int) -> None:
    """Return once somebody listens there; the server does when it is ready."""
    async for attempt in AsyncRetrying(retry=retry_if_exception_type(OSError), wait=wait_fixed(TRY_S), reraise=True):
        with attempt:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
