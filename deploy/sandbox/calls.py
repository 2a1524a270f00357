"""A call to the API after the header checks, and what a table of endpoints consists of."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from deploy.sandbox.checks import query_page_size
from deploy.sandbox.cursors import Cursors
from deploy.sandbox.errors import Json
from deploy.sandbox.ids import canonical_uuid
from deploy.sandbox.rendering import NEWEST
from deploy.sandbox.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Call:
    """One request after the header checks."""

    version: str
    method: str
    path: str
    query: dict[str, list[str]]
    body: Json
    ids: tuple[str, ...] = ()

    @property
    def archived_accepted(self) -> bool:
        """True in versions that still know `archived`."""
        return self.version < NEWEST

    def first(self, name: str) -> str | None:
        """Return the first value of a query parameter."""
        return next(iter(self.query.get(name, ())), None)

    def id_in_path(self, kind: str) -> str:
        """Return the first id of the path."""
        return canonical_uuid(self.ids[0], f"path failed validation: path.{kind}_id")

    @property
    def page_size(self) -> int:
        """The page size of a GET."""
        return query_page_size(self.first("page_size"))


class Desk(Protocol):
    """What an endpoint works with."""

    workspace: Workspace
    cursors: Cursors


Endpoint = Callable[[Any, Call], Json]
"""A function of a Desk and the call."""


@dataclass(frozen=True, slots=True)
class Route:
    """Which calls an endpoint answers, and the capabilities (switches) that the token needs for it."""

    method: str
    path: re.Pattern[str]
    needs: tuple[str, ...]
    endpoint: Endpoint


def route(method: str, path: str, needs: str, endpoint: Endpoint) -> Route:
    """Return a route; `{}` in the path stands for an id, `needs` lists capabilities with spaces between."""
    return Route(method, re.compile(path.replace("{}", "([^/]+)")), tuple(needs.split()), endpoint)
