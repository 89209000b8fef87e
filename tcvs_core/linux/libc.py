"""The one ctypes door to libc: prototypes declared once, errors turned into OSError.

Numbers are those of the x86-64 kernel ABI (``asm/unistd_64.h``, ``linux/sched.h``).
"""

from __future__ import annotations

import ctypes
import os
from ctypes import c_char_p, c_int, c_long, c_ulong

libc = ctypes.CDLL(None, use_errno=True)
libc.mount.argtypes = [c_char_p, c_char_p, c_char_p, c_ulong, c_char_p]
libc.umount2.argtypes = [c_char_p, c_int]
libc.unshare.argtypes = [c_int]
libc.setns.argtypes = [c_int, c_int]
libc.sethostname.argtypes = [c_char_p, ctypes.c_size_t]
libc.prctl.argtypes = [c_int, c_ulong, c_ulong, c_ulong, c_ulong]
libc.syscall.restype = c_long

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
PR_SET_CHILD_SUBREAPER = 36

SYS_PIVOT_ROOT = 155
SYS_SECCOMP = 317


def check(result: int, operation: str) -> int:
    """Return ``result``; raise OSError naming ``operation`` when it is negative."""
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{operation}: {os.strerror(errno)}")
    return result


def unshare(flags: int) -> None:
    """unshare(2)."""
    check(libc.unshare(flags), "unshare")


def setns(fd: int, kind: int = 0) -> None:
    """setns(2)."""
    check(libc.setns(fd, kind), "setns")


def sethostname(name: str) -> None:
    """sethostname(2) in the current UTS namespace."""
    raw = name.encode()
    check(libc.sethostname(raw, len(raw)), "sethostname")


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2)."""
    check(
        libc.syscall(
            c_long(SYS_PIVOT_ROOT), c_char_p(new_root.encode()), c_char_p(put_old.encode())
        ),
        f"pivot_root {new_root}",
    )


def prctl(option: int, argument: int = 0) -> None:
    """prctl(2) with one argument."""
    check(libc.prctl(option, argument, 0, 0, 0), "prctl")
