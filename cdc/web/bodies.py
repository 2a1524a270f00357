"""Bodies of requests, as far as every endpoint checks them: how long, of which type, and whether they are JSON."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final, TypeVar

import aiohttp
from aiohttp import http_exceptions, web
from pydantic import BaseModel, ValidationError

from cdc.web.answers import Refusal

BODY_S: Final = 10.0
"""Whoever sends more slowly than this is not Notion."""

M = TypeVar("M", bound=BaseModel)


async def raw_body(request: web.Request) -> bytes:
    """Return the bytes as they came; refuses more than the application takes, with or without a Content-Length."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must not be compressed")
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time") from None
    except web.HTTPRequestEntityTooLarge:
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too long") from None
    except (http_exceptions.HttpProcessingError, aiohttp.ClientPayloadError):
        raise Refusal(HTTPStatus.BAD_REQUEST, "the body did not arrive whole") from None


def parsed(model: type[M], raw: bytes) -> M:
    """Return the body as `model`; ValueError names the field and what is wrong with it, never what it holds."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise ValueError(_why(error)) from None


def _why(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return "the body is not JSON in UTF-8"
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def require_json(request: web.Request) -> None:
    """Refuse every other content type."""
    if request.content_type != "application/json":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Type: application/json is expected")
