"""Writing to pipes that others read when they like, without ever blocking."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

_PIECE = 65536


class PipeWriters:
    """Pipes that still want data.  Not locked: the connection does that."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pending: dict[int, tuple[memoryview, float]] = {}

    def add(self, fd: int, data: bytes, seconds: float) -> None:
        """Take over ``fd``; give up after ``seconds``."""
        os.set_blocking(fd, False)
        self._pending[fd] = (memoryview(data), self._clock() + seconds)

    def waiting(self) -> list[int]:
        """Return the descriptors to poll for writing."""
        return list(self._pending)

    def write(self, fd: int) -> None:
        """Write what ``fd`` takes; close it when done or when its reader has lost interest."""
        if fd not in self._pending:
            return
        data, deadline = self._pending[fd]
        try:
            data = data[os.write(fd, data[:_PIECE]) :]
        except BlockingIOError:
            return
        except OSError:
            data = data[:0]
        self._pending[fd] = (data, deadline)
        if not data:
            self._finish(fd)

    def expire(self) -> None:
        """Close those whose time is over."""
        now = self._clock()
        for fd in [fd for fd, (_, deadline) in self._pending.items() if deadline < now]:
            self._finish(fd)

    def close(self) -> None:
        """Close all."""
        for fd in self.waiting():
            self._finish(fd)

    def _finish(self, fd: int) -> None:
        del self._pending[fd]
        os.close(fd)
