"""Sessions of the dashboard: a cookie that carries its own proof.

Nothing is stored, so that an active process and its standby know the same sessions and a restart signs nobody out. The
key is made from ADMIN_TOKEN: with another token every session ends. A session that was signed out is remembered until
it would have ended, by the process that was told; that only matters to somebody who had copied the cookie.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

SESSION_S: Final = 8 * 3600
"""A working day; the limit is fixed, however busy somebody is."""

_SEALED: Final = re.compile(r"([\w-]{1,64})\.([0-9]{1,12})\.([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has shown that they know the token. `ends_s` is Unix time."""

    id: str
    ends_s: int


class Sessions:
    """Makes and reads cookies. The caller owns clock and randomness."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._key = hmac.new(token.encode(), b"mapable-cdc: sessions of the dashboard", hashlib.sha256).digest()
        self._ended: dict[str, int] = {}

    def admits(self, given: str) -> bool:
        """Whether this is the token, compared in constant time."""
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token)

    def begin(self, session_id: str, now_s: float) -> Session:
        """Return a new session. `session_id` is random and said to nobody else."""
        return Session(session_id, int(now_s) + SESSION_S)

    def sealed(self, session: Session) -> str:
        """Return the cookie."""
        return f"{session.id}.{session.ends_s}.{self._proof('session', session)}"

    def opened(self, cookie: str, now_s: float) -> Session | None:
        """Return the session of a cookie; None when it is none of ours, has ended or was signed out."""
        found = _SEALED.fullmatch(cookie)
        if found is None:
            return None
        session = Session(found[1], int(found[2]))
        if not hmac.compare_digest(self._proof("session", session), found[3]):
            return None
        return session if now_s < session.ends_s and session.id not in self._ended else None

    def end(self, session: Session, now_s: float) -> None:
        """Let its cookie be worth nothing from now on."""
        self._ended = {key: ends_s for key, ends_s in self._ended.items() if ends_s > now_s}
        self._ended[session.id] = session.ends_s

    def form_token(self, session: Session) -> str:
        """Return what every form of this session carries: another site can't know it."""
        return self._proof("form", session)

    def form_is_ours(self, session: Session, given: str) -> bool:
        """Whether a form carries the session's token, compared in constant time."""
        return hmac.compare_digest(self.form_token(session).encode(), given.encode("utf-8", "surrogateescape"))

    def _proof(self, purpose: str, session: Session) -> str:
        return hmac.new(self._key, f"{purpose} {session.id} {session.ends_s}".encode(), hashlib.sha256).hexdigest()
