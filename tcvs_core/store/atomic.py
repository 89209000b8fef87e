"""Writing so that a crash leaves the old or the new, and what a full or failing disk is called.

Every file of the store is written under a temporary name ``.tmp-...`` in its own directory, synced,
renamed, and the directory synced.  The writer holds ``flock`` on its temporary file, so that
``clean`` can tell what a dead process left from what a living one is writing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from tcvs_core.errors import TcvsError

#: Told how far a long operation is: stage (one word), fraction 0..1 of that stage, detail.
Progress = Callable[[str, float, str], None]

TEMPORARY = ".tmp-"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class StoreError(TcvsError):
    """The kernel refused to read or write a part of the repository."""

    code = "store"


class PoolFull(TcvsError):
    """No room left, in the pool or on the disk beneath it.  Nothing half-made stays behind."""

    code = "pool-full"


@contextlib.contextmanager
def disk_errors(operation: str, subject: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an OSError of the block into PoolFull or StoreError."""
    name = os.fspath(subject)
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise PoolFull(
                f"no room left to {operation} {name}",
                operation=operation,
                subject=name,
                errno=error.errno,
                hint="delete branches or images that are no longer needed, or free space on the "
                "disk that holds the repository",
            ) from error
        hint = None
        if error.errno in (errno.EIO, errno.EROFS):
            hint = "the disk that holds the repository is full or failing; see the kernel's log"
        elif error.errno in (errno.EPERM, errno.EACCES):
            hint = "run as root"
        raise StoreError(
            f"cannot {operation} {name}",
            operation=operation,
            subject=name,
            errno=error.errno,
            hint=hint,
        ) from error


def sync_directory(directory: str | os.PathLike[str]) -> None:
    """fsync ``directory``, so that names made in it last.  Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """fsync the file ``path``.  Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def create_temporary(directory: Path) -> tuple[Path, int]:
    """Create and lock a new temporary file (mode 0600) and return it open.  Raises OSError."""
    while True:
        path = directory / f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(6)}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:  # not cleaned away between open and flock
            return path, fd
        os.close(fd)


def publish(temporary: Path, fd: int, target: Path) -> None:
    """Sync the temporary file and give it its name.  Raises OSError; ``fd`` stays open."""
    os.fsync(fd)
    os.rename(temporary, target)
    sync_directory(target.parent)


def write_file(target: Path, data: bytes) -> None:
    """Write ``target`` at once or not at all, durably, mode 0600, replacing what was there.

    Raises PoolFull, StoreError.
    """
    with disk_errors("write", target):
        temporary, fd = create_temporary(target.parent)
        try:
            write_all(fd, data)
            publish(temporary, fd, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        finally:
            os.close(fd)


def write_all(fd: int, data: bytes | bytearray) -> None:
    """Write all of ``data``, however many calls that takes.  Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def remove_file(target: Path) -> bool:
    """Remove ``target`` durably; False when it was not there.  Raises StoreError."""
    with disk_errors("remove", target):
        try:
            os.unlink(target)
        except FileNotFoundError:
            return False
        sync_directory(target.parent)
        return True


def clean(directory: Path) -> int:
    """Remove temporary files that a dead writer left in ``directory``; return how many."""
    removed = 0
    for path in directory.glob(TEMPORARY + "*"):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # gone meanwhile, or nothing of ours
            continue
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                continue
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
            removed += 1
        except OSError:  # a living writer's
            continue
        finally:
            os.close(fd)
    return removed
