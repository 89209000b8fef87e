"""What a process gives up before it runs inside a workspace: capabilities and system calls.

The seccomp filter keeps out what a checkpoint cannot carry: io_uring, userfaultfd and new
namespaces (measured: browsers' own nested sandboxes and node's io_uring make CRIU refuse; with
the filter they fall back by themselves).  clone3 answers ENOSYS because its flags lie in memory
that a filter cannot read; libc then uses clone.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from tcvs_core.linux import libc as k

# struct sock_filter codes (linux/bpf_common.h, linux/filter.h)
_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_RETURN = 0x06  # BPF_RET | BPF_K
_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_SET = 0x45  # BPF_JMP | BPF_JSET | BPF_K

# offsets in struct seccomp_data (linux/seccomp.h)
_NR, _ARCH, _ARG0 = 0, 4, 16
_ARCH_X86_64 = 0xC000003E
_X32 = 0x40000000

_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_ERRNO = 0x00050000

_SYS = {
    "clone": 56,
    "unshare": 272,
    "setns": 308,
    "userfaultfd": 323,
    "io_uring_setup": 425,
    "clone3": 435,
}
_NEW_NAMESPACE = (
    k.CLONE_NEWUSER
    | k.CLONE_NEWPID
    | k.CLONE_NEWNET
    | k.CLONE_NEWNS
    | k.CLONE_NEWIPC
    | k.CLONE_NEWUTS
    | k.CLONE_NEWCGROUP
)

#: Capabilities that processes of a workspace may hold (linux/capability.h): enough for root inside
#: to install packages, nothing that reaches the host's kernel, devices, clock or other containers.
KEPT_CAPABILITIES = frozenset(
    {
        0,  # CHOWN
        1,  # DAC_OVERRIDE
        3,  # FOWNER
        4,  # FSETID
        5,  # KILL
        6,  # SETGID
        7,  # SETUID
        8,  # SETPCAP
        10,  # NET_BIND_SERVICE
        13,  # NET_RAW
        18,  # SYS_CHROOT
        31,  # SETFCAP
    }
)
_PR_CAPBSET_DROP = 24
_PR_CAPBSET_READ = 23


def filter_program() -> bytes:
    """Return the filter as an array of struct sock_filter (8 bytes each)."""
    answers = [
        ("io_uring_setup", errno.ENOSYS),
        ("clone3", errno.ENOSYS),
        ("userfaultfd", errno.ENOSYS),
        ("setns", errno.EPERM),
    ]
    code: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, _ARCH_X86_64),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NR),
        (_SET, 0, 1, _X32),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]
    for name, number in answers:
        code += [(_EQUAL, 0, 1, _SYS[name]), (_RETURN, 0, 0, _ERRNO | number)]
    code += [
        (_EQUAL, 1, 0, _SYS["unshare"]),
        (_EQUAL, 0, 3, _SYS["clone"]),
        (_LOAD, 0, 0, _ARG0),
        (_SET, 0, 1, _NEW_NAMESPACE),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", op, yes, no, value) for op, yes, no, value in code)


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install_filter() -> None:
    """Install the filter for the calling thread and all it will start.  Needs CAP_SYS_ADMIN."""
    raw = filter_program()
    program = _Program(len(raw) // 8, raw)
    result = k.libc.syscall(
        ctypes.c_long(k.SYS_SECCOMP), ctypes.c_long(1), ctypes.c_long(0), ctypes.byref(program)
    )
    k.check(result, "seccomp")


def drop_capabilities() -> None:
    """Take all but the kept capabilities out of the bounding set.  Effective at the next exec."""
    for number in range(64):
        if k.libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) < 0:
            return  # past the last capability that this kernel knows
        if number not in KEPT_CAPABILITIES:
            k.check(k.libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0), "drop capability")
