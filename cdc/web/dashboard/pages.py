"""Templates, and how they write times and numbers. Everything that they are given is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cdc.operate import phrases
from sinks.mapping.entities import ENTITIES
from sinks.mapping.wording import moment

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"

TABS: Final = (
    ("/", "Overview"), ("/conflicts", "Conflicts"), ("/parked", "Parked work"), ("/deletes", "Held deletes"),
    ("/record", "Record"), ("/audit", "Audit"),
)


class Pages:
    """Makes answers of templates."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, auto_reload=False,
        )
        names = frozenset(entity.name for entity in ENTITIES)
        self._templates.globals.update(tabs=TABS, zone=zone.key, entity_names=names)
        self._templates.filters.update(
            time=self._time, size=phrases.size, span=phrases.span, counted=phrases.counted, words=_words, code=_code
        )

    def answer(
        self, template: str, *, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None,
        **facts: Any,
    ) -> web.Response:
        """Return the page of a template."""
        text = self._templates.get_template(template).render(**facts)
        return web.Response(text=text, status=status, content_type="text/html", headers=dict(headers or {}))

    def _time(self, at: datetime | str | None) -> str:
        """Return the time as an element, which says it exactly and as people read it."""
        if at is None:
            return "never"
        exact = datetime.fromisoformat(at) if isinstance(at, str) else at
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            exact.isoformat(timespec="seconds"), moment(exact, self._zone),
            phrases.clock(exact, datetime.now(UTC), self._zone),
        )


def _words(event: str) -> str:
    """Return an event's name as words: page.trashed is "Page trashed"."""
    return event.replace(".", " ").replace("_", " ").capitalize()


def _code(sentence: str) -> str:
    """Return a sentence with what stands between backticks as code."""
    parts = enumerate(sentence.split("`"))
    return Markup("").join(Markup("<code>{}</code>").format(part) if odd % 2 else part for odd, part in parts)
