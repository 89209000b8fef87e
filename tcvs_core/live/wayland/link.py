"""The way to a compositor: connects when needed, connects again after a loss or a close."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from tcvs_core.live.wayland.session import Session
from tcvs_core.live.wayland.wire import Disconnected

#: The path of the compositor's socket, a function that connects, or one connected socket.
Source = Path | socket.socket | Callable[[], socket.socket]


def connect(path: Path, timeout: float = 5.0) -> socket.socket:
    """Return a socket connected to the compositor's socket at ``path``.

    A symbolic link as the last component is refused: a workspace could point it elsewhere.  The
    path may be of any length.  Raises Disconnected.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.settimeout(timeout)
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            sock.connect(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
    except OSError as error:
        sock.close()
        raise Disconnected(
            "cannot reach the compositor",
            operation="connect",
            subject=str(path),
            errno=error.errno,
            hint="is the desktop of this workspace running?",
        ) from error
    return sock


class Link:
    """Holds the session, if there is one, and the clipboard text between sessions."""

    def __init__(self, source: Source, *, timeout: float, settle: float, offer: str | None) -> None:
        self._source = source
        self._timeout = timeout
        self._settle = settle
        self._offer = offer
        self._session: Session | None = None

    def session(self) -> Session:
        """Return a live session, connecting if needed.  Raises ScreenError."""
        session = self._session
        if session is not None and session.connection.alive:
            return session
        self.close()
        session = Session(self._socket(), timeout=self._timeout, settle=self._settle)
        self._session = session
        if self._offer is not None and session.clipboard.empty:
            session.clipboard.set(self._offer)
        self._offer = None
        return session

    def _socket(self) -> socket.socket:
        source = self._source
        if isinstance(source, Path):
            return connect(source, self._timeout)
        if callable(source):
            return source()
        if source.fileno() < 0:
            raise Disconnected(
                "the socket of this screen was closed",
                operation="connect",
                hint="make a new Screen with a new socket",
            )
        return source

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        session = self._session
        return session is not None and session.connection.alive

    @property
    def offered(self) -> str | None:
        """The clipboard text on offer, or to be offered again."""
        return self._offer if self._session is None else self._session.clipboard.offered

    def close(self) -> bool:
        """Disconnect; return whether the compositor was seen to let go."""
        session, self._session = self._session, None
        if session is None:
            return True
        self._offer = session.clipboard.offered
        return session.close()
