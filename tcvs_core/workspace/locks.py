"""One lock a branch, and one for the table of branches: who waits for whom, and for what.

Commands take the locks of all branches that they touch in sorted order, so that no two wait for
each other.  A command waits a while for another and then says what it waited for.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tcvs_core.errors import BusyError

WAIT = 60.0


@dataclass
class _Lock:
    lock: threading.RLock = field(default_factory=threading.RLock)
    holder: str = ""
    since: float = 0.0
    depth: int = 0


class Locks:
    """Locks by name; ``""`` is the table of branches, taken before all others."""

    def __init__(self, wait: float = WAIT) -> None:
        self._wait = wait
        self._locks: dict[str, _Lock] = {}
        self._guard = threading.Lock()

    def _get(self, name: str) -> _Lock:
        with self._guard:
            return self._locks.setdefault(name, _Lock())

    def free(self, name: str) -> bool:
        """Whether nobody holds ``name`` right now."""
        return not self._get(name).depth

    @contextlib.contextmanager
    def hold(self, operation: str, *names: str) -> Iterator[None]:
        """Hold the locks of ``names`` for ``operation``.  Raises BusyError after the wait."""
        with contextlib.ExitStack() as stack:
            deadline = time.monotonic() + self._wait
            for name in sorted(set(names)):
                stack.enter_context(self._one(name, operation, deadline))
            yield

    @contextlib.contextmanager
    def _one(self, name: str, operation: str, deadline: float) -> Iterator[None]:
        entry = self._get(name)
        if not entry.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            since = time.monotonic() - entry.since
            raise BusyError(
                f"{name or 'the repository'} is busy: `{entry.holder}` for {since:.0f} s",
                operation=operation,
                subject=name,
                hint="try again when it is done",
            )
        if not entry.depth:
            entry.holder, entry.since = operation, time.monotonic()
        entry.depth += 1
        try:
            yield
        finally:
            entry.depth -= 1
            entry.lock.release()
