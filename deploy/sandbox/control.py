"""The control API under /sandbox: what persons do and what goes wrong, over HTTP, for people and other processes.

Local and unprotected; bodies and answers are JSON; a mistake answers 400 {"error": …}.

| call                                                   | does                                                      |
|--------------------------------------------------------|-----------------------------------------------------------|
| GET /sandbox                                           | this table's state: ids, persons, switches, faults        |
| GET /sandbox/databases                                 | every database, its properties and number of rows         |
| GET /sandbox/pages?database=Participants&where=Name=Ann| rows as plain values; `where` may repeat; `trashed=1`     |
| GET /sandbox/pages/{id}                                | one page as plain values                                  |
| GET /sandbox/pages/{id}/comments                       | the comments on it                                        |
| GET /sandbox/views?database=Participants               | the views of a database                                   |
| POST /sandbox/people/{action}                          | one of People's methods, its arguments as the body:       |
|   create {database, properties}                        | add a row                                                 |
|   edit {page, properties}                              | plain values or Notion's write form                       |
|   trash, restore, archive, duplicate, purge {page}     |                                                           |
|   move {page, to?}                                     | to another database, or out of all                        |
|   add_text {page, text}                                | a paragraph in the page's body                            |
|   comment {page, text, discussion?}                    | also remove_comment {comment}                             |
|   share, unshare {target}                              | a page or database                                        |
|   rename_property {database, prop, name}               | also remove_property, retype_property, add_property       |
|   rename_option {database, prop, option, name}         | also remove_option, recolour_option                       |
|   change_schema {database, properties}                 | a schema update in the API's form                         |
|   add_view {database, name, kind?, filter?, sorts?}    |                                                           |
|   (instead of page: database and where {"Name": "Ann"}; `person` names who does it)                                |
| GET, PATCH /sandbox/switches                           | see Switches                                              |
| GET, POST, DELETE /sandbox/faults                      | list, script (see Fault), clear                           |
| POST /sandbox/outage {"on": true}                      | everything answers 503                                    |
| GET /sandbox/requests?method=&path=&status=            | the request log; `count=1` for the number only            |
| DELETE /sandbox/requests                               | clear it                                                  |
| GET /sandbox/moves?after=N&timeout_s=10                | returns when `moves` is greater than N: waiting, no poll  |
| POST /sandbox/reset                                    | start over                                                |
| /sandbox/webhooks …                                    | see webhookcontrol                                        |
| /sandbox/workspace, /sandbox/board?database=&find=     | the page for people, and the rows that it shows           |
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from deploy.sandbox.errors import Json, NotionError

if TYPE_CHECKING:
    from deploy.sandbox.server import Sandbox

ACTIONS = (
    "create", "edit", "trash", "restore", "archive", "duplicate", "purge", "move", "add_text", "share", "unshare",
    "change_schema", "rename_property", "remove_property", "retype_property", "add_property",
    "rename_option", "recolour_option", "remove_option", "comment", "remove_comment", "add_view",
)  # fmt: skip
Answer = Callable[[web.Request], Awaitable[Any]]


def add_routes(app: web.Application, sandbox: Sandbox) -> None:
    """Serve the control API of `sandbox` from `app`."""
    api = _Control(sandbox)
    for method, path, answer in (
        ("GET", "/sandbox", api.state),
        ("GET", "/sandbox/databases", api.databases),
        ("GET", "/sandbox/pages", api.pages),
        ("GET", "/sandbox/pages/{page}", api.page),
        ("GET", "/sandbox/pages/{page}/comments", api.comments),
        ("GET", "/sandbox/views", api.views),
        ("POST", "/sandbox/people/{action}", api.act),
        ("GET", "/sandbox/switches", api.switches),
        ("PATCH", "/sandbox/switches", api.set_switches),
        ("GET", "/sandbox/faults", api.faults),
        ("POST", "/sandbox/faults", api.script),
        ("DELETE", "/sandbox/faults", api.clear_faults),
        ("POST", "/sandbox/outage", api.outage),
        ("GET", "/sandbox/requests", api.requests),
        ("DELETE", "/sandbox/requests", api.clear_requests),
        ("GET", "/sandbox/moves", api.moves),
        ("POST", "/sandbox/reset", api.reset),
    ):
        app.router.add_route(method, path, answering(answer))


def answering(answer: Answer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the request handler of a function; its mistakes become a 400 that explains."""

    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            return web.json_response(await answer(request))
        except NotionError as error:
            return web.json_response({"error": error.message}, status=400)
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            return web.json_response({"error": str(error)}, status=400)

    return serve


async def body_of(request: web.Request) -> Json:
    """Return the JSON object of a request, empty when there is none."""
    raw = await request.read()
    parsed = json.loads(raw) if raw else {}
    if not isinstance(parsed, dict):
        raise TypeError("the body must be a JSON object")
    return parsed


class _Control:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def state(self, _request: web.Request) -> Json:
        sandbox = self._sandbox
        users = sandbox.store.all("user").values()
        return {
            "url": sandbox.url,
            "parent_page_id": sandbox.parent_page_id,
            "bot_id": sandbox.state.bot_id,
            "persons": {user["name"]: user["id"] for user in users if user["type"] == "person"},
            "moves": sandbox.moves,
            "requests": sandbox.requests.total,
            "switches": sandbox.switches.as_dict(),
            "faults": [fault.as_dict() for fault in sandbox.faults.scripts],
        }

    async def databases(self, _request: web.Request) -> list[Json]:
        return self._sandbox.people.databases()

    async def pages(self, request: web.Request) -> list[Json]:
        wanted = [text.partition("=") for text in request.query.getall("where", [])]
        trashed = request.query.get("trashed", "0") not in ("0", "false", "")
        rows = self._sandbox.people.rows(request.query["database"], trashed=trashed)
        return [row for row in rows if all(str(row["properties"].get(name)) == value for name, _, value in wanted)]

    async def page(self, request: web.Request) -> Json:
        return self._sandbox.people.row(request.match_info["page"])

    async def comments(self, request: web.Request) -> list[Json]:
        return self._sandbox.people.comments(request.match_info["page"])

    async def views(self, request: web.Request) -> list[Json]:
        return self._sandbox.people.views(request.query["database"])

    async def act(self, request: web.Request) -> Json:
        action = request.match_info["action"]
        if action not in ACTIONS:
            raise LookupError(f"no action {action!r}; there are {', '.join(ACTIONS)}")
        arguments = await body_of(request)
        method = getattr(self._sandbox.people, action)
        takes = inspect.signature(method).parameters
        for name in ("page", "target"):
            if name in takes and name not in arguments and "where" in arguments:
                arguments[name] = self._sandbox.people.find(arguments.pop("database"), arguments.pop("where"))
        return {"ok": True, "id": method(**arguments)}

    async def switches(self, _request: web.Request) -> Json:
        return self._sandbox.switches.as_dict()

    async def set_switches(self, request: web.Request) -> Json:
        self._sandbox.switches.update(await body_of(request))
        return self._sandbox.switches.as_dict()

    async def faults(self, _request: web.Request) -> list[Json]:
        return [fault.as_dict() for fault in self._sandbox.faults.scripts]

    async def script(self, request: web.Request) -> Json:
        settings = await body_of(request)
        settings.pop("where", None)
        return self._sandbox.faults.script(**settings).as_dict()

    async def clear_faults(self, _request: web.Request) -> list[Json]:
        self._sandbox.faults.clear()
        return []

    async def outage(self, request: web.Request) -> Json:
        self._sandbox.switches.update({"outage": (await body_of(request)).get("on", True)})
        return {"outage": self._sandbox.switches.outage}

    async def requests(self, request: web.Request) -> Any:
        query = request.query
        status = int(query["status"]) if "status" in query else None
        found = self._sandbox.requests.select(query.get("method"), query.get("path"), status)
        return {"count": len(found)} if query.get("count") else [one.as_dict() for one in found]

    async def clear_requests(self, _request: web.Request) -> Json:
        self._sandbox.clear_requests()
        return {"count": 0}

    async def moves(self, request: web.Request) -> Json:
        after = int(request.query.get("after", "0"))
        try:
            await self._sandbox.wait_for(
                lambda: self._sandbox.moves > after, float(request.query.get("timeout_s", "10"))
            )
        except TimeoutError:
            return {"moves": self._sandbox.moves, "timed_out": True}
        return {"moves": self._sandbox.moves, "timed_out": False}

    async def reset(self, _request: web.Request) -> Json:
        self._sandbox.reset()
        return {"parent_page_id": self._sandbox.parent_page_id}
