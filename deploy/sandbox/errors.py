"""Notion's error bodies: one exception that carries status, code, message and additional data."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

UNDEFINED = object()
"""Stands for a key that the request did not have; rendered as `undefined`."""

BLOCK_LIMIT_TEXT = (
    "This workspace has used all of its free blocks. Upgrade the workspace to create more content through the API."
)
ARCHIVED_TEXT = "Can't edit block that is archived. You must unarchive the block before editing."
ARCHIVED_ANCESTOR_TEXT = (
    "Can't edit page on block with an archived ancestor. You must unarchive the ancestor before editing page."
)


class NotionError(Exception):
    """An answer other than success, in Notion's vocabulary."""

    def __init__(self, status: int, code: str, message: str, additional_data: Json | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.additional_data = additional_data

    def body(self, request_id: str) -> Json:
        """Return the JSON body of this error."""
        body: Json = {
            "object": "error",
            "status": self.status,
            "code": self.code,
            "message": self.message,
            "request_id": request_id,
        }
        if self.additional_data is not None:
            body["additional_data"] = self.additional_data
        return body


class Invalid(NotionError):
    """400 validation_error."""

    def __init__(self, message: str) -> None:
        super().__init__(400, "validation_error", message)


class NotSimulated(Invalid):
    """Something that Notion has and this stand-in does not: loud, so that nobody takes it for supported."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not simulated: {what}")


class NotFound(NotionError):
    """404: absent, purged or not shared; Notion does not say which."""

    def __init__(self, kind: str, object_id: str) -> None:
        super().__init__(
            404,
            "object_not_found",
            f"Could not find {kind} with ID: {object_id}. Make sure the relevant pages and databases are shared with "
            'your integration "Sandbox connection".',
        )


class Restricted(NotionError):
    """403: the token lacks a capability, or the workspace is out of blocks."""

    def __init__(self, message: str | None = None, additional_data: Json | None = None) -> None:
        text = message or "API token does not have access to this resource."
        super().__init__(403, "restricted_resource", text, additional_data)


def shown(value: object) -> str:
    """Return `value` the way Notion quotes it in messages; long values are cut."""
    if value is UNDEFINED:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value[:60]}"'
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": …' for key in list(value)[:3]) + "}"
    if isinstance(value, list):
        return "[…]" if value else "[]"
    return str(value)


def unfit(path: str, rule: str, actual: object) -> Invalid:
    """Return the error of a body part that breaks a rule, e.g. unfit("body.parent", "an object", 5)."""
    return Invalid(f"body failed validation: {path} should be {rule}, instead was `{shown(actual)}`.")
