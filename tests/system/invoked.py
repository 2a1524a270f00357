"""A verb in this process: the same as typing it, without the second that a new interpreter costs."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from click.testing import CliRunner

from cdc.cli.main import main


@dataclass(frozen=True, slots=True)
class Said:
    """How a verb ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def failure(self) -> str:
        """What a failed verb said, checked for what every failure owes: what to do, and no traceback."""
        assert self.code in (2, 3), (self.code, self.out, self.err)
        assert "what to do:" in self.err, self.err
        assert "Traceback" not in self.err + self.out
        return " ".join(self.err.split())


def said(env: Mapping[str, str], *arguments: str) -> Said:
    """Run a verb to its end."""
    handlers = logging.root.handlers[:]
    level = logging.root.level
    logging.root.handlers = []
    try:
        result = CliRunner().invoke(main, ["--env-file", os.devnull, *arguments], env=dict(env))
    finally:
        # what the verb set up writes to streams that are gone now
        logging.root.handlers = handlers
        logging.root.setLevel(level)
        structlog.reset_defaults()
    return Said(result.exit_code, result.stdout, result.stderr)


async def invoke(env: Mapping[str, str], *arguments: str) -> Said:
    """Do the same while this loop serves a sandbox."""
    return await asyncio.to_thread(said, env, *arguments)
