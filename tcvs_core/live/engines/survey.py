"""A look at a container before it is frozen: what in it cannot be captured, and why."""

from __future__ import annotations

import os
import re
import threading

from tcvs_core.linux import proc
from tcvs_core.linux.libc import CLONE_NEWUTS, sethostname, setns
from tcvs_core.live.container import Container
from tcvs_core.live.engines.protocol import Obstacle

#: Targets of descriptors that no checkpoint can carry -> (what, remedy).
_DESCRIPTORS = [
    (r"anon_inode:\[io_uring\]", "uses io_uring", "run it without io_uring (UV_USE_IO_URING=0)"),
    (r"anon_inode:\[userfaultfd\]", "holds a userfaultfd", "stop it, or run it without one"),
    (r"anon_inode:\[perf_event\]", "holds perf events", "stop the profiler"),
    (r"anon_inode:kvm-.*|/dev/kvm", "runs a virtual machine (KVM)", "stop the virtual machine"),
    (r"/dev/dri/.*|/dev/nvidia.*", "uses the GPU", "use software rendering"),
    (r"/dev/fuse", "serves a FUSE file system", "unmount it"),
]
_PATTERNS = [(re.compile(p + r"\Z"), what, remedy) for p, what, remedy in _DESCRIPTORS]
#: Namespaces that a process inside may have made for itself, beyond those of the container.
_NESTED = ("pid", "net", "ipc", "uts", "user")


def obstacles(source: Container) -> list[Obstacle]:
    """Return what cannot be captured, by process and reason; empty when all is well."""
    own = {kind: proc.namespace(source.pid, kind) for kind in _NESTED}
    tree = set(proc.descendants(source.pid))
    pts = _device(f"/proc/{source.pid}/root/dev/pts")
    mounts = _mounts(source.pid)
    found: list[Obstacle] = []
    for pid in sorted(tree | set(source.host_pids())):
        stat = proc.stat(pid)
        if stat is None or stat.state in "ZX":
            continue

        def add(what: str, remedy: str, pid: int = pid, name: str = stat.name) -> None:
            found.append(Obstacle(proc.inner_pid(pid), name, what, remedy))

        if pid not in tree:
            add(
                "was started by `tcvs exec` and still runs",
                "wait for it, or start it with `tcvs exec --detach` so that it is forked as well",
            )
            continue
        nested = [k for k in _NESTED if proc.namespace(pid, k) not in (own[k], None)]
        if nested:
            add(
                f"has namespaces of its own ({', '.join(nested)})",
                "start the program without its own sandbox",
            )
        if proc.status(pid).get("TracerPid", "0") != "0":
            add("is being traced", "detach the debugger or tracer")
        for fd, target in proc.descriptors(pid).items():
            for pattern, what, remedy in _PATTERNS:
                if pattern.match(target):
                    add(f"{what} (descriptor {fd})", remedy)
            kind = None
            if target.startswith("/dev/pts/"):
                kind = "terminal" if _device(f"/proc/{pid}/fd/{fd}") != pts else None
            elif fd <= 2:  # what `tcvs exec` was given; a program has nothing else of the host's
                kind = _foreign(pid, fd, target, mounts)
            if kind is not None:
                add(
                    f"holds a {kind} of the host (descriptor {fd})",
                    "it was left behind by `tcvs exec`; end it, or start it with --detach",
                )
    return found


def _foreign(pid: int, fd: int, target: str, mounts: set[str]) -> str | None:
    """Return ``file`` or ``socket`` when a descriptor leads out of the container.

    Pipes may lead outside: the copy of such a one has nobody at its other end.
    """
    if target.startswith("socket:["):
        return "socket" if target[8:-1] in _host_sockets() else None
    if not target.startswith("/") or target.startswith(("/memfd:", "/SYSV")):
        return None
    info = (proc.read(pid, f"fdinfo/{fd}") or b"").decode()
    lines = [line.split() for line in info.splitlines() if line.startswith("mnt_id:")]
    return "file" if lines and lines[0][1] not in mounts else None


def _mounts(pid: int) -> set[str]:
    """Return the ids of the mounts that process ``pid`` sees."""
    table = (proc.read(pid, "mountinfo") or b"").decode(errors="replace")
    return {line.split(" ", 1)[0] for line in table.splitlines()}


def _host_sockets() -> set[str]:
    """Return the inodes of the Unix sockets of our own network namespace."""
    table = (proc.read(os.getpid(), "net/unix") or b"").decode(errors="replace")
    rows = (line.split() for line in table.splitlines()[1:])
    return {row[6] for row in rows if len(row) > 6}


def _device(path: str) -> int | None:
    try:
        return os.stat(path).st_dev
    except OSError:
        return None


def set_hostname(container: Container, name: str) -> None:
    """Set the host name inside ``container``."""
    errors: list[OSError] = []

    def body() -> None:
        try:
            fd = os.open(f"/proc/{container.pid}/ns/uts", os.O_RDONLY | os.O_CLOEXEC)
            try:
                setns(fd, CLONE_NEWUTS)
            finally:
                os.close(fd)
            sethostname(name)
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=body, name="hostname")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
