"""Loop devices: a file as a block device (``linux/loop.h``).

Everything raises OSError with the operation and the path in its text.
"""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

from tcvs_core.linux.ioctl import ioctl

_CONTROL = "/dev/loop-control"
_GET_FREE = 0x4C82
_CONFIGURE = 0x4C0A
_CLEAR = 0x4C01
_SET_STATUS = 0x4C04
_GET_STATUS = 0x4C05
_SET_CAPACITY = 0x4C07

_AUTOCLEAR = 4
_DIRECT_IO = 16

#: struct loop_info64: device, inode, rdevice, offset, size limit; number, encryption type and key
#: size, flags; file name, crypt name, key; two words for the owner.
_INFO = struct.Struct("=5Q4I64s64s32s2Q")
#: struct loop_config without its info: fd, block size; then eight reserved words.
_CONFIG_HEAD = struct.Struct("=II")
_BLOCK = 4096
_ATTEMPTS = 64


def _open(device: str | os.PathLike[str]) -> int:
    return os.open(device, os.O_RDWR | os.O_CLOEXEC)


def attach(image: Path, direct_io: bool = True) -> str:
    """Attach ``image`` read-write to a free loop device and return its path, ``/dev/loop7``.

    Direct I/O keeps the image out of the page cache, where all its data would lie twice.  A file
    system that cannot do it gets buffered I/O; ask ``is_direct``.
    """
    image_fd = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    try:
        name = os.fsencode(image.resolve())[:63]
        info = _INFO.pack(*[0] * 5, 0, 0, 0, _DIRECT_IO if direct_io else 0, name, b"", b"", 0, 0)
        config = _CONFIG_HEAD.pack(image_fd, _BLOCK) + info + bytes(64)
        for _ in range(_ATTEMPTS):
            control = _open(_CONTROL)
            try:
                number = ioctl(control, _GET_FREE, 0, "find a free loop device")
            finally:
                os.close(control)
            device = f"/dev/loop{number}"
            fd = _open(device)
            try:
                ioctl(fd, _CONFIGURE, bytearray(config), f"attach {image} to {device}")
            except OSError as error:
                if error.errno != errno.EBUSY:  # busy: somebody else took it first
                    raise
            else:
                return device
            finally:
                os.close(fd)
    finally:
        os.close(image_fd)
    raise OSError(errno.EBUSY, f"attach {image}: no loop device stayed free")


def detach(device: str) -> None:
    """Detach ``device``; one that is mounted goes by itself when it is unmounted."""
    fd = _open(device)
    try:
        ioctl(fd, _CLEAR, 0, f"detach {device}")
    finally:
        os.close(fd)


def find(image: Path) -> str | None:
    """Return the loop device that ``image`` is attached to, by device and inode, not by name."""
    wanted = os.stat(image)
    for entry in sorted(Path("/sys/block").glob("loop*")):
        if not (entry / "loop" / "backing_file").exists():
            continue
        device = f"/dev/{entry.name}"
        try:
            info = _status(device)
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENOENT):  # detached meanwhile
                continue
            raise
        if (info[0], info[1]) == (wanted.st_dev, wanted.st_ino):
            return device
    return None


def is_direct(device: str) -> bool:
    """Tell whether ``device`` does direct I/O on its image."""
    return bool(_status(device)[8] & _DIRECT_IO)


def set_autoclear(device: str) -> None:
    """Make ``device`` detach itself when its last user (a mount) is gone."""
    info = list(_status(device))
    info[8] |= _AUTOCLEAR
    fd = _open(device)
    try:
        ioctl(fd, _SET_STATUS, bytearray(_INFO.pack(*info)), f"set autoclear of {device}")
    finally:
        os.close(fd)


def set_capacity(device: str) -> None:
    """Make ``device`` as large as its image has become."""
    fd = _open(device)
    try:
        ioctl(fd, _SET_CAPACITY, 0, f"set capacity of {device}")
    finally:
        os.close(fd)


def _status(device: str) -> tuple[int, ...]:
    fd = _open(device)
    try:
        buffer = bytearray(_INFO.size)
        ioctl(fd, _GET_STATUS, buffer, f"get status of {device}")
        return _INFO.unpack(buffer)
    finally:
        os.close(fd)
