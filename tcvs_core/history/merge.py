"""Three-way merge of file trees: what theirs changed since the base, brought to ours.

Every entry of the base has a place on each side (its parent directory and its name), contents, and
metadata; each of the three is merged on its own.  What one side changed is taken; what both sides
changed alike is taken; text that both changed is merged by lines; what is left is a conflict, and
ours stays.  Hence an edit here and a chmod, or a rename of the file or of a directory above it,
there go together.  A directory is removed only when nothing is left in it.

``plan`` looks at three trees and touches nothing; ``apply`` (``apply.py``) carries a plan out.
Hard links that theirs made arrive as files of their own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tcvs_core.history.changes import unreadable
from tcvs_core.history.compare import file_type, same_contents
from tcvs_core.history.lines import is_binary
from tcvs_core.history.mergeplan import (
    Action,
    ActionKind,
    Conflict,
    ConflictKind,
    MergePlan,
    Side,
    fingerprint,
)
from tcvs_core.history.mergesettle import Draft, settle
from tcvs_core.history.mergetext import merge_text
from tcvs_core.history.metadata import Metadata, merge_metadata, read_metadata
from tcvs_core.history.paths import Selection
from tcvs_core.history.places import Places
from tcvs_core.linux.beneath import Beneath
from tcvs_core.model import Change, FileType

#: Larger files (bytes) are merged as wholes, not by lines.
_TOO_LARGE = 16 << 20

_CREATES: dict[FileType, ActionKind] = {"file": "write", "dir": "mkdir", "symlink": "symlink"}


def plan(
    base: Path,
    ours: Path,
    theirs: Path,
    base_to_ours: Sequence[Change],
    base_to_theirs: Sequence[Change],
    select: Selection | None = None,
    *,
    ours_name: str = "",
    theirs_name: str = "",
) -> MergePlan:
    """Decide how the selected changes of theirs come to ours; touch nothing.

    The changes are exact lists (``changes``, ``walk_changes``) between the trees given.  The names
    of the branches stand in conflict markers.  Raises TreeUnreadable.
    """
    try:
        with Beneath(base) as b, Beneath(ours) as o, Beneath(theirs) as t:
            planner = _Planner(b, Side(o, base_to_ours), Side(t, base_to_theirs))
            planner.select = select or Selection()
            planner.labels = (f"ours {ours_name}".rstrip(), f"theirs {theirs_name}".rstrip())
            planner.run(base_to_theirs)
            draft = planner.draft
    except OSError as error:
        raise unreadable(error, "merge") from error
    return MergePlan(base, ours, theirs, draft.ordered(), draft.conflicts, draft.unchanged)


class _Planner:
    def __init__(self, base: Beneath, ours: Side, theirs: Side) -> None:
        self.base = base
        self.ours = ours
        self.theirs = theirs
        self.select = Selection()
        self.labels = ("ours", "theirs")
        self.places = Places(ours, theirs)
        self.draft = Draft(ours.tree, theirs.tree)

    def run(self, changes: Sequence[Change]) -> None:
        for path in sorted(self._touched(changes)):
            self._entry(path)
        for path in sorted(self.theirs.added):
            if self.select.matches(path):
                self._added(path)
        settle(self.draft)

    def _touched(self, changes: Sequence[Change]) -> set[str]:
        """The paths of the base that theirs changed or moved, and that are selected."""
        found: set[str] = set()
        for change in changes:
            if change.old_path is not None:
                found.add(change.old_path)
                if change.type == "dir":
                    found.update(path for path, _ in self.base.walk(change.old_path))
            elif change.kind == "deleted":
                found.add(change.path)
            elif change.kind != "added":
                was = self.theirs.was(change.path)
                if was is not None:
                    found.add(was)
        return {path for path in found if self._selected(path)}

    def _selected(self, base_path: str) -> bool:
        now = self.theirs.now(base_path)
        return self.select.matches(base_path) or (now is not None and self.select.matches(now))

    def _conflict(
        self,
        path: str,
        kind: ConflictKind,
        ours: str | None,
        base: str | None,
        theirs: str | None,
        marked: bytes | None = None,
    ) -> None:
        action = None
        if marked is not None and ours is not None:
            status = self.ours.tree.lstat(ours)
            assert status is not None
            metadata = read_metadata(self.ours.tree, ours, times=False)
            action = Action(
                "write", ours, data=marked, metadata=metadata, expected=fingerprint(status)
            )
        self.draft.conflicts.append(Conflict(path, kind, ours, base, theirs, marked, action))

    def _entry(self, path: str) -> None:
        """Merge one entry of the base."""
        ours, theirs = self.ours.now(path), self.theirs.now(path)
        if ours is None and theirs is None:
            self.draft.unchanged += 1
        elif theirs is None:
            assert ours is not None
            self._deleted(path, ours)
        elif ours is None:
            status = self.theirs.tree.lstat(theirs)
            assert status is not None
            how = self.theirs.how.get(theirs)
            kept = file_type(status) == "dir" and how != "typechange"
            if kept or (how is None and path not in self.theirs.renamed):
                self.draft.unchanged += 1
            else:
                self._conflict(theirs, "delete/modify", None, path, theirs)
        else:
            self._both(path, ours, theirs)

    def _deleted(self, path: str, ours: str) -> None:
        status = self.ours.tree.lstat(ours)
        assert status is not None
        directory = file_type(status) == "dir"
        how = self.ours.how.get(ours)
        if how == "typechange" or (not directory and (how or path in self.ours.renamed)):
            self._conflict(ours, "modify/delete", ours, path, None)
            return
        self.draft.remove(ours, status)

    def _both(self, path: str, ours: str, theirs: str) -> None:
        """Merge an entry that all three trees have."""
        target, moved_apart = self.places.of(path)
        if moved_apart:
            self._conflict(ours, "rename", ours, path, theirs)
            target = ours
        ours_status, theirs_status = self.ours.tree.lstat(ours), self.theirs.tree.lstat(theirs)
        assert ours_status is not None and theirs_status is not None
        ours_type, theirs_type = file_type(ours_status), file_type(theirs_status)
        metadata = self._metadata(path, ours, theirs)
        data: bytes | None = None
        as_theirs = False
        if not self.theirs.changed(theirs):
            take = "ours"
        elif not self.ours.changed(ours):
            take = "theirs"
            as_theirs = ours_type != theirs_type
        elif ours_type != theirs_type:
            self._conflict(ours, "type", ours, path, theirs)
            return
        elif self._same(ours, theirs, ours_type):
            take = "ours"
        elif ours_type == "file":
            data = self._merge_text(path, ours, theirs)
            if data is None:
                return
            take = "merged"
        else:
            self._conflict(ours, "content", ours, path, theirs)
            return
        if take == "ours":
            self._keep(ours, ours_status, theirs, target, metadata)
            return
        if as_theirs:
            metadata = read_metadata(self.theirs.tree, theirs)
        elif data is None:
            metadata = replace(metadata, mtime_ns=theirs_status.st_mtime_ns)
        self.draft.place(
            Action(_CREATES.get(theirs_type, "node"), target, theirs_type, theirs, data, metadata),
            instead_of=ours,
            status=ours_status,
        )

    def _metadata(self, path: str, ours: str, theirs: str) -> Metadata:
        """Return the merged metadata, noting a conflict."""
        mine = read_metadata(self.ours.tree, ours, times=False)
        if self.theirs.how.get(theirs) is None:
            return mine
        before = read_metadata(self.base, path, times=False)
        other = read_metadata(self.theirs.tree, theirs, times=False)
        merged, conflict = merge_metadata(before, mine, other)
        if conflict:
            self._conflict(ours, "metadata", ours, path, theirs)
        return merged

    def _keep(
        self,
        ours: str,
        now: os.stat_result,
        theirs: str,
        target: str,
        metadata: Metadata,
    ) -> None:
        """Contents of ours, perhaps with another name or other metadata."""
        kind = file_type(now)
        changed = metadata != read_metadata(self.ours.tree, ours, times=False)
        if changed and kind != "dir" and self._parts_links(now, theirs):
            # Set in place it would reach names of this inode that theirs did not mean.
            metadata = replace(metadata, mtime_ns=now.st_mtime_ns)
            how = _CREATES.get(kind, "node")
            action = Action(how, target, kind, theirs, None, metadata, copy_of=ours)
            self.draft.place(action, instead_of=ours, status=now)
        elif target != ours:
            if kind == "dir":
                action = Action("mkdir", target, "dir", theirs, None, metadata)
            else:
                other = metadata if changed else None
                action = Action("move", target, kind, theirs, None, other, old_path=ours)
            self.draft.place(action, instead_of=ours, status=now)
        elif changed:
            self.draft.metadata[ours] = Action(
                "metadata", ours, kind, theirs, None, metadata, expected=fingerprint(now)
            )
        else:
            self.draft.unchanged += 1

    def _parts_links(self, ours: os.stat_result, theirs: str) -> bool:
        """Whether ours has hard links that are no longer one file in theirs."""
        if ours.st_nlink == 1:
            return False
        other = self.theirs.tree.lstat(theirs)
        return other is None or (other.st_ino, other.st_nlink) != (ours.st_ino, ours.st_nlink)

    def _same(self, ours: str, theirs: str, kind: FileType) -> bool:
        if kind == "file":
            return same_contents(self.ours.tree, ours, self.theirs.tree, theirs)
        if kind == "symlink":
            return self.ours.tree.readlink(ours) == self.theirs.tree.readlink(theirs)
        first, second = self.ours.tree.lstat(ours), self.theirs.tree.lstat(theirs)
        if first is None or second is None:
            return False
        return kind not in ("char", "block") or first.st_rdev == second.st_rdev

    def _merge_text(self, base: str | None, ours: str, theirs: str) -> bytes | None:
        """Return the merged text; None after noting a conflict."""
        trees = [(self.ours.tree, ours), (self.theirs.tree, theirs)]
        if base is not None:
            before = self.base.lstat(base)
            if before is not None and file_type(before) == "file":
                trees.append((self.base, base))
        texts = [tree.read(path, _TOO_LARGE + 1) for tree, path in trees]
        kind: ConflictKind = "content" if base is not None else "add/add"
        if any(len(text) > _TOO_LARGE or is_binary(text) for text in texts):
            self._conflict(ours, "binary" if base is not None else "add/add", ours, base, theirs)
            return None
        merged, count = merge_text(
            texts[2] if len(texts) > 2 else b"",
            texts[0],
            texts[1],
            ours_label=self.labels[0],
            theirs_label=self.labels[1],
        )
        if count:
            self._conflict(ours, kind, ours, base, theirs, merged)
            return None
        return merged

    def _added(self, theirs: str) -> None:
        """Bring an entry that the base does not have."""
        target = self.places.of_new(theirs)
        status = self.theirs.tree.lstat(theirs)
        assert status is not None
        kind = file_type(status)
        there = self.ours.tree.lstat(target)
        if there is not None and not self.draft.leaves(target):
            if file_type(there) != kind:
                self._conflict(target, "type", target, None, theirs)
            elif kind == "dir" or self._same(target, theirs, kind):
                self.draft.unchanged += 1
            elif kind == "file":
                data = self._merge_text(None, target, theirs)
                if data:  # one of the two is empty: the other one it is
                    metadata = read_metadata(self.ours.tree, target, times=False)
                    action = Action("write", target, "file", theirs, data, metadata)
                    self.draft.place(action, instead_of=target, status=there)
            else:
                self._conflict(target, "add/add", target, None, theirs)
            return
        metadata = read_metadata(self.theirs.tree, theirs)
        self.draft.place(Action(_CREATES.get(kind, "node"), target, kind, theirs, None, metadata))
