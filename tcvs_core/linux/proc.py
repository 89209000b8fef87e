"""Parsers for /proc: processes, their namespaces and descriptors.

All paths are of the host's /proc.  A process that ends while it is being read is simply absent:
these functions return None or leave it out, they do not raise.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Stat:
    """The fields of /proc/PID/stat that tcvs uses (proc(5))."""

    pid: int
    name: str
    state: str
    ppid: int
    session: int
    start_time: int  # clock ticks since boot: with the pid, names a process for good
    rss_pages: int


PAGE = os.sysconf("SC_PAGE_SIZE")


def read(pid: int, name: str) -> bytes | None:
    """Return the contents of /proc/PID/NAME, or None when the process is gone."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:  # the mounts of a zombie
            return None
        raise


def stat(pid: int) -> Stat | None:
    """Parse /proc/PID/stat; None when the process is gone."""
    raw = read(pid, "stat")
    if raw is None:
        return None
    head, _, tail = raw.rpartition(b")")  # the name may hold spaces and brackets
    number, _, name = head.partition(b" (")
    fields = tail.split()
    return Stat(
        pid=int(number),
        name=name.decode(errors="replace"),
        state=fields[0].decode(),
        ppid=int(fields[1]),
        session=int(fields[3]),
        start_time=int(fields[19]),
        rss_pages=int(fields[21]),
    )


def alive(pid: int, start_time: int) -> bool:
    """Tell whether the very process that started at ``start_time`` still runs (no zombie)."""
    found = stat(pid)
    return found is not None and found.start_time == start_time and found.state not in "ZX"


def status(pid: int) -> dict[str, str]:
    """Return /proc/PID/status as a map; empty when the process is gone."""
    raw = read(pid, "status") or b""
    lines = raw.decode(errors="replace").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def inner_pid(pid: int) -> int:
    """Return the pid of host process ``pid`` in its innermost namespace; 0 when it is gone."""
    fields = status(pid).get("NSpid", "0").split()
    return int(fields[-1])


def command(pid: int) -> str:
    """Return the command line with spaces between the words; empty for kernel threads."""
    raw = read(pid, "cmdline") or b""
    return raw.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")


def namespace(pid: int, kind: str) -> int | None:
    """Return the inode number of /proc/PID/ns/KIND; None when the process is gone."""
    try:
        return os.stat(f"/proc/{pid}/ns/{kind}").st_ino
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def all_pids() -> list[int]:
    """Return the pids of all processes that this /proc shows."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def pids_in_namespace(pid: int) -> list[int]:
    """Return the host pids of all processes in the pid namespace of ``pid``, itself included."""
    wanted = namespace(pid, "pid")
    if wanted is None:
        return []
    return sorted(p for p in all_pids() if namespace(p, "pid") == wanted)


def descendants(pid: int) -> list[int]:
    """Return ``pid`` and all that descend from it, host pids, parents first."""
    found = [pid]
    for parent in found:
        try:
            tasks = os.listdir(f"/proc/{parent}/task")
        except (FileNotFoundError, ProcessLookupError):
            continue
        for task in tasks:
            raw = read(parent, f"task/{task}/children") or b""
            found.extend(int(child) for child in raw.split())
    return found


def descriptors(pid: int) -> dict[int, str]:
    """Return what each open descriptor of ``pid`` points to, as readlink shows it."""
    found: dict[int, str] = {}
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return found
    for number in numbers:
        try:
            found[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
        except OSError:
            continue
    return found


def pss(pid: int) -> int:
    """Return the proportional set size of ``pid`` in bytes; 0 when it is gone."""
    raw = read(pid, "smaps_rollup")
    if raw is None:
        return 0
    for line in raw.splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0
