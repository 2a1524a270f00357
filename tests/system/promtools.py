"""Prometheus and promtool: those that are here, or Debian's, installed where that may be done without asking."""

from __future__ import annotations

import shutil

import pytest

from deploy.local import apt
from deploy.local.commands import LocalError


def program(name: str) -> str:
    """Return the path of `prometheus` or `promtool`; skips the test, and says what could not run, without one."""
    if (found := shutil.which(name)) is not None:
        return found
    if apt.available():
        try:
            apt.update()
            apt.install("prometheus")
        except LocalError as error:
            pytest.skip(f"{name} could not be installed, so this was not tried: {error}")
        if (found := shutil.which(name)) is not None:
            return found
    pytest.skip(f"there is no {name} here, so this was not tried: sudo apt-get install prometheus")
