"""The settings of the running demo, for commands typed in a second terminal.

`make run` writes `.local/demo.env` while it runs. It counts only where nothing else is configured: demo people must
never reach a real Notion, nor real people the sandbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

# either of them, from wherever, means that a person has configured the real thing
CONFIGURED_BY = ("DATABASE_URL", "DATABASE_URL_FILE", "NOTION_API_KEY", "NOTION_API_KEY_FILE")


def parse(text: str) -> dict[str, str]:
    """Return the settings in lines of `KEY=VALUE`; comments and blank lines are passed over."""
    pairs = (line.strip().removeprefix("export ").split("=", 1) for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip().strip("'\"") for name, value in pairs if not name.lstrip().startswith("#")}


def demo_settings(root: Path) -> dict[str, str] | None:
    """Return the running demo's settings, or None where no demo runs."""
    written = root / ".local" / "demo.env"
    return parse(written.read_text(encoding="utf-8")) if written.exists() else None


def configured(root: Path, environ: Mapping[str, str]) -> bool:
    """Return whether the environment or `.env` names a real database or a real Notion."""
    dotenv = root / ".env"
    settings = parse(dotenv.read_text(encoding="utf-8", errors="replace")) if dotenv.exists() else {}
    return any(environ.get(name) or settings.get(name) for name in CONFIGURED_BY)


def environment_for(root: Path, environ: Mapping[str, str]) -> dict[str, str] | None:
    """Return the environment a command runs in: as it is where something is configured, else the demo's, else None."""
    if configured(root, environ):
        return dict(environ)
    demo = demo_settings(root)
    return {**environ, **demo} if demo is not None else None
