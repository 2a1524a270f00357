"""Health at a glance: what is wrong, what it means, and what to do, from the same facts that `status` gives. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from cdc.operate.differences import KINDS
from cdc.operate.next_step import UNLINKED
from cdc.operate.phrases import counted, span

OLD_WORK_S: Final = 900.0
"""As the alert about old work has it."""


class Level(IntEnum):
    """How bad it is."""

    WELL = 0
    WAITS = 1        # a person has something to decide or to mend; the rest goes on
    TROUBLE = 2      # the sync as a whole does not do its part


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing to know. `page`: the page of the dashboard where something can be done about it."""

    level: Level
    what: str
    do: str = ""
    page: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """All of it, the worst first. `meaning`: what the headline comes to, where that does not go without saying."""

    level: Level
    headline: str
    concerns: tuple[Concern, ...]
    meaning: str = ""


def health(overview: Mapping[str, Any]) -> Health:
    """Return how things stand. `overview` is what `GET /api/notion/status` answers."""
    found = sorted((*_process(overview), *_slot(overview), *_people(overview)), key=lambda each: -each.level)
    level = max((each.level for each in found), default=Level.WELL)
    return Health(level, _headline(level, overview, found), tuple(found), _meaning(overview, found))


def notes(overview: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is as people left it and asks for nothing, but would surprise somebody who does not know of it."""
    return (
        *(
            f"{item['entityType']}: {counted(item['pages'], 'record')} that nothing is sent of "
            f"({UNLINKED.get(item['reason'], 'a person took its page away')})."
            for item in overview["unlinked"]
        ),
        *(
            f"{item['entity']}: {counted(item['pages'], 'page')} that no row is linked to "
            f"({KINDS.get(item['kind'], item['kind'])})."
            for item in overview["strays"]
        ),
        *(
            f"{item['entity']}.{item['field']}: {counted(item['unsaid'], 'edit')} put back without a comment "
            "(too many at once)."
            for item in overview["notices"]
        ),
    )


def waiting(overview: Mapping[str, Any]) -> int:
    """Return how many records are on their way."""
    return sum(int(depth["keys"]) for depth in overview["queue"].values())


def _headline(level: Level, overview: Mapping[str, Any], found: Sequence[Concern]) -> str:
    running = "This process stands by" if _stands_by(overview) else "Running"
    match level:
        case Level.TROUBLE:
            return "The sync needs help"
        case Level.WAITS:
            return f"{running}; {counted(len(found), 'thing waits', 'things wait')} for a person"
    if _stands_by(overview):
        return running
    keys = waiting(overview)
    return f"Running; {counted(keys, 'record is', 'records are')} on the way" if keys else "Everything is in step"


def _meaning(overview: Mapping[str, Any], found: Sequence[Concern]) -> str:
    if _stands_by(overview):
        return (
            "Another process is active and does the work; when that one ends, this one goes on within seconds. What is "
            "shown here is the same on both."
        )
    return "" if found else "Changes in MapAble appear on their pages, and edits of pages in MapAble."


def _stands_by(overview: Mapping[str, Any]) -> bool:
    process: Mapping[str, Any] = overview["process"]
    return bool(process.get("role") == "standby")


def _process(overview: Mapping[str, Any]) -> Iterator[Concern]:
    process: Mapping[str, Any] = overview["process"]
    role = process.get("role")
    if not overview["enabled"]:
        yield Concern(
            Level.TROUBLE, "The sync is switched off (NOTION_SYNC_ENABLED=false): nothing is read and nothing written.",
            "Switch it on and start again; everything is compared then.",
        )
        return
    if role == "held":
        yield Concern(
            Level.TROUBLE, "Held: this is another database than the sidecar was on, so nothing is sent.",
            str(process.get("hint") or "Say what it is with mapable-cdc adopt."),
        )
    elif role == "starting" or (role == "active" and not process.get("streaming")):
        problem = process.get("problem")
        yield Concern(
            Level.TROUBLE, f"MapAble's changes are not being read{f': {problem}' if problem else ' yet'}.",
            str(process.get("hint") or "It goes on by itself as soon as it can."),
        )
    if process.get("degraded"):
        yield Concern(
            Level.TROUBLE, f"Notion is not answering as it should ({process.get('notion') or 'unknown'}).",
            "Nothing is lost: changes wait in the queue, and it goes on with Notion's first answer.",
        )
    oldest_s = float(overview["queue"].get("live", {}).get("oldestAgeSeconds", 0.0))
    if oldest_s > OLD_WORK_S:
        yield Concern(
            Level.TROUBLE, f"A change of MapAble's has waited {span(oldest_s)} for Notion.",
            "Look at what is paused or failing below; the budget of requests may be too small.",
        )


def _slot(overview: Mapping[str, Any]) -> Iterator[Concern]:
    slot: Mapping[str, Any] | None = overview["slot"]
    if slot is None or not overview["enabled"]:
        return
    if slot["walStatus"] == "lost":
        yield Concern(
            Level.TROUBLE, "The replication slot is lost: the server removed log that was not read yet.",
            "A new one is made by itself and everything compared; raise max_slot_wal_keep_size.",
        )
    elif slot["pressure"] == "alarm":
        yield Concern(
            Level.TROUBLE, "The server keeps so much log for the slot that it may soon be lost, or the disk be full.",
            "Find out why the log is not being read; raise max_slot_wal_keep_size.",
        )
    elif slot["pressure"] == "warning":
        yield Concern(Level.WAITS, "The server keeps more log for the slot than a sync that keeps up needs.")


def _people(overview: Mapping[str, Any]) -> Iterator[Concern]:
    """Yield what waits for a person while everything else goes on."""
    for item in overview["paused"]:
        what = item["entity"] if item["field"] is None else f"{item['entity']}.{item['field']}"
        yield Concern(
            Level.WAITS, f"{what} is paused: {_sentence(item['reason'])}", "It goes on by itself once that is mended."
        )
    if (open_conflicts := overview["conflicts"]) > 0:
        what = counted(open_conflicts, "field was", "fields were")
        yield Concern(
            Level.WAITS, f"{what} changed on both sides, to different values.", "Choose which value to keep.",
            "/conflicts",
        )
    if (parked := overview["parked"]) > 0:
        yield Concern(
            Level.WAITS, f"{counted(parked, 'record is', 'records are')} set aside, with a reason.",
            "Mend the cause, then try again.", "/parked",
        )
    if (held := overview["heldDeletes"]) > 0:
        yield Concern(
            Level.WAITS, f"{counted(held, 'page is', 'pages are')} held: many rows went at once.",
            "Say whether that was meant.", "/deletes",
        )
    if overview["comments"]["allowed"] is False:
        yield Concern(
            Level.WAITS, "The connection may not comment, so nobody is told why an edit was put back.",
            "Allow it to read and insert comments, in Notion's settings of the connection.",
        )
    for item in overview["leftOut"]:
        rows = f"{counted(item['rows'], 'row')} of {item['entityType']}"
        yield Concern(
            Level.WAITS, f"{rows}: {item['field']} is left out in Notion. {_sentence(item['reason'])}",
            "The rest is there; change the value.",
        )


def _sentence(reason: str) -> str:
    return f"{reason.rstrip('.')}."
