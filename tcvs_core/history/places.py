"""Where an entry belongs after both sides have moved things about.

A place is a parent directory and a name.  The parent is named by what it is, not by its path: an
entry of the base, or a directory that one side made.  So "theirs renamed the file" and "ours
renamed the directory that it is in" are changes of two different things, and both hold.
"""

from __future__ import annotations

from typing import Literal

from tcvs_core.history.mergeplan import Side
from tcvs_core.history.replay import join

#: A directory: ("base", path in the base), or one that is new in ours or theirs, by path there.
_Directory = tuple[Literal["base", "ours", "theirs"], str]
_Place = tuple[_Directory, str]


class Places:
    """Answers for one merge."""

    def __init__(self, ours: Side, theirs: Side) -> None:
        self.ours = ours
        self.theirs = theirs
        self._known: dict[str, tuple[str, bool]] = {}
        self._asked: list[str] = []
        self._apart: set[str] = set()

    def of(self, base_path: str) -> tuple[str, bool]:
        """Return the path of an entry of the base in the result, and whether the sides moved it
        to two different places, in which case the path is that of ours."""
        if base_path in ("", "."):
            return base_path, False
        if base_path in self._known:
            return self._known[base_path]
        if base_path in self._asked:
            # The sides have moved two directories into each other: both stay where ours has them.
            self._apart.update(self._asked[self._asked.index(base_path) :])
            return base_path, True
        self._asked.append(base_path)
        answer = self._find(base_path)
        self._asked.pop()
        self._known[base_path] = answer
        return answer

    def _find(self, base_path: str) -> tuple[str, bool]:
        ours, theirs = self.ours.now(base_path), self.theirs.now(base_path)
        fallback = ours if ours is not None else theirs if theirs is not None else base_path
        parent, _, name = base_path.rpartition("/")
        base: _Place = (("base", parent), name)
        mine = _place(self.ours, "ours", ours) or base
        other = _place(self.theirs, "theirs", theirs) or base
        if ours is None:
            mine = base
        if mine not in (base, other) and other != base:
            here, there = (join(self._directory(directory), n) for directory, n in (mine, other))
            # Each side may have made a directory of its own at the same path.
            return (here, False) if here == there else (fallback, True)
        directory, name = mine if other == base else other
        path = join(self._directory(directory), name)
        return (fallback, True) if base_path in self._apart else (path, False)

    def of_new(self, theirs_path: str) -> str:
        """Return the path in the result of an entry that is new in theirs."""
        place = _place(self.theirs, "theirs", theirs_path)
        assert place is not None
        directory, name = place
        return join(self._directory(directory), name)

    def _directory(self, directory: _Directory) -> str:
        side, path = directory
        if side == "base":
            return self.of(path)[0]
        return path if side == "ours" else self.of_new(path)


def _place(side: Side, label: Literal["ours", "theirs"], path: str | None) -> _Place | None:
    if path is None:
        return None
    parent, _, name = path.rpartition("/")
    was = side.was(parent)
    return (("base", was) if was is not None else (label, parent)), name
