"""Free ports of 127.0.0.1."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether a server could listen on `port` at this moment."""
    with socket.socket() as probe:
        # a server that has just stopped leaves closing connections behind; Postgres binds over them, so may we
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
