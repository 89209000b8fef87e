"""mount(2) and umount2(2)."""

from __future__ import annotations

import os

from tcvs_core.linux.libc import check, libc

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_NOATIME = 1024
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MNT_DETACH = 2


def mount(
    source: str | os.PathLike[str] | None,
    target: str | os.PathLike[str],
    fstype: str | None = None,
    flags: int = 0,
    data: str | None = None,
) -> None:
    """mount(2).  Raises OSError with the target in it."""
    check(
        libc.mount(
            None if source is None else os.fsencode(source),
            os.fsencode(target),
            None if fstype is None else fstype.encode(),
            flags,
            None if data is None else data.encode(),
        ),
        f"mount {os.fspath(target)}",
    )


def umount(target: str | os.PathLike[str], flags: int = 0) -> None:
    """umount2(2).  Raises OSError with the target in it."""
    check(libc.umount2(os.fsencode(target), flags), f"umount {os.fspath(target)}")
