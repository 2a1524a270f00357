"""The output plugins behind the port: who decodes what each of them writes, and what it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cdc.replication import pgoutput, wal2json
from cdc.replication.faults import PGOUTPUT
from cdc.replication.port import Decoder, PluginOption


class Reading(NamedTuple):
    """How one stream is read."""

    decoder: Decoder
    options: tuple[PluginOption, ...]


def reading(plugin: str, tables: Mapping[str, frozenset[str]], schema: str, publication: str) -> Reading:
    """Return how to read the listed columns of the listed tables, with either plugin."""
    if plugin == PGOUTPUT:
        return Reading(pgoutput.Decoder(tables, schema), pgoutput.options(publication))
    return Reading(wal2json.Decoder(tables, schema), wal2json.options(schema, tables))
