"""What a merge will do, as data: actions, conflicts, and what they were decided from."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tcvs_core.errors import EXIT_CONFLICT, TcvsError
from tcvs_core.history.metadata import Metadata
from tcvs_core.linux.beneath import Beneath
from tcvs_core.model import Change, FileType

#: ``both`` sides of a conflict, ours first.  ``content``: the same lines, or two targets of a
#: symlink; ``add/add``: two different files at one new path; ``modify/delete``: ours modified,
#: theirs deleted; ``delete/modify``: the other way round; ``binary``; ``type``: file here,
#: directory or symlink there; ``rename``: moved to two places; ``metadata``: owner or attribute.
ConflictKind = Literal[
    "content",
    "add/add",
    "modify/delete",
    "delete/modify",
    "binary",
    "type",
    "rename",
    "metadata",
]

#: ``write``: a file; ``node``: fifo, socket, device; ``remove``: a file, or an empty directory.
ActionKind = Literal["write", "mkdir", "symlink", "node", "remove", "move", "metadata"]


class MergeError(TcvsError):
    """A merge could not be planned or applied.  The target is as it was."""

    code = "merge"


class MergeHalfDone(MergeError):
    """A merge failed and so did undoing it.  ``recover`` undoes it when the cause is gone."""

    code = "merge-half-done"


class MergeConflicts(MergeError):
    """There are conflicts and the caller wanted none."""

    code = "merge-conflicts"
    exit_status = EXIT_CONFLICT


class TargetChanged(MergeError):
    """The target is no longer what the plan was made from."""

    code = "target-changed"


@dataclass(frozen=True)
class Fingerprint:
    """Enough of an entry to see that it has been touched.  Equal in a snapshot and its source."""

    mode: int
    inode: int
    size: int
    uid: int
    gid: int
    device: int
    mtime_ns: int
    ctime_ns: int


def fingerprint(status: os.stat_result) -> Fingerprint:
    """Take the fingerprint of an entry; of a directory only what makes it this directory."""
    directory = stat.S_ISDIR(status.st_mode)
    return Fingerprint(
        status.st_mode,
        status.st_ino,
        0 if directory else status.st_size,
        status.st_uid,
        status.st_gid,
        status.st_rdev,
        0 if directory else status.st_mtime_ns,
        0 if directory else status.st_ctime_ns,
    )


@dataclass(frozen=True)
class Action:
    """One thing to do.  ``expected`` is what ours has at ``path`` (for ``move`` at ``old_path``),
    None when nothing may be there."""

    kind: ActionKind
    path: str
    type: FileType = "file"
    #: Where the entry lies in theirs; None when it is not there.
    source: str | None = None
    #: The contents, merged from both sides; None: those of ``source``.
    data: bytes | None = None
    metadata: Metadata | None = None
    old_path: str | None = None
    expected: Fingerprint | None = None
    #: Path in ours of a file whose contents are to be copied, instead of those of ``source``.
    copy_of: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "path": self.path,
            "type": self.type,
            "from": self._origin(),
            "old_path": self.old_path,
        }

    def _origin(self) -> str | None:
        if self.kind in ("remove", "move", "metadata"):
            return None
        if self.copy_of is not None:
            return "ours"
        return "theirs" if self.data is None else "merged"


@dataclass(frozen=True)
class Conflict:
    """What could not be decided.  Ours stays at ``path``, with ``marked`` in its place if asked.

    ``ours``, ``base``, ``theirs`` are paths in the three trees, where every version still is.
    """

    path: str
    kind: ConflictKind
    ours: str | None = None
    base: str | None = None
    theirs: str | None = None
    marked: bytes | None = None
    #: Writes ``marked``; only with ``conflicts="markers"``.
    action: Action | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "kind": self.kind,
            "ours": self.ours,
            "base": self.base,
            "theirs": self.theirs,
            "marked": None if self.marked is None else self.marked.decode("utf-8", "replace"),
        }


@dataclass(frozen=True)
class MergePlan:
    """Everything that a merge will do; nothing has been touched.

    The trees must stay until the plan has been applied.  ``unchanged`` counts changes of theirs
    that ours has already, or has overruled by deleting the path.
    """

    base: Path
    ours: Path
    theirs: Path
    actions: list[Action] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    unchanged: int = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do and nothing to decide."""
        return not self.actions and not self.conflicts

    def to_dict(self) -> dict[str, Any]:
        return {
            "actions": [action.to_dict() for action in self.actions],
            "conflicts": [conflict.to_dict() for conflict in self.conflicts],
            "unchanged": self.unchanged,
        }


class Side:
    """One side's view of the base: where each of its entries went."""

    def __init__(self, tree: Beneath, changes: Sequence[Change]) -> None:
        self.tree = tree
        self.renamed = {c.old_path: c.path for c in changes if c.old_path is not None}
        self.back = {new: old for old, new in self.renamed.items()}
        self.deleted = {c.path for c in changes if c.kind == "deleted"}
        self.added = {c.path for c in changes if c.kind == "added"}
        #: New path -> ``modified``, ``metadata`` or ``typechange``.
        self.how = {
            c.path: c.kind for c in changes if c.kind in ("modified", "metadata", "typechange")
        }

    def now(self, base_path: str) -> str | None:
        """Return where ``base_path`` is on this side, None when it was deleted."""
        if base_path == "" or base_path == ".":
            return base_path
        if base_path in self.deleted:
            return None
        if base_path in self.renamed:
            return self.renamed[base_path]
        parent, _, name = base_path.rpartition("/")
        above = self.now(parent)
        if above is None:
            return None
        return f"{above}/{name}" if above else name

    def was(self, path: str) -> str | None:
        """Return where ``path`` of this side was in the base, None when it is new."""
        if path == "" or path == ".":
            return path
        if path in self.added:
            return None
        if path in self.back:
            return self.back[path]
        parent, _, name = path.rpartition("/")
        above = self.was(parent)
        if above is None:
            return None
        return f"{above}/{name}" if above else name

    def changed(self, path: str) -> bool:
        """Whether contents or type of ``path`` of this side differ from the base."""
        return self.how.get(path) in ("modified", "typechange")
