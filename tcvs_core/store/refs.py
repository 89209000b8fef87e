"""Branches, tags and HEAD: the names that point into the history.

A branch moves by compare-and-set under the repository's lock, its reflog line first (``reflog``).
Git's own ``.lock`` files are respected, so stock Git may work in the repository too; one that a
killed process left is broken after a second.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from types import EllipsisType
from typing import NamedTuple

from dulwich.file import FileLocked
from dulwich.objects import Commit, ObjectID, Tag
from dulwich.refs import Ref

from tcvs_core.errors import BusyError, UsageError
from tcvs_core.ids import BranchName, CommitId
from tcvs_core.store.atomic import disk_errors, sync_directory
from tcvs_core.store.gitdir import GitDir, HistoryDamaged
from tcvs_core.store.reflog import ZERO, Move, Reflog

_HEADS = "refs/heads/"
_TAGS = "refs/tags/"
_HEAD = Ref(b"HEAD")
_STALE_SECONDS = 1.0
_TAGGER = b"tcvs <tcvs@localhost>"


class RefChanged(BusyError):
    """A branch does not point to what the caller took it to point to; nothing was changed."""

    code = "ref-changed"


class NoSuchRef(UsageError):
    """There is no branch or tag of that name."""

    code = "no-such-ref"


class RefExists(UsageError):
    """There is a branch or tag of that name already."""

    code = "ref-exists"


class TagInfo(NamedTuple):
    """What a tag points to; ``message`` is None for one without."""

    commit: CommitId
    message: str | None


class Refs:
    """The names of one repository."""

    def __init__(self, git: GitDir) -> None:
        self._git = git

    # HEAD

    def head(self) -> BranchName:
        """Return the branch that HEAD names, born or not.  Raises HistoryDamaged."""
        with disk_errors("read", self._git.path / "HEAD"):
            target = self._git.repo.refs.read_ref(_HEAD)
        prefix = b"ref: " + _HEADS.encode()
        if target is None or not target.startswith(prefix):
            raise HistoryDamaged(
                "HEAD names no branch",
                operation="read HEAD",
                subject=str(self._git.path / "HEAD"),
                hint="`tcvs checkout BRANCH` mends it",
            )
        return BranchName(target[len(prefix) :].decode())

    def set_head(self, branch: BranchName) -> None:
        """Make HEAD name ``branch``, which need not exist yet.  Durable."""
        with self._git.lock(), disk_errors("write", self._git.path / "HEAD"):
            self._patiently("HEAD", lambda: self._point_head(branch))
            sync_directory(self._git.path)

    def _point_head(self, branch: BranchName) -> bool:
        self._git.repo.refs.set_symbolic_ref(_HEAD, Ref((_HEADS + branch).encode()))
        return True

    # Branches

    def branches(self) -> dict[BranchName, CommitId]:
        """Return all branches and what they point to, by name."""
        return {BranchName(name): target for name, target in self._all(_HEADS)}

    def branch(self, name: BranchName) -> CommitId | None:
        """Return what a branch points to, or None."""
        return self._get(_HEADS + name)

    def set_branch(
        self,
        name: BranchName,
        new: CommitId,
        old: CommitId | EllipsisType | None = ...,
        message: str = "",
    ) -> None:
        """Move ``name`` from ``old`` to ``new``, durably.

        ``old`` None: the branch must not exist; ``...``: whatever it points to.  Raises RefChanged,
        HistoryDamaged when ``new`` is not in the repository, PoolFull, StoreError.
        """
        with self._git.lock():
            self._git.commit(new)
            current = self.branch(name)
            if old is not ... and current != old:
                raise self._changed(name, current, old)
            if current == new:
                return
            log = self._log(name)
            if current is None:
                log.forget()  # of an earlier branch of that name
            log.append(current or ZERO, new, message)
            self._move(_HEADS + name, current, new)

    def delete_branch(self, name: BranchName) -> CommitId:
        """Delete a branch and its log; return what it pointed to.  Raises NoSuchRef, RefChanged."""
        with self._git.lock():
            current = self._must(name)
            self._remove(_HEADS + name, current)
            self._log(name).forget()
            return current

    def rename_branch(self, old: BranchName, new: BranchName) -> None:
        """Rename a branch with its log; HEAD goes with it.  Raises NoSuchRef, RefExists."""
        with self._git.lock():
            current = self._must(old)
            if self.branch(new) is not None:
                raise RefExists(
                    f"branch {new} exists already",
                    operation="rename branch",
                    subject=new,
                    hint="choose another name",
                )
            self._log(old).copy_to(self._log(new))
            self._move(_HEADS + new, None, current)
            if self.head() == old:
                self.set_head(new)
            self._remove(_HEADS + old, current)
            self._log(old).forget()

    def moves(self, name: BranchName) -> list[Move]:
        """Return the reflog of a branch, newest first; empty when there is none."""
        return self._log(name).moves(self.branch(name) or ZERO)

    # Tags

    def tags(self) -> dict[str, TagInfo]:
        """Return all tags by name.  Raises HistoryDamaged."""
        found = {}
        for name, target in self._all(_TAGS):
            item = self._git.load(target)
            if isinstance(item, Tag):
                text = (item.message or b"").decode("utf-8", "replace").rstrip("\n")
                found[name] = TagInfo(CommitId(item.object[1].decode("ascii")), text)
            else:
                found[name] = TagInfo(target, None)
        return found

    def set_tag(self, name: str, commit: CommitId, message: str | None = None) -> None:
        """Make a tag, annotated when there is a message.  Raises RefExists, HistoryDamaged."""
        with self._git.lock():
            self._git.commit(commit)
            if self._get(_TAGS + name) is not None:
                raise RefExists(
                    f"tag {name} exists already",
                    operation="tag",
                    subject=name,
                    hint=f"delete it first: `tcvs tag -d {name}`",
                )
            target = commit
            if message:
                item = Tag()
                item.name = name.encode()
                item.tagger = _TAGGER
                item.tag_time = int(time.time())
                item.tag_timezone = 0
                item.object = (Commit, ObjectID(commit.encode("ascii")))
                item.message = message.replace("\0", "").encode("utf-8", "replace") + b"\n"
                self._git.write([item])
                target = CommitId(item.id.decode("ascii"))
            self._move(_TAGS + name, None, target)

    def delete_tag(self, name: str) -> None:
        """Delete a tag.  Raises NoSuchRef."""
        with self._git.lock():
            current = self._get(_TAGS + name)
            if current is None:
                raise NoSuchRef(
                    f"there is no tag {name}",
                    operation="delete tag",
                    subject=name,
                    hint="see `tcvs tag`",
                )
            self._remove(_TAGS + name, current)

    # The ways in and out of dulwich

    def _log(self, name: BranchName) -> Reflog:
        return Reflog(self._git.path / "logs" / "refs" / "heads" / name)

    def _all(self, prefix: str) -> list[tuple[str, CommitId]]:
        with disk_errors("read", self._git.path / prefix):
            found = self._git.repo.refs.as_dict(Ref(prefix.encode()))
        return sorted((n.decode(), CommitId(t.decode("ascii"))) for n, t in found.items())

    def _get(self, ref: str) -> CommitId | None:
        with disk_errors("read", self._git.path / ref):
            value = self._git.repo.refs.read_ref(Ref(ref.encode()))
        return CommitId(value.decode("ascii")) if value else None

    def _must(self, name: BranchName) -> CommitId:
        current = self.branch(name)
        if current is None:
            raise NoSuchRef(
                f"there is no branch {name}",
                operation="find branch",
                subject=name,
                hint="see `tcvs branch`",
            )
        return current

    def _move(self, ref: str, old: CommitId | None, new: CommitId) -> None:
        refs = self._git.repo.refs
        name, target = Ref(ref.encode()), ObjectID(new.encode("ascii"))
        with disk_errors("write", self._git.path / ref):
            if old is None:
                done = self._patiently(ref, lambda: refs.add_if_new(name, target))
            else:
                before = ObjectID(old.encode("ascii"))
                done = self._patiently(ref, lambda: refs.set_if_equals(name, before, target))
            sync_directory((self._git.path / ref).parent)
        if not done:
            raise self._changed(ref, self._get(ref), old)

    def _remove(self, ref: str, old: CommitId) -> None:
        refs = self._git.repo.refs
        name, before = Ref(ref.encode()), ObjectID(old.encode("ascii"))
        with disk_errors("delete", self._git.path / ref):
            done = self._patiently(ref, lambda: refs.remove_if_equals(name, before))
            (self._git.path / ref).parent.mkdir(exist_ok=True)
            sync_directory((self._git.path / ref).parent)
        if not done:
            raise self._changed(ref, self._get(ref), old)

    def _patiently(self, ref: str, attempt: Callable[[], bool]) -> bool:
        """Do ``attempt`` as soon as nobody holds Git's lock on ``ref``."""
        deadline = time.monotonic() + _STALE_SECONDS
        first: tuple[int, int] | None = None
        while True:
            try:
                return attempt()
            except FileLocked as error:
                path = os.fsdecode(error.lockfilename)
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(path)
                seen = (status.st_ino, status.st_mtime_ns)
                first = first or seen
                if time.monotonic() > deadline:
                    if seen != first:
                        raise BusyError(
                            f"{ref} is being changed by another program",
                            operation="write ref",
                            subject=ref,
                            hint="try again in a moment",
                        )
                    os.unlink(path)  # whoever made it is gone
                    continue
            time.sleep(0.02)

    def _changed(
        self, name: str, current: CommitId | None, old: CommitId | EllipsisType | None
    ) -> RefChanged:
        def short(value: object) -> str:
            return value[:12] if isinstance(value, str) else "nothing"

        return RefChanged(
            f"branch {name} points to {short(current)}, not {short(old)}",
            operation="move branch",
            subject=name,
            hint="it was changed meanwhile; look at `tcvs log` and try again",
            details={
                "current": current,
                "expected": old if isinstance(old, str) else None,
            },
        )
