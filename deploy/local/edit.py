"""`make edit`: change a property of a page in the running demo's Notion, as a person would."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from deploy.local.demo_env import demo_settings

REPOSITORY = Path(__file__).resolve().parents[2]
USAGE = "Type: make edit DATABASE=Participants ID=<System ID> PROPERTY=Name VALUE='Another name'"


def main(arguments: Sequence[str]) -> int:
    """Edit one property: database, System ID, property, value (empty: clear it)."""
    settings = demo_settings(REPOSITORY)
    if settings is None:
        print("No demo runs. Type make run in another terminal.", file=sys.stderr)
        return 2
    if len(arguments) != 4 or not all(arguments[:3]):
        print(USAGE, file=sys.stderr)
        return 2
    database, system_id, name, value = arguments
    body = {"database": database, "where": {"System ID": system_id}, "properties": {name: _value(value)}}
    request = urllib.request.Request(  # noqa: S310 # the demo's own address
        f"{settings['NOTION_BASE_URL']}/sandbox/people/edit", json.dumps(body).encode(), method="POST"
    )
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            answer.read()
    except urllib.error.HTTPError as error:
        print(json.loads(error.read())["error"], file=sys.stderr)
        return 1
    print("Edited. `make psql` shows the row, and `make status` what happened.")
    return 0


def _value(text: str) -> object:
    """Return a number, true or false for what looks like one; the text itself otherwise, nothing for none."""
    if text == "":
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float | bool) else text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
