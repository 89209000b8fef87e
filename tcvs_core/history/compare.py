"""Is this entry of the old tree the same as that one of the new tree, and if not, how?

Compared are type, contents (of links the target, of devices the number), then permission bits,
owner, group and extended attributes (ACLs and capabilities are among them).  Not compared: times,
inode numbers, link counts, and the flags of chattr(1).  So a mere ``touch``, or a file written
anew with the same contents, is no change: a desktop does both all day.
"""

from __future__ import annotations

import os
import stat

from tcvs_core.linux.beneath import Beneath
from tcvs_core.model import ChangeKind, FileType

_BLOCK = 1 << 20

_TYPES: dict[int, FileType] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}


def file_type(status: os.stat_result) -> FileType:
    """Return the type of what ``status`` describes."""
    return _TYPES[stat.S_IFMT(status.st_mode)]


def difference(
    old: Beneath,
    old_path: str,
    old_status: os.stat_result,
    new: Beneath,
    new_path: str,
    new_status: os.stat_result,
    *,
    ranges: list[tuple[int, int]] | None = None,
) -> ChangeKind | None:
    """Return ``typechange``, ``modified``, ``metadata`` or None.

    ``ranges`` (offset, length) limits the comparison of files of equal size to what may differ;
    None compares all of it.  Raises OSError.
    """
    kind = stat.S_IFMT(new_status.st_mode)
    if stat.S_IFMT(old_status.st_mode) != kind:
        return "typechange"
    if kind == stat.S_IFREG:
        if old_status.st_size != new_status.st_size:
            return "modified"
        if ranges is None:
            ranges = [(0, new_status.st_size)]
        if not _same_contents(old, old_path, new, new_path, ranges):
            return "modified"
    elif kind == stat.S_IFLNK:
        if old.readlink(old_path) != new.readlink(new_path):
            return "modified"
    elif kind in (stat.S_IFCHR, stat.S_IFBLK) and old_status.st_rdev != new_status.st_rdev:
        return "modified"
    if not same_metadata(old, old_path, old_status, new, new_path, new_status):
        return "metadata"
    return None


def same_metadata(
    old: Beneath,
    old_path: str,
    old_status: os.stat_result,
    new: Beneath,
    new_path: str,
    new_status: os.stat_result,
) -> bool:
    """Tell whether permission bits, owner, group and extended attributes are equal."""
    return (
        old_status.st_mode == new_status.st_mode
        and old_status.st_uid == new_status.st_uid
        and old_status.st_gid == new_status.st_gid
        and old.xattrs(old_path) == new.xattrs(new_path)
    )


def same_contents(old: Beneath, old_path: str, new: Beneath, new_path: str) -> bool:
    """Tell whether two regular files hold the same bytes."""
    first, second = old.lstat(old_path), new.lstat(new_path)
    if first is None or second is None or first.st_size != second.st_size:
        return False
    if (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino):
        return True
    return _same_contents(old, old_path, new, new_path, [(0, first.st_size)])


def _same_contents(
    old: Beneath, old_path: str, new: Beneath, new_path: str, ranges: list[tuple[int, int]]
) -> bool:
    flags = os.O_RDONLY | os.O_NONBLOCK
    with old.open(old_path, flags) as first, new.open(new_path, flags) as second:
        for offset, length in ranges:
            end = offset + length
            while offset < end:
                step = min(_BLOCK, end - offset)
                left = os.pread(first, step, offset)
                if left != os.pread(second, step, offset):
                    return False
                if not left:
                    break  # a range may reach beyond the end of the file, to a full block
                offset += len(left)
    return True
