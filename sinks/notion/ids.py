"""What people paste for an id: bare, dashed, or a whole Notion URL."""

from __future__ import annotations

import re
import uuid
from typing import Final

_HEX: Final = re.compile(
    r"(?<![0-9a-fA-F])([0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(?![0-9a-fA-F])"
)


def parse_id(text: str) -> str:
    """Return the dashed, lower-case id in `text`; raises ValueError when there is none.

    In a URL the id is the last one of the path: `https://www.notion.so/Team/Participants-<32 hex>?v=<view id>`.
    """
    path = re.split(r"[?#]", text.strip(), maxsplit=1)[0]
    found = _HEX.findall(path)
    if not found:
        raise ValueError("not a Notion id or URL: 32 hexadecimal digits are expected")
    return str(uuid.UUID(found[-1]))
