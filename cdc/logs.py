"""Structured logs: JSON in containers, readable on a terminal; event names are stable, row values never appear."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog


def configure(level: str, style: Literal["auto", "json", "console"]) -> None:
    """Set up logging to stderr for the whole process."""
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries log requests and, at debug level, bodies: theirs stay at warning whatever ours is
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_WhoAndWhat())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


class _WhoAndWhat(logging.Formatter):
    """Says which library spoke, and the type of an exception: messages and tracebacks may quote values."""

    def format(self, record: logging.LogRecord) -> str:
        kind = record.exc_info[0] if record.exc_info else None
        return " ".join([record.levelname, record.name, *([kind.__name__] if kind else [])])
