"""Network namespaces that live exactly as long as somebody holds them: no names, no leftovers.

A namespace is made by a thread that leaves its own, opens the new one and ends; the descriptor is
the only hold until a container joins it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from tcvs_core.linux.libc import CLONE_NEWNET, setns, unshare

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1

T = TypeVar("T")


def create() -> int:
    """Make a network namespace with its loopback up; return a descriptor of it (close it)."""

    def make() -> int:
        unshare(CLONE_NEWNET)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            request = struct.pack("16sH14x", b"lo", 0)
            flags = struct.unpack("16sH14x", fcntl.ioctl(sock, _SIOCGIFFLAGS, request))[1]
            fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    return _in_thread(make)


def close(fd: int) -> None:
    """Let go of a namespace; it ends unless a process or another descriptor holds it."""
    os.close(fd)


def run_in(fd: int, action: Callable[[], T]) -> T:
    """Run ``action`` in a thread that has joined the namespace ``fd``; return what it returns."""

    def joined() -> T:
        setns(fd, CLONE_NEWNET)
        return action()

    return _in_thread(joined)


@contextlib.contextmanager
def of_process(pid: int) -> Iterator[int]:
    """Open the network namespace of process ``pid`` for the length of the block."""
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _in_thread(action: Callable[[], T]) -> T:
    """Run ``action`` in a thread of its own, which ends with it: it may change its namespaces."""
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(action())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body, name="netns")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
