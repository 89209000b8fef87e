"""btrfs by its own ioctls (``linux/btrfs.h``): subvolumes, snapshots, send, resize, reflink.

No library and no subprocess: a snapshot is one ioctl, so that it fits inside the pause of a
desktop.  Paths name a subvolume by its directory; the last component is never followed when it is
a symlink.  Everything raises OSError with the operation and the path in its text.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from tcvs_core.linux.ioctl import ioctl, request

_MAGIC = 0x9123683E
#: Inode number of the root directory of every subvolume.
_ROOT_INODE = 256
_KIND = 0x94
_ARGS = 4096
_NAME_MAX = 255

_SNAP_DESTROY = request("w", _KIND, 15, _ARGS)
_RESIZE = request("w", _KIND, 3, _ARGS)
_INO_LOOKUP = request("rw", _KIND, 18, _ARGS)
_SNAP_CREATE_V2 = request("w", _KIND, 23, _ARGS)
_SUBVOL_CREATE_V2 = request("w", _KIND, 24, _ARGS)
_GET_FLAGS = request("r", _KIND, 25, 8)
_SET_FLAGS = request("w", _KIND, 26, 8)
_SEND = request("w", _KIND, 38, 72)
_FICLONE = request("w", _KIND, 9, 4)

_FLAG_READ_ONLY = 2
_SEND_NO_FILE_DATA = 1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fstatfs.argtypes = [ctypes.c_int, ctypes.c_void_p]
_libc.syncfs.argtypes = [ctypes.c_int]


@contextlib.contextmanager
def _directory(path: str | os.PathLike[str], follow: bool = False) -> Iterator[int]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def _split(path: Path) -> tuple[Path, bytes]:
    name = os.fsencode(path.name)
    if not name or path.name in (".", "..") or len(name) > _NAME_MAX:
        raise OSError(errno.EINVAL, f"{path}: not a name for a subvolume")
    return path.parent, name


def _volume_args(name: bytes, fd: int = 0) -> bytearray:
    return bytearray(struct.pack("=q4088s", fd, name))


def _volume_args_v2(name: bytes, fd: int = 0, flags: int = 0) -> bytearray:
    return bytearray(struct.pack("=qQQ32x4040s", fd, 0, flags, name))


def is_btrfs(path: str | os.PathLike[str]) -> bool:
    """Tell whether ``path`` (a directory) lies on btrfs."""
    with _directory(path, follow=True) as fd:
        buffer = ctypes.create_string_buffer(256)
        if _libc.fstatfs(fd, buffer) < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"statfs {path}: {os.strerror(code)}")
        return bool(struct.unpack_from("=q", buffer)[0] == _MAGIC)


def is_subvolume(path: str | os.PathLike[str]) -> bool:
    """Tell whether ``path`` is the root of a subvolume; False when there is nothing."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_ino == _ROOT_INODE and is_btrfs(path)


def create_subvolume(path: Path) -> None:
    """Make an empty read-write subvolume."""
    parent, name = _split(path)
    with _directory(parent, follow=True) as fd:
        ioctl(fd, _SUBVOL_CREATE_V2, _volume_args_v2(name), f"create subvolume {path}")


def snapshot(source: Path, target: Path, read_only: bool = False) -> None:
    """Make ``target`` a snapshot of the subvolume ``source``: one ioctl, 3 to 15 ms.

    Dirty data of ``source`` is flushed first, which ``syncfs`` beforehand makes short.
    Subvolumes nested in ``source`` become empty directories.
    """
    parent, name = _split(target)
    flags = _FLAG_READ_ONLY if read_only else 0
    with _directory(source) as source_fd, _directory(parent, follow=True) as fd:
        args = _volume_args_v2(name, source_fd, flags)
        ioctl(fd, _SNAP_CREATE_V2, args, f"snapshot {source} to {target}")


def delete_subvolume(path: Path) -> None:
    """Delete a subvolume, read-only or not, and the subvolumes nested in it.

    Whoever is root of a workspace may make subvolumes in it, so nested ones are not an error.  The
    space comes back a little later, when the kernel's cleaner has run.
    """
    parent, _ = _split(path)
    if not is_subvolume(path):
        code = errno.EINVAL if os.path.lexists(path) else errno.ENOENT
        raise OSError(code, f"delete subvolume {path}: {os.strerror(code)}")
    with _directory(parent, follow=True) as fd:
        _destroy(fd, path.name, path)


def _destroy(parent_fd: int, name: str, shown: Path) -> None:
    def attempt() -> None:
        args = _volume_args(os.fsencode(name))
        ioctl(parent_fd, _SNAP_DESTROY, args, f"delete subvolume {shown}")

    try:
        attempt()
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, dir_fd=parent_fd)
        try:
            _write_flags(fd, False, shown)
            _destroy_nested(fd, shown)
        finally:
            os.close(fd)
        attempt()


def _destroy_nested(root_fd: int, shown: Path) -> None:
    """Delete what is nested beneath ``root_fd``, by directory fds: no path is followed."""
    device = os.fstat(root_fd).st_dev
    for where, names, _, fd in os.fwalk(".", dir_fd=root_fd, follow_symlinks=False):
        for name in list(names):
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if status.st_dev == device:
                continue
            names.remove(name)
            if status.st_ino == _ROOT_INODE:
                _destroy(fd, name, shown / where / name)


def is_read_only(path: Path) -> bool:
    """Tell whether the subvolume ``path`` is read-only."""
    with _directory(path) as fd:
        return bool(_read_flags(fd, path) & _FLAG_READ_ONLY)


def set_read_only(path: Path, read_only: bool) -> None:
    """Make the subvolume ``path`` read-only or read-write."""
    with _directory(path) as fd:
        _write_flags(fd, read_only, path)


def _read_flags(fd: int, shown: Path) -> int:
    buffer = bytearray(8)
    ioctl(fd, _GET_FLAGS, buffer, f"get flags of subvolume {shown}")
    return int.from_bytes(buffer, "little")


def _write_flags(fd: int, read_only: bool, shown: Path) -> None:
    flags = _read_flags(fd, shown) & ~_FLAG_READ_ONLY
    flags |= _FLAG_READ_ONLY if read_only else 0
    buffer = bytearray(flags.to_bytes(8, "little"))
    ioctl(fd, _SET_FLAGS, buffer, f"set flags of subvolume {shown}")


def subvolume_id(path: Path) -> int:
    """Return the number of the subvolume ``path`` within its file system."""
    with _directory(path) as fd:
        args = bytearray(struct.pack("=QQ4080x", 0, _ROOT_INODE))
        ioctl(fd, _INO_LOOKUP, args, f"look up subvolume {path}")
        return int(struct.unpack_from("=Q", args)[0])


def send_changes(snap: Path, parent: Path) -> bytes:
    """Return the send stream that turns ``parent`` into ``snap``, without file contents.

    Both must be read-only subvolumes of one file system.  About 20 ms for 100 changes in 90 000
    files; the stream names every changed path exactly.
    """
    parent_id = subvolume_id(parent)
    chunks: list[bytes] = []
    read_end, write_end = os.pipe2(os.O_CLOEXEC)

    def drain() -> None:
        with open(read_end, "rb", buffering=0) as pipe:
            while data := pipe.read(1 << 20):
                chunks.append(data)

    reader = threading.Thread(target=drain, name="btrfs-send", daemon=True)
    reader.start()
    try:
        with _directory(snap) as fd:
            # send_fd, clone source count and address, parent, flags, version, reserved
            args = struct.pack("=qQQQQI28x", write_end, 0, 0, parent_id, _SEND_NO_FILE_DATA, 0)
            ioctl(fd, _SEND, bytearray(args), f"send {snap} against {parent}")
    finally:
        os.close(write_end)
        reader.join()
    return b"".join(chunks)


def syncfs(path: str | os.PathLike[str]) -> None:
    """Write everything dirty of the file system that holds ``path`` (a directory) to disk."""
    with _directory(path, follow=True) as fd:
        if _libc.syncfs(fd) < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"syncfs {path}: {os.strerror(code)}")


def resize(path: str | os.PathLike[str], size: str = "max") -> None:
    """Resize the mounted file system at ``path``: ``max`` or a number of bytes."""
    with _directory(path, follow=True) as fd:
        ioctl(fd, _RESIZE, _volume_args(size.encode()), f"resize {path} to {size}")


def reflink(source_fd: int, target_fd: int) -> None:
    """Make the file ``target_fd`` share all data of ``source_fd`` (FICLONE)."""
    ioctl(target_fd, _FICLONE, source_fd, "reflink")
