"""Many runs, some at once, each in a process and on a server of its own."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from deploy.local.postgres import temporary
from tests.chaos.outcome import Profile, Report
from tests.chaos.run import play
from tests.chaos.stage import prepare
from tests.chaos.stepping import PARTS, step_through


def runs(seeds: Sequence[int], profile: Profile, at_once: int) -> Iterator[Report]:
    """Do the runs of these seeds and give each report when it is there; -1, -2, ... are the parts of the steps."""
    with ProcessPoolExecutor(at_once, multiprocessing.get_context("spawn")) as processes:
        begun = {processes.submit(_run, seed, profile): seed for seed in seeds}
        for done in as_completed(begun):
            try:
                yield done.result()
            except Exception as error:  # noqa: BLE001 - a server that does not start, a worker that was ended
                yield Report(begun[done], broken=f"{type(error).__name__}: {error}")


def _run(seed: int, profile: Profile) -> Report:
    # a client that is killed half-way through a request is no news here
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    server = temporary()
    server.start()
    try:
        prepare(server)
        return asyncio.run(step_through(PARTS[-1 - seed], server) if seed < 0 else play(seed, server, profile))
    finally:
        server.destroy()
