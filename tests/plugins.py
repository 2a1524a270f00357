"""The output plugin that tests run with, `make test PLUGIN=pgoutput`, and what of the tests is about one alone."""

from __future__ import annotations

import os
from typing import Final

import pytest

from cdc.replication.faults import PGOUTPUT
from cdc.replication.faults import PLUGIN as USUAL
from cdc.replication.faults import PLUGINS as READ

PLUGIN: Final = os.environ.get("TEST_PLUGIN") or USUAL
PLUGINS: Final = (PGOUTPUT,) if PLUGIN == PGOUTPUT else READ
"""Those that a test of both goes through: a run with pgoutput may have a server that knows no other."""

wal2json_only: Final = pytest.mark.skipif(PLUGIN != USUAL, reason="is about wal2json")
