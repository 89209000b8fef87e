"""Who may look: one-time tokens, exchanged for sessions; no I/O.

A token is printed by ``tcvs view`` as part of an address and so ends up in terminals, histories and
process lists.  It is therefore worth nothing once it has been used, and after ``TOKEN_LIFE``.  The
session that it buys lives in an HttpOnly cookie, until the viewer stops.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence

TOKEN_LIFE = 600.0
#: Enough for every tab anybody opens; a limit only so that nothing grows without end.
MAX_TOKENS = 64
MAX_SESSIONS = 256


class Admission:
    """The tokens that are still good and the sessions that are open.

    Only digests are kept and compared, so that a lookup's timing says nothing about a secret.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tokens: dict[bytes, tuple[float, tuple[str, ...] | None]] = {}
        self._sessions: dict[bytes, None] = {}

    def issue(self, branches: Sequence[str] | None = None) -> str:
        """Return a new token; ``branches`` is what its user asked to see, None for all."""
        token = secrets.token_urlsafe(32)
        self._forget_old()
        while len(self._tokens) >= MAX_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        chosen = None if branches is None else tuple(branches)
        self._tokens[_digest(token)] = (self._clock() + TOKEN_LIFE, chosen)
        return token

    def exchange(self, token: str) -> tuple[str, tuple[str, ...] | None] | None:
        """Use up ``token``: return a new session and the branches asked for, None if refused."""
        self._forget_old()
        entry = self._tokens.pop(_digest(token), None)
        if entry is None:
            return None
        session = secrets.token_urlsafe(32)
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[_digest(session)] = None
        return session, entry[1]

    def admits(self, session: str | None) -> bool:
        """Say whether ``session`` is an open session."""
        return session is not None and _digest(session) in self._sessions

    def _forget_old(self) -> None:
        now = self._clock()
        for key in [key for key, (end, _) in self._tokens.items() if end <= now]:
            del self._tokens[key]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
