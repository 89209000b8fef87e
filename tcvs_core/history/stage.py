"""The staging directory of a merge, and its journal: how a merge is undone, even after a crash.

``.tcvs-merge-<8 hex>`` lies in the root of the target, so that everything moves by rename. In it
are numbered slots (what is to come, and later what went away) and ``journal``, written and synced
before the first rename::

    {"version": 1, "steps": [step...]}                                   CBOR, paths as bytes
    {"do": "take", "path", "slot", "inode"}           path -> slot
    {"do": "put", "path", "slot", "inode"}            slot -> path, where nothing is
    {"do": "swap", "path", "slot", "inode"}           slot <-> path
    {"do": "set", "path", "inode", "old": [mode, uid, gid, {name: value}]}

``inode`` is that of what moves (of the new one for ``swap``), by which it is seen whether a step
was done.  When the journal has been renamed to ``done`` the merge stands; otherwise undoing every
step backwards gives the target as it was.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from typing import Any

from tcvs_core.codec import CodecError, decode, encode
from tcvs_core.history.metadata import Metadata, write_metadata
from tcvs_core.linux.beneath import RENAME_EXCHANGE, RENAME_NOREPLACE, Beneath, rename_between

PREFIX = ".tcvs-merge-"
_JOURNAL = "journal"
_DONE = "done"


class Stage:
    """An open staging directory in the tree ``root``."""

    def __init__(self, root: Beneath, name: str) -> None:
        self.root = root
        self.name = name
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        self.fd = os.open(name, flags, dir_fd=root.fd)
        self.steps: list[dict[str, Any]] = []

    @classmethod
    def create(cls, root: Beneath) -> Stage:
        """Make a fresh one.  Raises OSError."""
        name = PREFIX + secrets.token_hex(4)
        os.mkdir(name, 0o700, dir_fd=root.fd)
        return cls(root, name)

    @classmethod
    def leftovers(cls, root: Beneath) -> list[str]:
        """Names of staging directories that a crash has left in ``root``."""
        found = []
        for name in root.listdir("."):
            if name.startswith(PREFIX):
                status = os.stat(name, dir_fd=root.fd, follow_symlinks=False)
                # Whoever runs in the workspace may make such a directory; not as this user.
                if status.st_uid == os.geteuid() and status.st_mode & 0o777 == 0o700:
                    found.append(name)
        return sorted(found)

    def close(self) -> None:
        os.close(self.fd)

    def write_journal(self) -> None:
        """Make the steps durable.  Raises OSError."""
        data = encode({"version": 1, "steps": self.steps})
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = os.open(_JOURNAL + ".new", flags, 0o600, dir_fd=self.fd)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(_JOURNAL + ".new", _JOURNAL, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        os.fsync(self.fd)

    def read_journal(self) -> bool:
        """Load the steps; False when there is nothing to undo.  Raises OSError, CodecError."""
        try:
            fd = os.open(_JOURNAL, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self.fd)
        except FileNotFoundError:
            return False
        with os.fdopen(fd, "rb") as file:
            journal = decode(file.read())
        if not isinstance(journal, dict) or journal.get("version") != 1:
            raise CodecError("not a journal of a merge that is known here", operation="recover")
        self.steps = journal["steps"]
        return True

    def finish(self) -> None:
        """The merge stands: from here on there is no undoing.  Raises OSError."""
        os.rename(_JOURNAL, _DONE, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        os.fsync(self.fd)

    def remove(self) -> None:
        """Delete the directory and all in it.  Raises OSError."""
        for name in self.root.listdir(self.name):
            self.discard(name)
        os.rmdir(self.name, dir_fd=self.root.fd)

    def discard(self, name: str) -> None:
        """Delete one entry of the directory.  Raises OSError."""
        try:
            os.unlink(name, dir_fd=self.fd)
        except OSError as error:
            if error.errno not in (errno.EISDIR, errno.EPERM):
                raise
            shutil.rmtree(name, dir_fd=self.fd)

    @contextlib.contextmanager
    def _place(self, path: bytes | str) -> Iterator[tuple[int, str]]:
        text = os.fsdecode(path)
        if text in ("", "."):
            yield self.root.fd, "."
            return
        with self.root.parent(text) as found:
            yield found

    def inode(self, path: bytes | str) -> int | None:
        """Return the inode number at ``path`` of the target, None when there is nothing."""
        status = self.root.lstat(os.fsdecode(path))
        return None if status is None else status.st_ino

    def slot_inode(self, slot: str) -> int | None:
        try:
            return os.stat(slot, dir_fd=self.fd, follow_symlinks=False).st_ino
        except FileNotFoundError:
            return None

    def do(self, step: dict[str, Any]) -> None:
        """Do one renaming step.  Raises OSError."""
        with self._place(step["path"]) as (fd, name):
            if step["do"] == "take":
                rename_between(fd, name, self.fd, step["slot"], RENAME_NOREPLACE)
            elif step["do"] == "put":
                rename_between(self.fd, step["slot"], fd, name, RENAME_NOREPLACE)
            else:
                # This way round those who watch the directory are told that the name went away
                # and then that it came; the other way round they would believe it gone.
                rename_between(fd, name, self.fd, step["slot"], RENAME_EXCHANGE)

    def set(self, path: bytes | str, metadata: Metadata) -> None:
        """Give the entry at ``path`` of the target this metadata.  Raises OSError."""
        with self._place(path) as (fd, name):
            write_metadata(fd, name, metadata)

    def undo(self) -> None:
        """Undo every step that was done, the last one first.  Raises OSError."""
        for step in reversed(self.steps):
            if step["do"] == "set":
                if self.inode(step["path"]) == step["inode"]:
                    mode, uid, gid, xattrs = step["old"]
                    self.set(step["path"], Metadata(mode, uid, gid, xattrs))
            elif step["do"] == "take":
                if self.slot_inode(step["slot"]) == step["inode"]:
                    self.do({**step, "do": "put"})
            elif self.inode(step["path"]) == step["inode"]:
                self.do({**step, "do": "take" if step["do"] == "put" else "swap"})
