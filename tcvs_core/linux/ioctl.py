"""ioctl(2) and the arithmetic of its request numbers (``asm-generic/ioctl.h``).

Called through ctypes and not ``fcntl.ioctl``: that one keeps Python's global lock for buffers over
1024 bytes, so a 10 ms snapshot would stop every other thread of the keeper.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import c_char, c_int, c_ulong, c_void_p

_ioctl = ctypes.CDLL(None, use_errno=True).ioctl
_ioctl.argtypes = [c_int, c_ulong, c_void_p]
_ioctl.restype = c_int

_WRITE, _READ = 1, 2


def request(direction: str, kind: int, number: int, size: int) -> int:
    """Return a request number; ``direction`` is ``""``, ``"r"``, ``"w"`` or ``"rw"``."""
    bits = (_WRITE if "w" in direction else 0) | (_READ if "r" in direction else 0)
    return bits << 30 | size << 16 | kind << 8 | number


def ioctl(fd: int, number: int, argument: bytearray | int, operation: str) -> int:
    """Do the ioctl; a bytearray is passed by address and may be changed by the kernel.

    Raises OSError that begins with ``operation``.
    """
    if isinstance(argument, int):
        result = _ioctl(fd, number, argument)
    else:
        result = _ioctl(fd, number, ctypes.addressof(c_char.from_buffer(argument)))
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{operation}: {os.strerror(errno)}")
    return int(result)
