"""All paths of an inode on btrfs (``BTRFS_IOC_INO_PATHS``): who else links to this file?

Needs CAP_DAC_READ_SEARCH.
"""

from __future__ import annotations

import ctypes
import os
import struct

from tcvs_core.linux.ioctl import ioctl, request

_INO_PATHS = request("rw", 0x94, 35, 56)
_BUFFER = 64 * 1024
#: struct btrfs_data_container: bytes left, bytes missing, elements found, elements missed.
_HEAD = struct.Struct("=4I")


def ino_paths(root_fd: int, inode: int) -> list[str] | None:
    """Return the paths of ``inode`` in the subvolume whose root directory ``root_fd`` is open.

    Paths are relative to the root, sorted; None when there are too many for one answer (64 KiB).
    Raises OSError.
    """
    buffer = ctypes.create_string_buffer(_BUFFER)
    argument = bytearray(struct.pack("=QQ32xQ", inode, _BUFFER, ctypes.addressof(buffer)))
    ioctl(root_fd, _INO_PATHS, argument, f"list paths of inode {inode}")
    _, _, count, missed = _HEAD.unpack_from(buffer)
    if missed:
        return None
    # The numbers behind the head are offsets from their own beginning, one per path.
    offsets = struct.unpack_from(f"={count}Q", buffer, _HEAD.size)
    raw = bytes(buffer)
    paths = []
    for offset in offsets:
        start = _HEAD.size + offset
        paths.append(os.fsdecode(raw[start : raw.index(b"\0", start)]))
    return sorted(paths)
