"""What differs between two trees, exactly, in the terms that users of ``git diff`` expect.

A list of changes is a function of two trees and of which inodes they share:

1. A path that both trees have is compared in place: ``typechange``, ``modified``, ``metadata``
   (see ``compare.py``) or nothing.  Two files that swapped names are thus two modified files.
2. A directory that has lost its old path and whose new path is new was ``renamed``: one record.
   What it held is compared with what it holds as if it were in one place, so its children are
   listed only where they themselves differ.
3. Any other inode that lost an old path and has a new one was ``renamed``.  With hard links the
   lost and the new paths are paired in order of their names.
4. What is left was ``deleted`` (old paths, every file and directory) or ``added``.

A renamed entry that has also changed has a second record, ``modified`` or ``metadata``, at its new
path.  Paths of deleted entries and ``old_path`` are paths of the old tree, all others of the new
one.  The root itself is ``"."``.  Records are sorted by path.

Two implementations: ``changes`` replays a btrfs send stream and looks only at what it names;
``walk_changes`` lists both trees, for file systems without snapshots and as the check of the first.
"""

from __future__ import annotations

import os
from pathlib import Path

from tcvs_core.errors import TcvsError
from tcvs_core.history.compare import difference, file_type
from tcvs_core.history.replay import Inode, Node, Replay, join
from tcvs_core.history.stream import parse
from tcvs_core.linux.beneath import Beneath
from tcvs_core.linux.inopaths import ino_paths
from tcvs_core.model import Change


class TreeUnreadable(TcvsError):
    """A tree that is compared cannot be read."""

    code = "tree-unreadable"


def unreadable(error: OSError, operation: str) -> TreeUnreadable:
    """Return ``error`` as a TreeUnreadable."""
    return TreeUnreadable(
        "cannot read a file tree",
        operation=operation,
        subject=str(error.filename),
        errno=error.errno,
    )


def changes(stream: bytes, old: Path | int, new: Path | int) -> list[Change]:
    """Return what differs, from the send stream that turns ``old`` into ``new``.

    ``old`` and ``new`` are the read-only snapshots of that stream, by path or directory fd; needs
    root.  Raises StreamError, TreeUnreadable.
    """
    try:
        with Beneath(old) as before, Beneath(new) as after:
            replay = Replay(before)
            for command in parse(stream):
                replay.run(command)
            _find_hard_links(replay, after)
            return _Pairing(replay, after).result()
    except OSError as error:
        raise unreadable(error, "diff") from error


def _find_hard_links(replay: Replay, new: Beneath) -> None:
    """Look up all names of the touched inodes: the stream says only one of them."""
    for inode in list(replay.inodes.values()):
        if inode.links < 2 or not inode.touched or inode.number is None:
            continue
        paths = ino_paths(new.fd, inode.number)
        if paths is None:
            paths = [path for path, status in new.walk() if status.st_ino == inode.number]
        for path in paths:
            replay.find(path)


class _Pairing:
    """Pairs the touched part of the old tree with that of the new one."""

    def __init__(self, replay: Replay, new: Beneath) -> None:
        self.replay = replay
        self.old = replay.old
        self.new = new
        #: Old path, new path, what the new one points at.
        self.pairs: list[tuple[str, str, Inode]] = []
        #: Renamed directories, old path -> new path.
        self.moved: dict[str, str] = {}
        self.gone: dict[str, os.stat_result] = {}
        self.come: dict[str, Node] = {}

    def result(self) -> list[Change]:
        self.pairs.append(("", "", self.replay.root.inode))
        lost: list[str] = []
        fresh: list[tuple[str, Node]] = []
        self._same_place("", self.replay.root, lost, fresh)
        for path, node in fresh:
            self._expand_new(path, node)
        for path in lost:
            self._expand_old(path)
        self._pair_inodes()
        found = [Change("deleted", p, file_type(s)) for p, s in self.gone.items()]
        for path in self.come:
            status = self.new.lstat(path)
            if status is not None:
                found.append(Change("added", path, file_type(status)))
        for old_path, new_path, inode in self.pairs:
            found += self._compare(old_path, new_path, inode)
        return sorted(found, key=_order)

    def _names(self, old_path: str | None, node: Node) -> list[str]:
        """Names of a pair of directories that may differ; all when they are different inodes."""
        names = set(node.children)
        if old_path is None or node.origin != old_path:
            if old_path is not None:
                names.update(self.old.listdir(old_path))
            if node.origin is not None:
                names.update(self.old.listdir(node.origin))
        return sorted(names)

    def _same_place(
        self, path: str, node: Node, lost: list[str], fresh: list[tuple[str, Node]]
    ) -> None:
        """Rule 1: pair what has the same path in both trees, beneath a common directory."""
        for name in self._names(path, node):
            here = join(path, name)
            child = self.replay.child(node, name)
            status = self.old.lstat(here)
            if child is None:
                if status is not None:
                    lost.append(here)
            elif status is None:
                fresh.append((here, child))
            else:
                self.pairs.append((here, here, child.inode))
                old_directory = file_type(status) == "dir"
                if old_directory and child.directory:
                    self._same_place(here, child, lost, fresh)
                elif old_directory:
                    lost += [join(here, below) for below in self.old.listdir(here)]
                elif child.directory:
                    for below in self._names(None, child):
                        grandchild = self.replay.child(child, below)
                        if grandchild is not None:
                            fresh.append((join(here, below), grandchild))

    def _expand_new(self, path: str, node: Node) -> None:
        """Rule 2, for ``path``, which is new: is it a renamed directory?  Descend."""
        origin = node.origin
        if origin is not None and self.replay.find(origin) is None:
            self._move(origin, path, node)
            return
        self.come[path] = node
        if node.directory:
            for name in self._names(None, node):
                child = self.replay.child(node, name)
                if child is not None:
                    self._expand_new(join(path, name), child)

    def _expand_old(self, path: str) -> None:
        """List ``path``, which is gone, and what was in it, but not what a rename accounts for."""
        status = self.old.lstat(path)
        if status is None:
            return
        directory = file_type(status) == "dir"
        if directory and self._is_moved(path):
            return
        self.gone[path] = status
        if directory:
            for name in self.old.listdir(path):
                self._expand_old(join(path, name))

    def _is_moved(self, directory: str) -> bool:
        """Tell whether the old directory, whose path is gone, lives on at a path that is new."""
        now = self.replay.now_at(directory)
        return now is not None and self.old.lstat(now) is None

    def _move(self, old_path: str, path: str, node: Node) -> None:
        """Pair a directory with the one it was, or took the place of, before its parent moved."""
        self.moved[old_path] = path
        self.pairs.append((old_path, path, node.inode))
        for name in self._names(old_path, node):
            before, here = join(old_path, name), join(path, name)
            child = self.replay.child(node, name)
            status = self.old.lstat(before)
            if status is None:
                if child is not None:
                    self._expand_new(here, child)
                continue
            directory = file_type(status) == "dir"
            if child is None:
                self._expand_old(before)
            elif child.origin == before:
                self._move(before, here, child)
            elif (directory and self._is_moved(before)) or (
                child.origin is not None and self.replay.find(child.origin) is None
            ):
                # One of the two has its own partner elsewhere (rule 2).
                self._expand_old(before)
                self._expand_new(here, child)
            elif directory and child.directory:
                self._move(before, here, child)
            else:
                self.pairs.append((before, here, child.inode))
                if directory:
                    for below in self.old.listdir(before):
                        self._expand_old(join(before, below))
                elif child.directory:
                    for below in self._names(None, child):
                        grandchild = self.replay.child(child, below)
                        if grandchild is not None:
                            self._expand_new(join(here, below), grandchild)

    def _pair_inodes(self) -> None:
        """Rule 3."""
        lost: dict[int, list[str]] = {}
        for path, status in self.gone.items():
            if file_type(status) != "dir":
                lost.setdefault(status.st_ino, []).append(path)
        for path, node in sorted(self.come.items()):
            number = node.inode.number
            if node.directory or number is None or not lost.get(number):
                continue
            old_path = min(lost[number])
            lost[number].remove(old_path)
            del self.gone[old_path], self.come[path]
            self.pairs.append((old_path, path, node.inode))

    def _compare(self, old_path: str, path: str, inode: Inode) -> list[Change]:
        before, now = self.old.lstat(old_path), self.new.lstat(path)
        assert before is not None and now is not None
        kind = file_type(now)
        found = []
        if old_path != path and not _carried(old_path, path, self.moved):
            found.append(Change("renamed", path, kind, old_path))
        same_inode = inode.number == before.st_ino
        if same_inode and not inode.touched:
            return found
        ranges = inode.data if same_inode else None
        how = difference(self.old, old_path, before, self.new, path, now, ranges=ranges)
        if how is not None:
            found.append(Change(how, path or ".", kind))
        return found


def _carried(old_path: str, path: str, moved: dict[str, str]) -> bool:
    """Tell whether the rename of a directory above already says that ``old_path`` moved."""
    old_parent, _, old_name = old_path.rpartition("/")
    parent, _, name = path.rpartition("/")
    return old_name == name and moved.get(old_parent) == parent


def _order(change: Change) -> tuple[bytes, bool]:
    return os.fsencode(change.path), change.kind != "renamed"


def walk_changes(old: Path | int, new: Path | int) -> list[Change]:
    """Return what differs by listing and reading both trees whole: exact and slow.

    Inodes count as shared when number and time of birth are equal.  Raises TreeUnreadable.
    """
    try:
        with Beneath(old) as before, Beneath(new) as after:
            return _walk_changes(before, after)
    except OSError as error:
        raise unreadable(error, "diff") from error


def _walk_changes(old: Beneath, new: Beneath) -> list[Change]:
    before, after = dict(old.walk()), dict(new.walk())
    pairs = {path: path for path in after if path in before}  # new path -> old path
    lost = {path: status for path, status in before.items() if path not in after}
    by_inode: dict[int, list[str]] = {}
    for path in sorted(lost):
        by_inode.setdefault(lost[path].st_ino, []).append(path)

    def shared(path: str) -> list[str]:
        same = [p for p in by_inode.get(after[path].st_ino, []) if p in lost]
        return [p for p in same if old.birth_time(p) == new.birth_time(path)]

    moved: dict[str, str] = {}
    for path, status in after.items():
        if path not in pairs and file_type(status) == "dir":
            for source in shared(path):
                pairs[path] = source
                moved[source] = path
                del lost[source]
    back = {path: source for source, path in moved.items()}
    for path, status in after.items():  # parents come first
        parent, _, name = path.rpartition("/")
        if path in pairs or parent not in back:
            continue
        place = join(back[parent], name)
        if place in lost:
            pairs[path] = place
            if file_type(status) == file_type(lost[place]) == "dir":
                moved[place] = path
                back[path] = place
            del lost[place]
    for path in sorted(after):
        if path not in pairs:
            for source in shared(path)[:1]:
                pairs[path] = source
                del lost[source]
    found = [Change("deleted", path, file_type(status)) for path, status in lost.items()]
    for path, status in after.items():
        if path not in pairs:
            found.append(Change("added", path, file_type(status)))
            continue
        source = pairs[path]
        if source != path and not _carried(source, path, moved):
            found.append(Change("renamed", path, file_type(status), source))
        how = difference(old, source, before[source], new, path, status)
        if how is not None:
            found.append(Change(how, path, file_type(status)))
    roots = old.lstat(""), new.lstat("")
    assert roots[0] is not None and roots[1] is not None
    how = difference(old, "", roots[0], new, "", roots[1])
    if how is not None:
        found.append(Change(how, ".", "dir"))
    return sorted(found, key=_order)
