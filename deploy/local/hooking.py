"""The demo's webhook: what a person does in Notion's Webhooks tab and on the command line, done for them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import aiohttp

PATH = "/api/notion/webhook"


class NotHooked(Exception):
    """The stand-in and the service did not shake hands; the demo goes on by polling."""


async def hook(program: Path, env: Mapping[str, str], *, notion: str, service: str) -> None:
    """Subscribe the service to the stand-in's events; raises NotHooked."""
    await _say(program, env, "reset")
    await _say(program, env, "await")
    async with aiohttp.ClientSession(f"{notion}/sandbox/webhooks/", raise_for_status=True) as sandbox:
        try:
            async with sandbox.get("../webhooks") as answer:
                old = [one["id"] for one in await answer.json()]
            for subscription_id in old:
                await sandbox.delete(subscription_id)
            await sandbox.post("../webhooks", json={"url": service + PATH})
            await sandbox.post("verify", json={"token": await _token(program, env)})
        except aiohttp.ClientError as error:
            raise NotHooked(f"the stand-in refused ({type(error).__name__})") from None


async def _token(program: Path, env: Mapping[str, str]) -> str:
    """Return the token that the stand-in sent, which takes it a moment."""
    for _ in range(50):
        code, said = await _run(program, env, "show")
        if code == 0:
            return said.split()[-1]
        await asyncio.sleep(0.1)
    raise NotHooked("the service was not sent a token")


async def _say(program: Path, env: Mapping[str, str], verb: str) -> None:
    code, _ = await _run(program, env, verb)
    if code != 0:
        raise NotHooked(f"`mapable-cdc webhook {verb}` ended with {code}")


async def _run(program: Path, env: Mapping[str, str], verb: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        str(program), "--env-file", os.devnull, "webhook", verb, env=dict(env),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )
    stdout, _ = await process.communicate()
    return process.returncode or 0, stdout.decode()
