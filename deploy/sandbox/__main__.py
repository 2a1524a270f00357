"""`python -m deploy.sandbox`: the stand-in as a process. Its first line of output says where it listens."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from pathlib import Path

from deploy.sandbox.server import Sandbox


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.sandbox", description="A local stand-in for Notion.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--token", default="ntn_demo", help="the token that clients must send")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep everything in this SQLite file")
    parser.add_argument("--rate-limit", type=int, default=180, metavar="N", help="requests a window (0: no limit)")
    parser.add_argument("--rate-window-s", type=float, default=60.0, metavar="S", help="length of the window")
    parser.add_argument("--seed", type=int, help="make ids, colours and orders repeatable")
    parser.add_argument(
        "--switch", action="append", default=[], metavar="NAME=VALUE", help="see deploy/sandbox/switches.py"
    )
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stop.set)
    sandbox = Sandbox(
        token=arguments.token,
        rate_limit=arguments.rate_limit,
        rate_window_s=arguments.rate_window_s,
        seed=arguments.seed,
        state_file=arguments.state,
        host=arguments.host,
        port=arguments.port,
    )
    switches = dict(text.split("=", 1) for text in arguments.switch)
    sandbox.switches.update({name: json.loads(value) for name, value in switches.items()})
    async with sandbox:
        where = {"url": sandbox.url, "token": sandbox.token, "parent_page_id": sandbox.parent_page_id}
        print(json.dumps(where), flush=True)
        await stop.wait()


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    asyncio.run(_serve(_arguments()))


if __name__ == "__main__":
    main()
