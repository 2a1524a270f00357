"""Database URLs as people have them: Prisma's parameters are understood or dropped, a pooler is noticed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote, urlencode

FOREIGN: Final = frozenset(
    {
        # Prisma's own
        "schema", "connection_limit", "pool_timeout", "pgbouncer", "socket_timeout", "statement_cache_size",
        "sslaccept", "sslidentity", "sslpassword", "single_use_connections", "max_connection_lifetime",
        "max_idle_connection_lifetime",
        # of other drivers and hosts
        "supa", "uselibpqcompat", "workaround", "prepared_statements", "prepareThreshold", "currentSchema",
    }
)
"""Parameters that people's URLs carry and libpq refuses."""
LIBPQ: Final = frozenset(
    {
        "application_name", "channel_binding", "client_encoding", "connect_timeout", "dbname",
        "fallback_application_name", "gssencmode", "gsslib", "host", "hostaddr", "keepalives", "keepalives_count",
        "keepalives_idle", "keepalives_interval", "krbsrvname", "load_balance_hosts", "options", "passfile", "password",
        "port", "replication", "require_auth", "requirepeer", "requiressl", "service", "ssl",
        "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert", "sslcompression", "sslcrl", "sslcrldir",
        "sslkey", "sslmode", "sslnegotiation", "sslrootcert", "sslsni", "target_session_attrs", "tcp_user_timeout",
        "user",
    }
)
# PgBouncer's own port, Supabase's, DigitalOcean's
POOLER_PORTS: Final = frozenset({6432, 6543, 25061})
# Neon, Supabase, RDS Proxy
_POOLER_HOST: Final = re.compile(r"-pooler\.|(^|\.)pooler\.|\.proxy-[^.]+\.[^.]+\.rds\.amazonaws\.com")
_URL: Final = re.compile(
    r"postgres(?:ql)?://(?:(?P<credentials>[^?]*)@)?(?P<hosts>[^/?]*)(?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:\[\]]*)(?::(?P<port>[^:]*))?")


@dataclass(frozen=True, slots=True)
class Database:
    """Where the application database is: a DSN that libpq takes, and the schema of its tables."""

    dsn: str = field(repr=False)
    schema: str
    pooled: bool            # the URL says that a transaction pooler stands in between
    schema_given: bool      # the URL names the schema


def parse(url: str) -> Database:
    """Return the database that `url` names; raises ValueError, whose text never repeats any of the URL's values.

    What a password may not hold in a URL but does (`@`, `#`, `/`, a stray `%`) is encoded: everything up to the last
    `@` is user and password.
    """
    parts = _URL.fullmatch(url)
    if parts is None:
        raise ValueError("a URL that starts with postgresql:// is expected")
    if re.search(r"[\x00-\x20\x7f]", url):
        raise ValueError("a URL holds no white space; write it as %20")
    hosts, ports = _hosts(parts["hosts"])
    query = _query(parts["query"] or "")
    named = dict(query)
    name = (parts["name"] or "").rstrip("/")
    if not (name or named.get("dbname")):
        raise ValueError("the URL names no database: postgresql://user:password@host:5432/NAME is expected")
    kept = [_translated(parameter, value, named) for parameter, value in query if parameter not in FOREIGN]
    for parameter, _ in kept:
        if parameter not in LIBPQ:
            # with an @ still to come this may be the rest of a password
            named_safely = re.fullmatch(r"[A-Za-z_]{1,40}", parameter) and "@" not in (parts["query"] or "")
            shown = parameter if named_safely else "something before an equals sign"
            raise ValueError(f"{shown} is no parameter of a PostgreSQL URL")
    credentials = "" if parts["credentials"] is None else f"{_credentials(parts['credentials'])}@"
    ending = f"?{urlencode(kept, quote_via=quote)}" if kept else ""
    dsn = f"postgresql://{credentials}{parts['hosts']}/{_encoded(name)}{ending}"
    pooled = named.get("pgbouncer", "").lower() in {"true", "1"} or bool(POOLER_PORTS & ports)
    pooled = pooled or any(_POOLER_HOST.search(host) for host in hosts)
    schema = named.get("schema") or named.get("currentSchema")
    return Database(dsn, schema or "public", pooled, schema is not None)


def _hosts(text: str) -> tuple[tuple[str, ...], frozenset[int]]:
    """Return the hosts and ports; libpq takes several, with commas."""
    hosts, ports = [], set()
    for one in text.split(","):
        match = _HOST.fullmatch(one)
        if match is None:
            raise ValueError("the host can't be read: host, host:port or [IPv6 address]:port is expected")
        port = match["port"] or ""
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError(
                "the port is not a number between 1 and 65535 (a password with a ? in it has to have it written as %3F)"
            )
        hosts.append(unquote(match["host"]).lower())
        if port:
            ports.add(int(port))
    return tuple(hosts), frozenset(ports)


def _query(text: str) -> list[tuple[str, str]]:
    """Return the parameters that have a value. A plus sign is a plus sign to libpq, as to whoever wrote a password."""
    pairs = (part.partition("=") for part in text.split("&"))
    return [(unquote(name), unquote(value)) for name, _, value in pairs if value]


def _translated(name: str, value: str, named: dict[str, str]) -> tuple[str, str]:
    """Return what libpq calls the parameter."""
    if name == "sslcert" and "sslkey" not in named:
        # Prisma's is the server's certificate; libpq's would be ours, and useless without a key
        return "sslrootcert", value
    if name == "sslmode" and value == "no-verify":
        return name, "require"
    return name, value


def _credentials(text: str) -> str:
    user, colon, password = text.partition(":")
    return f"{_encoded(user)}{colon}{_encoded(password)}"


def _encoded(text: str) -> str:
    """Percent-encode what is not encoded yet, and nothing twice."""
    return quote(re.sub("%(?![0-9A-Fa-f]{2})", "%25", text), safe="%!$&'()*+,;=-._~")
