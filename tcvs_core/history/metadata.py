"""Mode, owner and extended attributes of an entry, and their three-way merge."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass, field
from typing import TypeVar

from tcvs_core.linux.beneath import Beneath, read_xattrs

_T = TypeVar("_T")


@dataclass(frozen=True)
class Metadata:
    """``mode`` holds permission bits only; ``mtime_ns`` None leaves the time alone."""

    mode: int
    uid: int
    gid: int
    xattrs: dict[str, bytes] = field(default_factory=dict)
    mtime_ns: int | None = None


def read_metadata(tree: Beneath, path: str, *, times: bool = True) -> Metadata:
    """Return the metadata of ``path``.  Raises OSError."""
    with tree.open(path, os.O_PATH) as fd:
        status = os.fstat(fd)
        return Metadata(
            stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_gid,
            read_xattrs(fd),
            status.st_mtime_ns if times else None,
        )


def write_metadata(parent_fd: int, name: str, wanted: Metadata) -> None:
    """Give the entry ``name`` of an open directory this metadata.  Raises OSError."""
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, dir_fd=parent_fd)
    try:
        status = os.fstat(fd)
        link = stat.S_ISLNK(status.st_mode)
        path = f"/proc/self/fd/{fd}"  # names the inode itself, whatever the entry is by now
        if (status.st_uid, status.st_gid) != (wanted.uid, wanted.gid):
            os.chown(path, wanted.uid, wanted.gid)
        if not link:
            os.chmod(path, wanted.mode)
        present = read_xattrs(fd)
        for key in present.keys() - wanted.xattrs.keys():
            os.removexattr(path, key)
        for key, value in wanted.xattrs.items():
            if present.get(key) != value:
                os.setxattr(path, key, value)
        if wanted.mtime_ns is not None:
            with contextlib.suppress(PermissionError):
                os.utime(path, ns=(status.st_atime_ns, wanted.mtime_ns))
    finally:
        os.close(fd)


def merge_metadata(base: Metadata, ours: Metadata, theirs: Metadata) -> tuple[Metadata, bool]:
    """Return the merge, and whether something could not be merged, for which ours was kept.

    Permission bits are merged one by one, which never conflicts: a bit is what the side that
    changed it made of it.  Owner, group and each attribute are merged as values.
    """
    conflict = False

    def choose(b: _T, o: _T, t: _T) -> _T:
        nonlocal conflict
        if b == t or o == t:
            return o
        if b == o:
            return t
        conflict = True
        return o

    mode = ours.mode ^ (base.mode ^ theirs.mode) & ~(base.mode ^ ours.mode)
    xattrs = {}
    for key in sorted(base.xattrs.keys() | ours.xattrs.keys() | theirs.xattrs.keys()):
        value = choose(base.xattrs.get(key), ours.xattrs.get(key), theirs.xattrs.get(key))
        if value is not None:
            xattrs[key] = value
    uid = choose(base.uid, ours.uid, theirs.uid)
    gid = choose(base.gid, ours.gid, theirs.gid)
    return Metadata(mode, uid, gid, xattrs), conflict
