"""The workspace: documents with their parents, sharing, authors and times. What the API and a person both act on."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from deploy.sandbox import ids, texts
from deploy.sandbox.errors import ARCHIVED_ANCESTOR_TEXT, Invalid, Json, NotFound
from deploy.sandbox.store import Store
from deploy.sandbox.switches import Switches

PERSONS = (
    ("Priya Nair", "priya.nair@example.org"),
    ("Tom Baker", "tom.baker@example.org"),
    ("Mei Chen", "mei.chen@example.org"),
)
KIND_NAMES = {
    "page": "page", "database": "database", "data_source": "data source", "block": "block", "comment": "comment",
    "view": "view",
}  # fmt: skip
NAME = "Sandbox"
CONNECTION_NAME = "Sandbox connection"


class Workspace:
    """One Notion workspace with one connection (the bot), a few persons and a shared parent page."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        seed: int | None,
        switches: Switches,
    ) -> None:
        self.store = store
        self.clock = clock
        self.monotonic = monotonic
        self.switches = switches
        self._seed = seed
        self._starts = 1
        self.rng = random.Random(seed)
        self.start()

    def start(self) -> None:
        """Load the workspace's own facts, or found a new one."""
        facts = self.store.get("meta", "workspace")
        self._starts = starts = 1 if facts is None else int(facts["starts"]) + 1
        if self._seed is not None:
            # A restart with the same seed must not hand out the ids of the first run again.
            self.rng = random.Random(f"{self._seed}/{starts}")
        if facts is None:
            facts = {name: ids.fresh_uuid(self.rng) for name in ("workspace_id", "bot_id", "parent_page_id")}
            self._found(facts)
        facts = {**facts, "starts": starts}
        self.store.put("meta", "workspace", facts)
        self.store.commit()
        self.workspace_id: str = facts["workspace_id"]
        self.bot_id: str = facts["bot_id"]
        self.parent_page_id: str = facts["parent_page_id"]

    def _found(self, facts: Json) -> None:
        bot_id = facts["bot_id"]
        self.store.put("user", bot_id, {"id": bot_id, "name": CONNECTION_NAME, "type": "bot"})
        for name, email in PERSONS:
            person_id = ids.fresh_uuid(self.rng)
            self.store.put("user", person_id, {"id": person_id, "name": name, "type": "person", "email": email})
        self.add_page(
            facts["parent_page_id"],
            {"type": "workspace", "workspace": True},
            {"title": texts.plain("MapAble")},
            self.person(None)["id"],
            shared=True,
        )

    def person(self, name: str | None) -> Json:
        """Return the person with this name or id; without one, the first."""
        persons = [user for user in self.store.all("user").values() if user["type"] == "person"]
        for person in persons:
            if name is None or name in (person["id"], person["name"]):
                return person
        raise LookupError(f"no person {name!r}; there are {', '.join(person['name'] for person in persons)}")

    def fresh_id(self) -> str:
        """Return a new UUID."""
        return ids.fresh_uuid(self.rng)

    def own_rng(self, name: str) -> random.Random:
        """Return a generator for a part whose draws must not change the ids and orders of the rest."""
        return random.Random(None if self._seed is None else f"{self._seed}/{self._starts}/{name}")

    @property
    def integration_id(self) -> str:
        """The id of the connection, which is not its bot's."""
        return str(uuid.uuid5(uuid.UUID(self.workspace_id), "connection"))

    # Reading

    def get(self, kind: str, object_id: str) -> Json:
        """Return a document the connection can see, or raise Notion's 404."""
        document = self.store.get(kind, object_id)
        if document is None or not self.visible(document):
            raise NotFound(KIND_NAMES[kind], object_id)
        return document

    def visible(self, document: Json) -> bool:
        """True when the nearest explicit sharing on the way up says so."""
        for step in self._upwards(document):
            if step.get("shared") is not None:
                return bool(step["shared"])
        return False

    def ancestor_in_trash(self, document: Json) -> bool:
        """True when something above is in the trash."""
        return any(step["in_trash"] for step in self._upwards(document) if step is not document)

    def refuse_under_trash(self, document: Json) -> None:
        """Raise Notion's error for a write below something that is in the trash."""
        if self.ancestor_in_trash(document):
            raise Invalid(ARCHIVED_ANCESTOR_TEXT)

    def refuse_below_itself(self, document: Json, parent: Json) -> None:
        """Raise Notion's error for a move to a place that the document itself holds."""
        target = self.store.get(parent["type"].removesuffix("_id"), parent[parent["type"]])
        if target is not None and any(step["id"] == document["id"] for step in self._upwards(target)):
            raise Invalid("A page or database cannot be moved into itself or to a place below it.")

    def _upwards(self, document: Json) -> Iterator[Json]:
        step: Json | None = document
        while step is not None:
            yield step
            parent = step["parent"]
            step = None
            if parent["type"] != "workspace":
                step = self.store.get(parent["type"].removesuffix("_id"), parent[parent["type"]])

    def sources(self, database: Json) -> list[Json]:
        """Return the data sources of a database."""
        return self.children(database["id"], "data_source")

    def children(self, parent_id: str, kind: str) -> list[Json]:
        """Return the documents of one kind directly under another, in order of arrival."""
        found = (self.store.get(kind, child_id) for one, child_id in self.store.children(parent_id) if one == kind)
        return [document for document in found if document is not None]

    def rows(self, source_id: str) -> Iterator[Json]:
        """Yield every page of a data source, those in the trash too."""
        for kind, page_id in self.store.children(source_id):
            page = self.store.get(kind, page_id)
            if page is not None and kind == "page":
                yield page

    def source_of(self, page: Json) -> Json | None:
        """Return the data source that a row belongs to; None for a page outside databases."""
        if page["parent"]["type"] != "data_source_id":
            return None
        return self.store.get("data_source", page["parent"]["data_source_id"])

    def user_name(self, user_id: str) -> str | None:
        """Return the name of a person or bot, None for somebody unknown."""
        user = self.store.get("user", user_id)
        return None if user is None else str(user["name"])

    def title_of(self, page: Json) -> str:
        """Return the plain title of a page."""
        return texts.joined(page["properties"].get("title", ()))

    def name_of(self, kind: str, object_id: str) -> str:
        """Return the shown text of a mention of a user or page."""
        if kind == "user":
            user = self.store.get("user", object_id)
            if user is None:
                raise NotFound("user", object_id)
            return f"@{user['name']}"
        return self.title_of(self.get("page", object_id)) or "Untitled"

    # Writing

    def add_page(
        self,
        page_id: str,
        parent: Json,
        properties: Mapping[str, Any],
        author_id: str,
        *,
        shared: bool | None = None,
        icon: Json | None = None,
        cover: Json | None = None,
    ) -> Json:
        """Store a new page and return it."""
        now_s = self.clock()
        page: Json = {
            "id": page_id,
            "parent": parent,
            "properties": dict(properties),
            "icon": icon,
            "cover": cover,
            "in_trash": False,
            "is_archived": False,
            "is_locked": False,
            "shared": shared,
            "created_s": now_s,
            "created_by": author_id,
            "edited_s": now_s,
            "edited_by": author_id,
        }
        self.store.put("page", page_id, page, author_id)
        return page

    def edit(self, kind: str, document: Json, changes: Mapping[str, Any], author_id: str) -> Json:
        """Store `document` with `changes` and return it. Times and author move only when something differs."""
        edited = {**document, **changes}
        if same(edited, document):
            return document
        edited["edited_s"] = self.clock()
        edited["edited_by"] = author_id
        self.store.put(kind, document["id"], edited, author_id)
        return edited


def same(one: Any, other: Any) -> bool:
    """Equality that tells 1 from true, which Python's does not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
