"""The peer: psycopg2's own consumer with json, run by a Python that has psycopg2 (see tests.bench.peers)."""

# mypy: ignore-errors

from __future__ import annotations

import json
import os
import sys
import time

import psycopg2
from psycopg2.extras import LogicalReplicationConnection, StopReplication


def main() -> None:
    """Print how many seconds reading the slot up to a position took."""
    slot, end, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])

    def consume(message) -> None:
        change = json.loads(message.payload)
        if change["action"] == "C":
            message.cursor.send_feedback(flush_lsn=message.data_start)
            if message.data_start >= end:
                raise StopReplication

    began_s = time.perf_counter()
    conn = psycopg2.connect(os.environ["BENCH_DSN"], connection_factory=LogicalReplicationConnection)
    cursor = conn.cursor()
    cursor.start_replication(slot_name=slot, decode=True, options=options)
    try:
        cursor.consume_stream(consume)
    except StopReplication:
        sys.stdout.write(str(time.perf_counter() - began_s))


if __name__ == "__main__":
    main()
