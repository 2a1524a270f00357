"""Database URLs as people have them: Prisma's parameters are understood or dropped, a pooler is noticed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

PRISMA_ONLY: Final = frozenset(
    {"schema", "connection_limit", "pool_timeout", "pgbouncer", "socket_timeout", "statement_cache_size", "sslaccept",
     "sslidentity", "sslpassword", "single_use_connections"}
)
POOLER_PORTS: Final = frozenset({6432, 6543})


@dataclass(frozen=True, slots=True)
class Database:
    """Where the application database is: a DSN that libpq takes, and the schema of its tables."""

    dsn: str
    schema: str
    pooled: bool    # the URL says that a transaction pooler stands in between


def parse(url: str) -> Database:
    """Return the database that `url` names; raises ValueError, whose text never repeats the URL."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ValueError("a URL that starts with postgresql:// is expected")
    if not parts.path.strip("/"):
        raise ValueError("the URL names no database: postgresql://user:password@host:5432/NAME is expected")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port is not a number between 0 and 65535") from None
    query = parse_qsl(parts.query, keep_blank_values=True)
    named = dict(query)
    kept = [(name, value) for name, value in query if name not in PRISMA_ONLY]
    dsn = urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(kept, quote_via=quote), ""))
    pooled = named.get("pgbouncer", "").lower() == "true" or port in POOLER_PORTS
    return Database(dsn, named.get("schema") or "public", pooled)
