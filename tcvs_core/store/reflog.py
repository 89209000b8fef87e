"""What a branch pointed to before: Git's reflog files, written before the branch moves.

Format (Git's own): one line a move, oldest first, ``<old> <new> <name> <email> <seconds> +0000``,
a tab, the message.  Stock ``git reflog`` reads it.

The line is on disk *before* the ref moves, so that no moved branch ever lacks the way back.  A
crash between the two leaves a last line that did not happen: its ``old`` is what the branch still
points to.  Such a line is not shown, and dropped by the next append; so is half a line.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from tcvs_core.store.atomic import disk_errors, sync_directory, write_all, write_file

ZERO = "0" * 40
_IDENTITY = "tcvs <tcvs@localhost>"
_LINE = re.compile(r"([0-9a-f]{40}) ([0-9a-f]{40}) .*? (\d+) [+-]\d{4}(?:\t(.*))?\Z")
_MESSAGE_MAX = 500


@dataclass(frozen=True)
class Move:
    """A branch went from ``old`` to ``new`` (40 zeros: was not there)."""

    time: float
    old: str
    new: str
    message: str


class Reflog:
    """The log of one branch.  Writers hold the repository's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def moves(self, current: str) -> list[Move]:
        """Return the moves, newest first; ``current`` is what the branch points to, or ZERO."""
        return [move for move, _ in reversed(self._entries(self._read(), current))]

    def append(self, old: str, new: str, message: str) -> None:
        """Record durably that the branch is about to move from ``old`` to ``new``.

        Raises PoolFull, StoreError.
        """
        data = self._read()
        entries = self._entries(data, old)
        end = entries[-1][1] if entries else 0
        text = " ".join(message.replace("\0", "").split())[:_MESSAGE_MAX]
        line = f"{old} {new} {_IDENTITY} {int(time.time())} +0000\t{text}\n"
        with disk_errors("write", self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
            fd = os.open(self.path, flags, 0o600)
            try:
                os.ftruncate(fd, end)
                os.lseek(fd, end, os.SEEK_SET)
                write_all(fd, line.encode("utf-8", "replace"))
                os.fsync(fd)
            finally:
                os.close(fd)
            if not data:
                sync_directory(self.path.parent)

    def forget(self) -> None:
        """Remove the log."""
        with disk_errors("remove", self.path):
            self.path.unlink(missing_ok=True)

    def copy_to(self, other: Reflog) -> None:
        """Make ``other`` a copy of this log."""
        data = self._read()
        with disk_errors("write", other.path):
            other.path.parent.mkdir(parents=True, exist_ok=True)
        write_file(other.path, data)

    def _read(self) -> bytes:
        with disk_errors("read", self.path):
            try:
                return self.path.read_bytes()
            except FileNotFoundError:
                return b""

    @staticmethod
    def _entries(data: bytes, current: str) -> list[tuple[Move, int]]:
        """Return each move and the offset behind its line, without a move that did not happen."""
        entries: list[tuple[Move, int]] = []
        offset = 0
        for raw in data.splitlines(keepends=True):
            offset += len(raw)
            found = _LINE.match(raw.decode("utf-8", "replace").rstrip("\n"))
            if raw.endswith(b"\n") and found:
                move = Move(float(found[3]), found[1], found[2], found[4] or "")
                entries.append((move, offset))
        if entries and entries[-1][0].new != current and entries[-1][0].old == current:
            entries.pop()
        return entries
