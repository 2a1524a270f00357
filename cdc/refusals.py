"""Why the database could not be reached, in words that hold no part of the connection string but names."""

from __future__ import annotations

from typing import Final

import psycopg

from state.errors import FatalError

# What libpq says before the server speaks quotes host, port and more; only these of its phrases are repeated
_PHRASES: Final = {
    "Connection refused": "nothing listens there",
    "could not translate host name": "the host's name is not known",
    "Name or service not known": "the host's name is not known",
    "timeout expired": "no answer in time",
    "No route to host": "no route to the host",
    "Network is unreachable": "the network is unreachable",
    "No such file or directory": "no server listens on that socket",
    "SSL": "the encrypted connection could not be made (look at sslmode)",
}


def refused(error: psycopg.Error) -> FatalError:
    """Return what a failed connection means for the person who started the command."""
    return FatalError(
        f"the database can't be reached: {_reason(error)}",
        "Check DATABASE_URL (and DATABASE_DIRECT_URL, where it is set), and that the database runs.",
    )


def _reason(error: psycopg.Error) -> str:
    text = str(error)
    _, said, sentence = text.partition("FATAL:")
    if said:
        # the server's own sentence; it names roles and databases at most
        return sentence.strip().partition("\n")[0]
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return "no answer in time"
    return next((meaning for phrase, meaning in _PHRASES.items() if phrase in text), type(error).__name__)
