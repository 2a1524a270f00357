"""Relations: the mirror property of a dual one, and keeping both sides of the values in step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy.sandbox import texts
from deploy.sandbox.checks import as_object, known_keys
from deploy.sandbox.errors import UNDEFINED, Json, unfit
from deploy.sandbox.ids import canonical_uuid, fresh_property_id
from deploy.sandbox.workspace import Workspace


def config(workspace: Workspace, given: Json, path: str) -> Json:
    """Return the stored config of a relation: target, kind, and the mirror's id once there is one."""
    known_keys(given, path, ("data_source_id", "database_id", "type", "single_property", "dual_property"))
    source_id = canonical_uuid(given.get("data_source_id", UNDEFINED), f"{path}.data_source_id")
    workspace.get("data_source", source_id)
    kinds = [kind for kind in ("single_property", "dual_property") if kind in given]
    if len(kinds) != 1:
        raise unfit(f"{path}.single_property", "defined", UNDEFINED)
    wanted = as_object(given[kinds[0]], f"{path}.{kinds[0]}")
    known_keys(wanted, f"{path}.{kinds[0]}", ("synced_property_name", "synced_property_id"))
    return {"data_source_id": source_id, "kind": kinds[0], "synced_id": None}


def mirror(workspace: Workspace, source_id: str, property_id: str, author_id: str) -> None:
    """Give a new dual relation its other side. The name is generated, whatever the request asked for."""
    source = workspace.store.get("data_source", source_id)
    prop = source["properties"].get(property_id) if source else None
    if source is None or prop is None or prop["type"] != "relation":
        return
    if prop["config"]["kind"] != "dual_property" or prop["config"]["synced_id"] is not None:
        return
    target_id = prop["config"]["data_source_id"]
    target = workspace.store.get("data_source", target_id)
    if target is None:
        return
    synced_id = fresh_property_id(workspace.rng, {**target["properties"], **source["properties"]})
    other_side: Json = {
        "id": synced_id,
        "name": _generated_name(target, f"Related to {texts.joined(source['title'])} ({prop['name']})"),
        "description": None,
        "type": "relation",
        "config": {"data_source_id": source_id, "kind": "dual_property", "synced_id": property_id},
    }
    properties = {**target["properties"], synced_id: other_side}
    workspace.edit("data_source", target, {"properties": properties}, author_id)
    _set_config(workspace, source_id, property_id, synced_id)


def drop_mirror(workspace: Workspace, prop: Json, author_id: str) -> None:
    """Remove the other side of a dual relation that was removed or retyped."""
    if prop["type"] != "relation" or prop["config"]["synced_id"] is None:
        return
    target = workspace.store.get("data_source", prop["config"]["data_source_id"])
    if target is None or prop["config"]["synced_id"] not in target["properties"]:
        return
    kept = {key: other for key, other in target["properties"].items() if key != prop["config"]["synced_id"]}
    workspace.edit("data_source", target, {"properties": kept}, author_id)
    for row in list(workspace.rows(target["id"])):
        if prop["config"]["synced_id"] in row["properties"]:
            left = {key: value for key, value in row["properties"].items() if key != prop["config"]["synced_id"]}
            workspace.store.put("page", row["id"], {**row, "properties": left})


def tell_mirror(workspace: Workspace, prop: Json) -> None:
    """Mark the other side's data source as changed: its config shows the name of this one, which was renamed."""
    if prop["type"] != "relation" or prop["config"]["synced_id"] is None:
        return
    target = workspace.store.get("data_source", prop["config"]["data_source_id"])
    if target is not None:
        workspace.store.put("data_source", target["id"], target)


def _set_config(workspace: Workspace, source_id: str, property_id: str, synced_id: str) -> None:
    source = workspace.store.get("data_source", source_id)
    if source is None:
        return
    prop = source["properties"][property_id]
    linked = {**prop, "config": {**prop["config"], "synced_id": synced_id}}
    properties = {**source["properties"], property_id: linked}
    workspace.store.put("data_source", source_id, {**source, "properties": properties})


def _generated_name(target: Json, wanted: str) -> str:
    taken = {prop["name"] for prop in target["properties"].values()}
    name, number = wanted, 0
    while name in taken:
        number += 1
        name = f"{wanted} {number}"
    return name


def keep_in_step(workspace: Workspace, page: Json, prop: Json, old: Sequence[str], new: Sequence[str], by: str) -> None:
    """Add `page` to, or take it from, the other side of the pages whose link came or went."""
    if prop["type"] != "relation" or prop["config"]["synced_id"] is None:
        return
    for target_id in {*old} ^ {*new}:
        target = workspace.store.get("page", target_id)
        if target is None:
            continue
        synced_id = prop["config"]["synced_id"]
        linked: list[Any] = [one for one in target["properties"].get(synced_id, []) if one != page["id"]]
        if target_id in new:
            linked.append(page["id"])
        changed = {"properties": {**target["properties"], synced_id: linked}}
        if workspace.switches.mirror_touches:
            workspace.edit("page", target, changed, by)
        else:
            workspace.store.put("page", target_id, {**target, **changed})


def cut(workspace: Workspace, page: Json, by: str) -> None:
    """Take `page` out of every relation that points at it, before it goes for good or elsewhere."""
    source = workspace.source_of(page)
    if source is None:
        return
    for prop in source["properties"].values():
        keep_in_step(workspace, page, prop, page["properties"].get(prop["id"]) or (), (), by)
    for other in list(workspace.store.all("data_source").values()):
        pointing = [
            prop["id"]
            for prop in other["properties"].values()
            if prop["type"] == "relation" and prop["config"]["data_source_id"] == source["id"]
        ]
        for row in list(workspace.rows(other["id"])) if pointing else ():
            left = {
                key: [one for one in row["properties"][key] if one != page["id"]]
                for key in pointing
                if page["id"] in row["properties"].get(key, ())
            }
            if left:
                workspace.store.put("page", row["id"], {**row, "properties": {**row["properties"], **left}})
