"""Which entities a verb is about."""

from __future__ import annotations

from cdc.cli.terminal import WrongUsage
from cdc.config import Settings
from sinks.mapping.entities import ENTITIES
from sinks.mapping.model import Entity


def chosen(settings: Settings, entity: str | None, *, works: bool = True) -> list[Entity]:
    """Return the entities that a verb is about: the one that was named, or all that are switched on.

    A verb that `works` may write to either side, and is refused while the sync is disabled.
    """
    if works and not settings.notion_sync_enabled:
        raise WrongUsage(
            "the sync is disabled (NOTION_SYNC_ENABLED=false), so nothing is written",
            "Set NOTION_SYNC_ENABLED to true, or remove it.",
        )
    wanted = [item for item in settings.entities if entity is None or item.name == entity]
    if not wanted:
        off = [item.setting for item in ENTITIES if entity is None or item.name == entity]
        raise WrongUsage(
            f"{entity or 'every entity'} is switched off",
            f"Set {' or '.join(f'NOTION_SYNC_{name}' for name in off)} to true, or remove it.",
        )
    return wanted
