"""A directory tree reached from outside, whose contents can lead nobody out of it.

The root of a workspace is written by whoever runs in it, so no path in it may be trusted: a
symlink ``home -> /etc`` must not make a merge write the host's files.  Every path goes through
``openat2`` with ``RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS`` (Linux 5.6):
paths are real paths of the tree, relative to its root, without a leading slash; ``"."`` is the
root itself.  File names are str, bytes that are not UTF-8 kept by surrogateescape.

Everything raises OSError with the path as it is seen inside the tree.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tcvs_core.linux.libc import libc

_SYS_STATX = 332
_SYS_RENAMEAT2 = 316
_SYS_OPENAT2 = 437

_NO_MAGICLINKS = 2
_NO_SYMLINKS = 4
_BENEATH = 8
_RESOLVE = _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH

#: Flags of ``rename_between``.
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2

_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
#: Offset of ``stx_btime`` (i64 seconds, u32 nanoseconds) in ``struct statx``.
_BTIME_AT = 80

#: Errors that mean "there is no such path": a parent that is missing, no directory or a symlink.
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
#: openat2 answers EAGAIN when a concurrent rename makes it unsure; the kernel says: try again.
_TRIES = 64


def _failed(operation: str, path: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), f"{operation} {path!r}")


def _openat2(root: int, path: str, flags: int, mode: int) -> int:
    how = ctypes.create_string_buffer(struct.pack("=QQQ", flags, mode, _RESOLVE), 24)
    raw = ctypes.c_char_p(os.fsencode(path))
    size = ctypes.c_size_t(24)
    for _ in range(_TRIES):
        fd = libc.syscall(ctypes.c_long(_SYS_OPENAT2), ctypes.c_int(root), raw, how, size)
        if fd >= 0:
            return int(fd)
        if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
            break
    raise _failed("open", path)


def rename_between(source_fd: int, source: str, target_fd: int, target: str, flags: int) -> None:
    """renameat2(2) between two directory fds; both names are single components."""
    result = libc.syscall(
        ctypes.c_long(_SYS_RENAMEAT2),
        ctypes.c_int(source_fd),
        ctypes.c_char_p(os.fsencode(source)),
        ctypes.c_int(target_fd),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(flags),
    )
    if result < 0:
        raise _failed(f"rename {source!r} to", target)


def birth_time(fd: int) -> tuple[int, int]:
    """Return when the inode of ``fd`` (may be O_PATH) was made: seconds, nanoseconds; (0, 0) if
    the file system does not know."""
    buffer = ctypes.create_string_buffer(256)
    result = libc.syscall(
        ctypes.c_long(_SYS_STATX),
        ctypes.c_int(fd),
        ctypes.c_char_p(b""),
        ctypes.c_int(_AT_EMPTY_PATH),
        ctypes.c_uint(_STATX_BTIME),
        buffer,
    )
    if result < 0:
        raise _failed("statx", "")
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, _BTIME_AT)
    return int(seconds), int(nanoseconds)


class Beneath:
    """The tree at ``root``, a directory's path or fd (which is duplicated).  A context manager."""

    def __init__(self, root: Path | str | int) -> None:
        if isinstance(root, int):
            self.fd = os.dup(root)
        else:
            self.fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    @contextlib.contextmanager
    def open(self, path: str, flags: int = os.O_RDONLY, mode: int = 0) -> Iterator[int]:
        """Give an fd of ``path``; no symlink is followed, not even the last component."""
        fd = _openat2(self.fd, path or ".", flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def parent(self, path: str) -> Iterator[tuple[int, str]]:
        """Give an fd of the directory that holds ``path``, and the last component."""
        where, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
        with self.open(where, os.O_RDONLY | os.O_DIRECTORY) as fd:
            yield fd, name

    def lstat(self, path: str) -> os.stat_result | None:
        """Return the status of ``path`` itself, None when there is no such path."""
        try:
            with self.open(path, os.O_PATH) as fd:
                return os.fstat(fd)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise

    def birth_time(self, path: str) -> tuple[int, int]:
        """Return when the inode at ``path`` was made: seconds, nanoseconds."""
        with self.open(path, os.O_PATH) as fd:
            return birth_time(fd)

    def readlink(self, path: str) -> str:
        """Return the target of the symlink ``path``."""
        with self.open(path, os.O_PATH) as fd:
            return os.readlink("", dir_fd=fd)

    def listdir(self, path: str) -> list[str]:
        """Return the names in the directory ``path``, sorted.

        The directory is opened anew: btrfs lists through an fd only what was there when it was
        opened (since Linux 6.5, until lseek), so listing a kept fd misses entries.
        """
        with self.open(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
            return sorted(os.listdir(fd))

    def xattrs(self, path: str) -> dict[str, bytes]:
        """Return the extended attributes of ``path`` itself, ACLs and capabilities among them."""
        with self.open(path, os.O_PATH) as fd:
            return read_xattrs(fd)

    def read(self, path: str, limit: int | None = None) -> bytes:
        """Return the contents of the regular file ``path``, at most ``limit`` bytes of it."""
        with self.open(path, os.O_RDONLY | os.O_NONBLOCK) as fd:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            with os.fdopen(os.dup(fd), "rb") as file:
                return file.read() if limit is None else file.read(limit)

    def walk(self, path: str = ".") -> Iterator[tuple[str, os.stat_result]]:
        """Give every path beneath the directory ``path`` with its status, parents first.

        Other file systems and subvolumes mounted or nested in the tree are not entered.
        """
        with self.open(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
            yield from _walk(fd, "" if path in (".", "") else path + "/")


def _walk(fd: int, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
    device = os.fstat(fd).st_dev
    for name in sorted(os.listdir(fd)):
        try:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            continue  # a live tree: gone since it was listed
        yield prefix + name, status
        if not stat.S_ISDIR(status.st_mode) or status.st_dev != device:
            continue
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            below = os.open(name, flags, dir_fd=fd)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            yield from _walk(below, f"{prefix}{name}/")
        finally:
            os.close(below)


def read_xattrs(fd: int) -> dict[str, bytes]:
    """Return the extended attributes of ``fd``, which may be O_PATH and may be a symlink."""
    path = f"/proc/self/fd/{fd}"  # fgetxattr refuses O_PATH; the magic link names the inode itself
    try:
        names = os.listxattr(path)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    found = {}
    for name in sorted(names):
        with contextlib.suppress(OSError):  # removed meanwhile, or not ours to read
            found[name] = os.getxattr(path, name)
    return found
