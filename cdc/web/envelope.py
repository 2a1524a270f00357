"""A webhook's body, from untrusted bytes to our own event. Strict about what is used, indifferent to the rest.

Notion's webhook reference: "Event types & delivery". The body says what happened to what, never the new value.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from cdc.web.bodies import parsed
from state.inbox import Author, Event

TITLE: Final = "title"
"""The id of every title property, and of no other."""

HANDSHAKE_BYTES: Final = 4_096

PAGE_KINDS: Final = frozenset({
    "page.created", "page.properties_updated", "page.content_updated", "page.moved", "page.deleted", "page.undeleted",
    "page.locked", "page.unlocked",
})
"""Events whose `data` is looked at closely; what else there is, or will be, may look as it likes."""

_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


class Malformed(ValueError):
    """Not an event. The text names the field and what is wrong with it, never what it holds."""


def _sane(moment: datetime) -> datetime:
    if not _EARLIEST < moment < _LATEST:
        raise ValueError("a time of this century is expected")
    return moment.astimezone(UTC)


def _dashed(text: str) -> str:
    return str(uuid.UUID(text))


_HEX: Final = r"^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$"
_Word = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,500}$")]
_Id = Annotated[str, StringConstraints(pattern=_HEX), AfterValidator(_dashed)]
_Token = Annotated[str, StringConstraints(pattern=r"^[!-~]{8,500}$")]
_Moment = Annotated[AwareDatetime, AfterValidator(_sane)]


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, hide_input_in_errors=True)


class _Handshake(_Wire):
    verification_token: _Token


class _Someone(_Wire):
    id: _Word
    type: _Word | None = None


class _Thing(_Wire):
    id: _Id
    type: _Word


class _Block(_Wire):
    id: _Word
    type: _Word | None = None


class _Parent(_Wire):
    id: _Id | None = None
    data_source_id: _Id | None = None


class _PageData(_Wire):
    parent: _Parent | None = None
    updated_properties: tuple[_Word, ...] = ()
    updated_blocks: tuple[_Block, ...] = ()


class _Envelope(_Wire):
    id: _Word
    timestamp: _Moment
    type: _Word
    entity: _Thing
    authors: tuple[_Someone, ...] = ()
    attempt_number: Annotated[int, Field(ge=0, le=10_000)] = 1
    data: Any = None


class _OfPage(_Wire):
    data: _PageData = _PageData()


M = TypeVar("M", bound=BaseModel)


def token_in(raw: bytes) -> str | None:
    """Return the verification token of a handshake; None when the body is none."""
    if len(raw) > HANDSHAKE_BYTES or b"verification_token" not in raw:
        return None
    try:
        return _Handshake.model_validate_json(raw).verification_token
    except ValidationError:
        return None


def event_in(raw: bytes) -> Event:
    """Return the event; raises Malformed."""
    envelope = _read(_Envelope, raw)
    data = _page_data(envelope.type, raw) if envelope.entity.type == "page" else _PageData()
    parent = data.parent or _Parent()
    return Event(
        event_id=envelope.id,
        happened_at=envelope.timestamp,
        kind=envelope.type,
        entity_type=envelope.entity.type,
        entity_id=envelope.entity.id,
        data_source_id=parent.data_source_id,
        parent_id=parent.id,
        authors=tuple(Author(author.id, author.type) for author in envelope.authors),
        properties=(*data.updated_properties, *_title(envelope, data)),
        attempt=envelope.attempt_number,
    )


def _page_data(kind: str, raw: bytes) -> _PageData:
    try:
        return _read(_OfPage, raw).data
    except Malformed:
        if kind in PAGE_KINDS:
            raise
        return _PageData()


def _title(envelope: _Envelope, data: _PageData) -> tuple[str, ...]:
    """An edit of the title may be told as one of the content, of the page itself among its blocks."""
    if any(block.id.replace("-", "") == envelope.entity.id.replace("-", "") for block in data.updated_blocks):
        return () if TITLE in data.updated_properties else (TITLE,)
    return ()


def _read(model: type[M], raw: bytes) -> M:
    try:
        return parsed(model, raw)
    except ValueError as error:
        raise Malformed(str(error)) from None
