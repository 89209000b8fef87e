"""From single decisions to a plan that holds together.

Entries are merged one at a time; together they may not fit: something is in the way, a parent is
missing or no directory, a directory would be removed that is not empty.  ``settle`` adds missing
parents, and gives up single actions until the rest can be done.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from tcvs_core.history.compare import file_type
from tcvs_core.history.mergeplan import Action, Conflict, ConflictKind, fingerprint
from tcvs_core.history.metadata import Metadata, read_metadata
from tcvs_core.linux.beneath import Beneath


@dataclass(frozen=True)
class _Placement:
    action: Action
    #: Path of ours that the entry comes from or takes the place of.
    instead_of: str | None = None


class Draft:
    """A plan in the making: by path of ours, what goes away, what comes, what is touched."""

    def __init__(self, ours: Beneath, theirs: Beneath) -> None:
        self.ours = ours
        self.theirs = theirs
        self.removals: dict[str, Action] = {}
        self.placements: dict[str, _Placement] = {}
        self.metadata: dict[str, Action] = {}
        self.conflicts: list[Conflict] = []
        self.unchanged = 0

    def leaves(self, path: str) -> bool:
        """Tell whether what ours has at ``path`` is to go away."""
        return path in self.removals

    def remove(self, path: str, status: os.stat_result) -> None:
        """Note that what ours has at ``path`` is to go away."""
        self.removals[path] = Action(
            "remove", path, file_type(status), expected=fingerprint(status)
        )

    def place(
        self,
        action: Action,
        *,
        instead_of: str | None = None,
        status: os.stat_result | None = None,
    ) -> None:
        """Note that something is to be at ``action.path``, where ours has nothing or, with
        ``instead_of`` (its path in ours and ``status``), an earlier version of it."""
        if instead_of is not None:
            assert status is not None
            old_directory = file_type(status) == "dir"
            in_place = instead_of == action.path and not old_directory and action.kind != "mkdir"
            if in_place:
                action = replace(action, expected=fingerprint(status))
            else:
                self.remove(instead_of, status)
                if action.kind == "move":
                    action = replace(action, expected=fingerprint(status))
        if action.path in self.placements:
            self._refuse(_Placement(action, instead_of), "add/add")
        else:
            self.placements[action.path] = _Placement(action, instead_of)

    def _refuse(self, placement: _Placement, kind: ConflictKind) -> None:
        action, ours = placement.action, placement.instead_of
        if (ours is not None and ours != action.path) or action.expected is None:
            self.removals.pop(ours or "", None)
        there = self.ours.lstat(action.path) is not None
        self.conflicts.append(
            Conflict(
                action.path,
                kind,
                ours or (action.path if there else None),
                None,
                action.source or action.old_path,
            )
        )

    def drop(self, path: str, kind: ConflictKind) -> None:
        """Give up what was to be at ``path``."""
        self._refuse(self.placements.pop(path), kind)

    def ordered(self) -> list[Action]:
        """All actions in an order in which they can be done: away, deepest first; then here,
        parents first; then metadata."""
        moved = {
            p.action.old_path for p in self.placements.values() if p.action.old_path is not None
        }
        away = [a for path, a in sorted(self.removals.items(), reverse=True) if path not in moved]
        here = [p.action for _, p in sorted(self.placements.items(), key=_depth)]
        return away + here + [action for _, action in sorted(self.metadata.items())]


def _depth(item: tuple[str, _Placement]) -> tuple[int, str]:
    return item[0].count("/"), item[0]


def settle(draft: Draft) -> None:
    """Make ``draft`` hold together.  Each round gives something up, so it ends."""
    while _blocked(draft) or _kept(draft):
        pass


def _blocked(draft: Draft) -> bool:
    """Look for things in the way of what is to come; tell whether the draft has changed."""
    changed = False
    for path, placement in sorted(draft.placements.items(), key=_depth):
        if path not in draft.placements:
            continue
        there = draft.ours.lstat(path)
        wants_room = placement.action.expected is None or placement.action.kind == "move"
        if there is not None and wants_room and not draft.leaves(path):
            if placement.action.kind == "mkdir" and file_type(there) == "dir":
                del draft.placements[path]
            else:
                draft.drop(path, "add/add")
            changed = True
            continue
        changed |= _parents(draft, path, placement)
    return changed


def _parents(draft: Draft, path: str, placement: _Placement) -> bool:
    """See to it that every directory above ``path`` will be there."""
    changed = False
    names = path.split("/")[:-1]
    for length in range(1, len(names) + 1):
        parent = "/".join(names[:length])
        coming = draft.placements.get(parent)
        if coming is not None:
            if coming.action.kind == "mkdir":
                continue
            draft.drop(path, "type")
            return True
        there = draft.ours.lstat(parent)
        if there is not None and file_type(there) == "dir":
            if draft.leaves(parent):
                del draft.removals[parent]
                changed = True
        elif there is not None and not draft.leaves(parent):
            draft.drop(path, "type")
            return True
        else:
            metadata = _like(draft.theirs, placement.action.source, len(names) - length + 1)
            draft.place(Action("mkdir", parent, "dir", None, None, metadata))
            changed = True
    return changed


def _like(theirs: Beneath, source: str | None, levels: int) -> Metadata:
    """Metadata for a directory that is missing: as in theirs, ``levels`` above ``source``."""
    if source is not None:
        parent = "/".join(source.split("/")[:-levels])
        status = theirs.lstat(parent) if parent else None
        if status is not None and file_type(status) == "dir":
            return read_metadata(theirs, parent)
    return Metadata(0o755, os.geteuid(), os.getegid())


def _kept(draft: Draft) -> bool:
    """Keep directories that will not be empty; tell whether the draft has changed."""
    changed = False
    for path, action in sorted(draft.removals.items(), reverse=True):
        if action.type != "dir" or path not in draft.removals:
            continue
        inside = [f"{path}/{name}" for name in draft.ours.listdir(path)]
        busy = any(p.startswith(path + "/") for p in draft.placements) and (
            path not in draft.placements
        )
        if not busy and all(draft.leaves(p) for p in inside):
            continue
        del draft.removals[path]
        changed = True
        if path in draft.placements and draft.placements[path].action.kind != "mkdir":
            draft.drop(path, "type")
    return changed
