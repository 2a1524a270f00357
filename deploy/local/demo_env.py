"""The settings of the running demo, for commands typed in a second terminal.

`make run` writes `.local/demo.env` while it runs. It counts only where nothing else is configured: demo people must
never reach a real Notion, nor real people the sandbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cdc import envfile

# either of them, from wherever, means that a person has configured the real thing
CONFIGURED_BY = ("DATABASE_URL", "DATABASE_URL_FILE", "NOTION_API_KEY", "NOTION_API_KEY_FILE")


def settings_in(path: Path) -> dict[str, str]:
    """Return the settings that a file holds, read as the service reads its `.env`; none where there is no such file."""
    return envfile.read(path)[0] if path.is_file() else {}


def demo_settings(root: Path) -> dict[str, str] | None:
    """Return the running demo's settings, or None where no demo runs."""
    return settings_in(root / ".local" / "demo.env") or None


def configured(root: Path, environ: Mapping[str, str]) -> bool:
    """Return whether the environment or `.env` names a real database or a real Notion."""
    settings = settings_in(root / ".env")
    return any(environ.get(name) or settings.get(name) for name in CONFIGURED_BY)


def environment_for(root: Path, environ: Mapping[str, str]) -> dict[str, str] | None:
    """Return the environment a command runs in: as it is where something is configured, else the demo's, else None."""
    if configured(root, environ):
        return dict(environ)
    demo = demo_settings(root)
    return {**environ, **demo} if demo is not None else None
