"""Talking to the person at the terminal: consoles, errors with what to do about them, and never a traceback.

Texts of foreign errors may quote rows or connection strings: of those only the kind and the place are told.
"""

from __future__ import annotations

import asyncio
import signal
import traceback
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final, NoReturn, TypeVar

import click
import psycopg
import structlog
from rich.console import Console

from cdc import logs
from cdc.config import Settings, load
from cdc.tasks import first
from sinks.base import SinkUnavailable
from sinks.notion.discovery import WrongSetting
from sinks.notion.failures import NotionOutage
from state.database import readable
from state.errors import FatalError, SyncError

EXIT_FINDINGS: Final = 1
EXIT_USAGE: Final = 2
EXIT_FATAL: Final = 3
EXIT_INTERRUPTED: Final = 130

EXITS: Final = (
    "Exit codes: 0 done, 1 differences or findings, 2 wrong usage or settings, 3 a person must act, 130 interrupted."
)

T = TypeVar("T")
# Texts are shown as they stand: a page may be titled [/], which as markup is an error
out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)
log = structlog.get_logger(__name__)


class Failed(click.ClickException):
    """What went wrong, what it means and what to do, for a person."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint

    def show(self, file: Any = None) -> None:
        err.print("error:", style="bold red", end=" ")
        err.print(self.message, soft_wrap=True)
        err.print("what to do:", style="bold", end=" ")
        err.print(self.hint, soft_wrap=True)


class WrongUsage(Failed):
    """Wrong usage or settings."""

    exit_code = EXIT_USAGE


class Stuck(Failed):
    """A person must act."""

    exit_code = EXIT_FATAL


class Interrupted(Failed):
    """Ctrl-C."""

    exit_code = EXIT_INTERRUPTED


def settings_of(ctx: click.Context) -> Settings:
    """Return the settings of a command, with logging set up as they say."""
    try:
        settings = load(env_file=ctx.obj)
    except FatalError as error:
        raise WrongUsage(str(error), error.hint) from None
    logs.configure(settings.log_level, settings.log_format)
    return settings


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command to its end; whatever fails becomes a message for a person."""
    try:
        return asyncio.run(_interruptible(work))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise Interrupted(
            "interrupted", "Run the command again: what was done is kept, and it goes on from there."
        ) from None
    except BaseExceptionGroup as group:
        _give_up(first(group))
    except Exception as error:  # noqa: BLE001 # a traceback would print texts that may hold values
        _give_up(error)


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; SIGTERM ends it as Ctrl-C does, unless it takes care of that signal itself."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_told)
    task = asyncio.current_task()
    assert task is not None
    # no signals outside of the main thread
    with suppress(RuntimeError, ValueError, NotImplementedError):
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


def on_stop_signals(stop: Callable[[], object]) -> None:
    """Call `stop` on SIGTERM and Ctrl-C instead of ending at once."""
    loop = asyncio.get_running_loop()
    with suppress(RuntimeError, ValueError, NotImplementedError):
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)


def _told(_: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Log what nobody awaited; asyncio's own way is a traceback."""
    error = context.get("exception")
    log.warning("task.failed", kind=type(error).__name__ if error is not None else "unknown")


def _give_up(error: BaseException) -> NoReturn:
    """Raise what the person is shown."""
    match error:
        case click.ClickException() | click.exceptions.Exit():
            raise error
        case WrongSetting():
            raise WrongUsage(str(error), error.hint) from None
        case FatalError():
            raise Stuck(str(error), error.hint) from None
        case SinkUnavailable():
            raise Stuck(
                str(error),
                "Check NOTION_API_KEY, and the connection's capabilities in Notion: read, update and insert content.",
            ) from None
        case NotionOutage():
            raise Stuck(
                str(error), "Run the command again in a while: it goes on from there. Notion tells of outages on "
                "status.notion.com; NOTION_BASE_URL has to name the right server.",
            ) from None
        case SyncError():
            raise Stuck(str(error), "Run the command again in a while; if it stays so, look into the logs.") from None
        case psycopg.Error():
            raise Stuck(
                f"the database failed: {readable(error)}", "Try again; if it stays so, look into the database's log."
            ) from None
        case _:
            raise Stuck(
                f"this is a mistake of the program: {type(error).__name__} at {_place(error)}",
                "Report it with this line. What was done is kept, and the command can be run again.",
            ) from None


def _place(error: BaseException) -> str:
    """Return module and line where it arose, and nothing of what was in memory there."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    return f"{'/'.join(ours[-1].filename.split('/')[-2:])}:{ours[-1].lineno}" if ours else "an unknown place"
