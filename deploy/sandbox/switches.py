"""What can be turned on a running stand-in: lag, latency, normalisation, capabilities, caps."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(slots=True)
class Switches:
    """The settings of a running stand-in: yes or no, or a number; the default tells which. Chances are 0 to 1."""

    clock_offset_s: float = 0.0
    """The workspace's clock is ahead by so much, or behind when it is less than 0."""
    latency_s: float = 0.0
    """Every request waits this long before it is executed."""
    query_lag_s: float = 0.0
    """A new, updated or trashed row shows in queries only after this many seconds ..."""
    query_lag_queries: int = 0
    """... or after this many queries have not seen it (the later of the two when both are set)."""
    search_lag_s: float = 0.0
    """A new or renamed object is found by search only after this many seconds."""
    query_result_cap: int = 10_000
    """More rows than this are not reachable through one filter and sort."""
    shuffle_unsorted: bool = True
    """Queries without sorts come in another order every time."""
    short_pages: bool = False
    """Pages of query results may hold fewer rows than page_size although there are more."""
    normalise: bool = False
    """Trim text at both ends, drop milliseconds of dates, lower-case e-mail addresses."""
    conflict_on_concurrent_writes: bool = False
    """Answer 409 to a write on a page that another request is writing at this moment."""
    mirror_touches: bool = False
    """Changing one side of a dual relation also advances last_edited_time of the pages on the other."""
    hide_trashed_relations: bool = False
    """Relations leave out pages that are in the trash."""
    read_content: bool = True
    update_content: bool = True
    insert_content: bool = True
    read_comments: bool = True
    insert_comments: bool = True
    """Without the capability to read comments there are no comment events either."""
    user_emails: bool = True
    """Persons carry their e-mail address."""
    out_of_blocks: bool = False
    """The workspace has used up its free blocks: nothing can be created."""
    blocked: bool = False
    """Answer 429 public_api_request_blocked to everything."""
    outage: bool = False
    """Answer 503 to everything."""
    row_limit: int = 250_000
    """Rows a data source can hold."""
    schema_limit_bytes: int = 50_000
    """Largest JSON of a data source's properties."""
    webhook_aggregation_s: float = 0.05
    """What happens to one page or data source within this time becomes its net effect; 0: everything is told."""
    webhook_delay_s: float = 0.0
    """Every event waits this long on top, as the real ones may for minutes."""
    webhook_loss: float = 0.0
    """Chance that an event is never sent."""
    webhook_duplicate: float = 0.0
    """Chance that an answered event is sent once more, as if the answer was lost."""
    webhook_reorder: float = 0.0
    """Chance that an event is held back ..."""
    webhook_reorder_s: float = 0.2
    """... by anything up to this long, so that later ones overtake it."""
    webhook_retry_s: float = 1.0
    """Wait before the second attempt; it doubles with every further one."""
    webhook_attempts: int = 8
    webhook_timeout_s: float = 5.0
    """An answer that takes longer is none."""
    webhook_title_as_content: bool = False
    """A row's new title is page.content_updated, as the documentation has it for pages."""

    def update(self, changes: dict[str, Any]) -> None:
        """Set several at once; a wrong name or kind of value is a ValueError and changes nothing."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        fitting: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"no switch {name!r}; there are {', '.join(sorted(known))}")
            wanted = bool if isinstance(known[name], bool) else (int, float)
            if not isinstance(value, wanted) or (wanted is not bool and isinstance(value, bool)):
                raise ValueError(f"switch {name!r} takes {'true or false' if wanted is bool else 'a number'}")
            fitting[name] = value
        for name, value in fitting.items():
            setattr(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """Return every switch and its value."""
        return asdict(self)
