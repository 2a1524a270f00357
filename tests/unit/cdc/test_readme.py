"""The README's table of verbs is what the program says of itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from cdc.cli.main import main

README: Final = (Path(__file__).resolve().parents[3] / "README.md").read_text(encoding="utf-8")


def test_every_verb_is_listed_with_what_it_does() -> None:
    told = re.findall(r"^\| `mapable-cdc (\w+)` \| (.*) \|$", README, re.MULTILINE)

    assert told == [(name, verb.get_short_help_str(limit=300)) for name, verb in sorted(main.commands.items())]
