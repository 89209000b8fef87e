"""A send stream replayed into a small map of paths: where every touched name went.

The kernel sends a recipe, not a comparison: it moves things out of its own way under temporary
names (``o257-9-0``), and one inode may be named by different paths on the way.  Collecting the
paths out of the commands would therefore report names that neither tree has.  Here the commands
are carried out on nodes instead, which are made only for what the stream names; everything else is
looked up in the old tree when asked for.
"""

from __future__ import annotations

import stat

from tcvs_core.history.stream import Attribute, Command, Kind, StreamError
from tcvs_core.linux.beneath import Beneath


class Inode:
    """What a name points at.  ``number`` is its inode number in the old tree, None if new."""

    __slots__ = ("data", "links", "metadata", "number")

    def __init__(self, number: int | None, links: int = 1) -> None:
        self.number = number
        #: Number of names in the old tree.
        self.links = links
        #: Ranges (offset, length) of the contents that the stream says differ.
        self.data: list[tuple[int, int]] = []
        #: Mode, owner or extended attributes were set.
        self.metadata = False

    @property
    def touched(self) -> bool:
        return self.metadata or bool(self.data)


class Node:
    """A name in the new tree.  ``children`` holds only names that the stream (or a lookup) has
    touched, None for one that is gone; the others are those of ``origin`` in the old tree."""

    __slots__ = ("children", "directory", "inode", "name", "origin", "parent")

    def __init__(self, inode: Inode, directory: bool, origin: str | None) -> None:
        self.inode = inode
        self.directory = directory
        #: Path of this directory in the old tree; None for what is no directory or is new.
        self.origin = origin
        self.parent: Node | None = None
        self.name = ""
        self.children: dict[str, Node | None] = {}

    def path(self) -> str | None:
        """Return where the node is in the new tree ("" for the root), None when it is gone."""
        names = []
        node: Node = self
        while node.parent is not None:
            if node.parent.children.get(node.name) is not node:
                return None
            names.append(node.name)
            node = node.parent
        return "/".join(reversed(names)) if node.name == "" else None


def join(parent: str, name: str) -> str:
    return f"{parent}/{name}" if parent else name


class Replay:
    """The new tree, as the old one and the commands so far give it."""

    def __init__(self, old: Beneath) -> None:
        self.old = old
        status = old.lstat("")
        assert status is not None
        self.root = Node(Inode(status.st_ino), True, "")
        #: Old inode number -> what it has become, for all that was looked up.
        self.inodes: dict[int, Inode] = {}
        #: Old path of a directory -> its node, for all that were looked up.
        self.directories: dict[str, Node] = {"": self.root}

    def child(self, node: Node, name: str) -> Node | None:
        """Return the entry ``name`` of the directory ``node``, None when there is none."""
        if name in node.children:
            return node.children[name]
        if node.origin is None:
            return None
        path = join(node.origin, name)
        status = self.old.lstat(path)
        if status is None:
            return None
        directory = stat.S_ISDIR(status.st_mode)
        inode = self.inodes.get(status.st_ino)
        if inode is None:
            inode = self.inodes[status.st_ino] = Inode(status.st_ino, status.st_nlink)
        found = Node(inode, directory, path if directory else None)
        if directory:
            self.directories[path] = found
        self._attach(node, name, found)
        return found

    def find(self, path: str) -> Node | None:
        """Return the node at ``path`` of the new tree, None when there is none."""
        node: Node | None = self.root
        for name in path.split("/") if path else ():
            if node is None or not node.directory:
                return None
            node = self.child(node, name)
        return node

    def now_at(self, old_directory: str) -> str | None:
        """Return where the directory at ``old_directory`` is in the new tree; None: gone."""
        node = self.directories.get(old_directory)
        if node is not None:
            return node.path()
        parent, _, name = old_directory.rpartition("/")
        above = self.now_at(parent)
        return None if above is None else join(above, name)

    def run(self, command: Command) -> None:
        """Carry out one command.  Raises StreamError if it does not fit the tree."""
        kind = command.kind
        if kind in (Kind.SUBVOL, Kind.SNAPSHOT, Kind.END, Kind.UTIMES):
            return
        path = command.path()
        if kind in _MAKES:
            self._put(path, Node(Inode(None), kind is Kind.MKDIR, None))
        elif kind is Kind.LINK:
            target = self._need(command.path(Attribute.PATH_LINK))
            self._put(path, Node(target.inode, False, None))
        elif kind is Kind.RENAME:
            node = self._take(path)
            self._put(command.path(Attribute.PATH_TO), node)
        elif kind in (Kind.UNLINK, Kind.RMDIR):
            self._take(path)
        elif kind in _DATA:
            length = command.number(_DATA[kind]) if _DATA[kind] in command.attributes else 0
            if kind is Kind.WRITE:
                length = len(command.attributes.get(Attribute.DATA, b""))
            offset = command.number(Attribute.FILE_OFFSET) if kind is not Kind.TRUNCATE else 0
            if kind is Kind.TRUNCATE:
                length = 0  # only the size: what is behind a new end needs no comparison
            self._need(path).inode.data.append((offset, length))
        else:
            self._need(path).inode.metadata = True

    def _need(self, path: str) -> Node:
        node = self.find(path)
        if node is None:
            raise StreamError(
                "the send stream does not belong to this tree", operation="replay", subject=path
            )
        return node

    def _take(self, path: str) -> Node:
        node = self._need(path)
        if node.parent is None:
            raise StreamError("bad send stream: it removes the root", operation="replay")
        node.parent.children[node.name] = None
        return node

    def _put(self, path: str, node: Node) -> None:
        parent, _, name = path.rpartition("/")
        above = self._need(parent)
        if not above.directory or not name:
            raise StreamError("bad send stream: no directory", operation="replay", subject=path)
        self._attach(above, name, node)

    @staticmethod
    def _attach(parent: Node, name: str, node: Node) -> None:
        parent.children[name] = node
        node.parent = parent
        node.name = name


_MAKES = {Kind.MKFILE, Kind.MKDIR, Kind.MKNOD, Kind.MKFIFO, Kind.MKSOCK, Kind.SYMLINK}
#: Commands that change contents, and the attribute that holds the length of the range.
_DATA = {
    Kind.WRITE: Attribute.DATA,
    Kind.CLONE: Attribute.CLONE_LEN,
    Kind.TRUNCATE: Attribute.SIZE,
    Kind.UPDATE_EXTENT: Attribute.SIZE,
    Kind.FALLOCATE: Attribute.SIZE,
    Kind.ENCODED_WRITE: Attribute.UNENCODED_FILE_LEN,
}
