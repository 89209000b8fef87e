"""Carrying out a merge plan on a live root: all of it or nothing.

First everything that is to come is made in a staging directory in the target (reflinked where the
file system can), then the target is compared with what the plan was made from, then all is renamed
into place.  A failure at any step undoes the ones before; after a crash ``recover`` does.  Files
that are replaced get new inodes, as when an editor saves; open files keep the old ones.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Any, Literal

from tcvs_core.errors import TcvsError
from tcvs_core.faults import Fault, hit
from tcvs_core.history.compare import difference
from tcvs_core.history.mergeplan import (
    Action,
    Fingerprint,
    MergeConflicts,
    MergeError,
    MergeHalfDone,
    MergePlan,
    TargetChanged,
    fingerprint,
)
from tcvs_core.history.metadata import Metadata, read_metadata, write_metadata
from tcvs_core.history.stage import Stage
from tcvs_core.linux.beneath import Beneath
from tcvs_core.linux.btrfs import reflink, syncfs

_BLOCK = 1 << 20


def apply(
    plan: MergePlan, root: Path, *, conflicts: Literal["markers", "refuse"] = "refuse"
) -> None:
    """Carry out ``plan`` on the live tree ``root``, whose content is ``plan.ours``.

    ``markers`` writes text conflicts with markers and leaves ours in place of all others;
    ``refuse`` raises MergeConflicts when there is any.  Raises TargetChanged when ``root`` is no
    longer what was planned for, MergeError; then nothing has changed.  Raises MergeHalfDone when
    even that failed; then call ``recover``.
    """
    staged = stage(plan, root, conflicts=conflicts)
    try:
        staged.apply()
    finally:
        staged.close()


def stage(
    plan: MergePlan, root: Path, *, conflicts: Literal["markers", "refuse"] = "refuse"
) -> StagedMerge:
    """Do the slow part of ``apply``, which may run while the desktop does.

    Close the result in any case.  Raises as ``apply``.
    """
    if conflicts == "refuse" and plan.conflicts:
        count = len(plan.conflicts)
        raise MergeConflicts(
            f"{count} conflict{'s' if count > 1 else ''}, nothing was merged",
            operation="merge",
            subject=plan.conflicts[0].path,
            hint="merge again with conflict markers, or choose other paths",
            details={"conflicts": [conflict.to_dict() for conflict in plan.conflicts]},
        )
    actions = list(plan.actions)
    if conflicts == "markers":
        actions += [c.action for c in plan.conflicts if c.action is not None]
    staged = StagedMerge(plan, root)
    try:
        staged.prepare(actions)
    except BaseException:
        staged.close()
        raise
    return staged


def recover(root: Path) -> int:
    """Undo merges of ``root`` that a crash interrupted; return how many there were.

    Merges that were complete stay, their leftovers go.  Raises MergeError.
    """
    count = 0
    try:
        opened = Beneath(root)
    except OSError as error:
        raise MergeError(
            "cannot look for interrupted merges",
            operation="recover",
            subject=str(root),
            errno=error.errno,
        ) from error
    with opened as tree:
        for name in Stage.leftovers(tree):
            left = Stage(tree, name)
            try:
                if left.read_journal():
                    left.undo()
                left.remove()
            except (OSError, KeyError, TcvsError) as error:
                raise MergeError(
                    f"cannot undo an interrupted merge: {error}",
                    operation="recover",
                    subject=name,
                    hint="the versions of the files are in this directory and in the branches",
                ) from error
            finally:
                left.close()
            count += 1
    return count


class StagedMerge:
    """A merge that only has to be renamed into place."""

    def __init__(self, plan: MergePlan, root: Path) -> None:
        self._stack = contextlib.ExitStack()
        self._actions: list[Action] = []
        self._kept: list[tuple[Action, Metadata]] = []
        self._stage: Stage | None = None
        try:
            self._root = self._stack.enter_context(Beneath(root))
            self._ours = self._stack.enter_context(Beneath(plan.ours))
            self._theirs = self._stack.enter_context(Beneath(plan.theirs))
        except OSError as error:
            self._stack.close()
            raise _failed(error) from error

    def close(self) -> None:
        """Remove what is left in the target of staging."""
        with contextlib.suppress(OSError):
            if self._stage is not None:
                self._stage.remove()
        if self._stage is not None:
            self._stage.close()
            self._stage = None
        self._stack.close()

    def prepare(self, actions: list[Action]) -> None:
        """Make everything that is to come, and the journal.  Raises MergeError."""
        self._actions = actions
        if not actions:
            return
        try:
            self._check()
            self._stage = Stage.create(self._root)
            moved = {action.old_path for action in actions if action.kind == "move"}
            takes = [a for a in actions if a.kind == "remove" and a.path not in moved]
            takes += [a for a in actions if a.kind == "move"]
            # A directory can be taken away only after all in it, moved things among them.
            takes.sort(key=lambda a: (a.old_path or a.path).count("/"), reverse=True)
            slots = {id(a): str(n) for n, a in enumerate(actions)}
            steps = [self._take(action, slots[id(action)]) for action in takes]
            for action in actions:
                if action.kind not in ("remove", "metadata"):
                    steps += self._come(action, slots[id(action)])
            for action in actions:
                if action.kind == "metadata":
                    assert action.metadata is not None
                    steps.append(self._set(action.path, action.path, action.metadata))
            self._stage.steps = steps
            syncfs_quietly(self._root)
            self._stage.write_journal()
        except OSError as error:
            raise _failed(error) from error

    def apply(self) -> None:
        """Rename everything into place: quick.  Raises TargetChanged, MergeError."""
        if self._stage is None:
            return
        try:
            hit(Fault.MERGE_STAGED)
            self._check()
            wanted = {os.fsencode(a.path): a.metadata for a, _ in self._kept}
            for step in self._stage.steps:
                hit(Fault.MERGE_APPLYING)
                self._do(step, wanted)
            self._stage.finish()
        except BaseException as error:
            self._undo(error)
            if isinstance(error, OSError):
                raise _failed(error) from error
            raise

    def _undo(self, cause: BaseException) -> None:
        assert self._stage is not None
        try:
            try:
                self._stage.undo()
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                # Even a rename needs room on btrfs; ending the transaction often frees some.
                syncfs_quietly(self._root)
                self._stage.undo()
        except OSError as error:
            name = self._stage.name
            self._stage.close()
            self._stage = None  # stays for recover()
            raise MergeHalfDone(
                f"a merge failed ({cause}) and could not be undone yet",
                operation="merge",
                subject=name,
                errno=error.errno,
                hint="free some space; it is undone when the workspace is next opened",
            ) from error

    def _do(self, step: dict[str, Any], wanted: dict[bytes, Metadata | None]) -> None:
        assert self._stage is not None
        if step["do"] == "set":
            metadata = wanted[step["path"]]
            assert metadata is not None
            self._stage.set(step["path"], metadata)
            return
        if step.get("empty"):
            with self._root.open(os.fsdecode(step["path"]), os.O_RDONLY | os.O_DIRECTORY) as fd:
                if os.listdir(fd):
                    raise _changed(os.fsdecode(step["path"]))
        self._stage.do(step)
        if step["do"] == "put":
            return
        # What was taken away must be what was compared before, now that nobody can reach it.
        status = os.stat(step["slot"], dir_fd=self._stage.fd, follow_symlinks=False)
        if [status.st_size, status.st_mtime_ns] != step["was"] and not step.get("empty"):
            raise _changed(os.fsdecode(step["path"]))

    def _check(self) -> None:
        """Raise TargetChanged unless the target is what the plan was made from."""
        for action in self._actions:
            path = action.old_path or action.path
            status = self._root.lstat(path)
            if action.expected is None:
                # Where something else goes away first, the check of that action counts.
                if status is not None and not self._leaves(path):
                    raise _changed(path)
            elif status is None or not self._same(path, status, action.expected):
                raise _changed(path)

    def _leaves(self, path: str) -> bool:
        return any(a.kind == "remove" and a.path == path for a in self._actions) or any(
            a.kind == "move" and a.old_path == path for a in self._actions
        )

    def _same(self, path: str, status: os.stat_result, expected: Fingerprint) -> bool:
        if fingerprint(status) == expected:
            return True
        planned = self._ours.lstat(path)
        if planned is None or os.path.samestat(planned, status):
            return False  # planned from the target itself, which has changed
        return difference(self._ours, path, planned, self._root, path, status) is None

    def _take(self, action: Action, slot: str) -> dict[str, Any]:
        path = action.old_path or action.path
        status = self._root.lstat(path)
        if status is None:
            raise _changed(path)
        return {
            "do": "take",
            "path": os.fsencode(path),
            "slot": slot,
            "inode": status.st_ino,
            "was": [status.st_size, status.st_mtime_ns],
            "empty": stat.S_ISDIR(status.st_mode),
        }

    def _come(self, action: Action, slot: str) -> list[dict[str, Any]]:
        """Stage one new entry and return the steps that bring it into place."""
        assert self._stage is not None
        path = os.fsencode(action.path)
        if action.kind == "move":
            assert action.old_path is not None
            inode = self._stage.inode(action.old_path)
            steps: list[dict[str, Any]] = [
                {"do": "put", "path": path, "slot": slot, "inode": inode}
            ]
            if action.metadata is not None:
                steps.append(self._set(action.path, action.old_path, action.metadata))
            return steps
        self._make(action, slot)
        assert action.metadata is not None
        write_metadata(self._stage.fd, slot, action.metadata)
        made = self._stage.slot_inode(slot)
        step: dict[str, Any] = {"do": "put", "path": path, "slot": slot, "inode": made}
        if action.expected is not None:
            status = self._root.lstat(action.path)
            if status is None:
                raise _changed(action.path)
            step |= {"do": "swap", "was": [status.st_size, status.st_mtime_ns]}
        return [step]

    def _set(self, path: str, now: str, metadata: Metadata) -> dict[str, Any]:
        """The step that gives ``path``, which is at ``now`` yet, other metadata."""
        old = read_metadata(self._root, now, times=False)
        self._kept.append((Action("metadata", path, metadata=metadata), old))
        status = self._root.lstat(now)
        return {
            "do": "set",
            "path": os.fsencode(path),
            "inode": None if status is None else status.st_ino,
            "old": [old.mode, old.uid, old.gid, old.xattrs],
        }

    def _make(self, action: Action, slot: str) -> None:
        assert self._stage is not None
        fd = self._stage.fd
        tree, path = self._theirs, action.source or ""
        if action.copy_of is not None:
            tree, path = self._root, action.copy_of
        if action.kind == "mkdir":
            os.mkdir(slot, 0o700, dir_fd=fd)
        elif action.kind == "symlink":
            os.symlink(tree.readlink(path), slot, dir_fd=fd)
        elif action.kind == "node":
            status = tree.lstat(path)
            if status is None:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            os.mknod(slot, stat.S_IFMT(status.st_mode) | 0o600, status.st_rdev, dir_fd=fd)
        else:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(slot, flags, 0o600, dir_fd=fd), "wb") as file:
                if action.data is not None:
                    file.write(action.data)
                else:
                    with tree.open(path, os.O_RDONLY | os.O_NONBLOCK) as source:
                        _copy(source, file.fileno())


def _copy(source: int, target: int) -> None:
    try:
        reflink(source, target)
        return
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL):
            raise
    offset = 0
    while data := os.pread(source, _BLOCK, offset):
        offset += len(data)
        while data:
            data = data[os.write(target, data) :]


def syncfs_quietly(root: Beneath) -> None:
    """Write out what was staged, so that it is there should the power fail after the renames."""
    with contextlib.suppress(OSError):
        syncfs(f"/proc/self/fd/{root.fd}")


def _failed(error: OSError) -> MergeError:
    return MergeError(
        "the merge could not be applied, the target is as it was",
        operation="merge",
        subject=str(error.filename) if error.filename is not None else None,
        errno=error.errno,
    )


def _changed(path: str) -> TargetChanged:
    return TargetChanged(
        f"{path} has changed while the merge was being prepared; nothing was merged",
        operation="merge",
        subject=path,
        hint="merge again",
    )
