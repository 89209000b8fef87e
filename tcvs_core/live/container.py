"""A running workspace: the processes of one branch, seen from the host.

A ``Container`` is a handle, not the thing: the processes live on when the program that holds the
handle dies, and ``Container.find`` gets hold of them again by pid and start time.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_ISREG
from typing import Any, Self, TextIO

from tcvs_core.errors import TcvsError, UsageError
from tcvs_core.linux import proc
from tcvs_core.linux.beneath import Beneath
from tcvs_core.linux.cgroup import Cgroup
from tcvs_core.live.compositor import CompositorUnreachable, connect
from tcvs_core.live.launch import PATH, SESSION_LOG
from tcvs_core.model import Process, Record

UID = GID = 1000
HOME = "/home/user"
INIT = ["/usr/bin/catatonit", "-P"]
SESSION = ["/etc/tcvs/session"]
WAYLAND = "run/user/1000/wayland-0"


class ContainerError(TcvsError):
    """A container could not be started, entered or stopped."""

    code = "container"


@dataclass(frozen=True)
class Settings(Record):
    """What a workspace was started with; kept in its commits, needed to bring it back."""

    screen: tuple[int, int] = (1280, 720)
    net: bool = False
    memory: int | None = None  # bytes
    cpus: float | None = None
    pids: int | None = 4096

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        data = dict(data)
        if "screen" in data:
            data["screen"] = (int(data["screen"][0]), int(data["screen"][1]))
        return super().from_dict(data)


@dataclass(frozen=True)
class Container(Record):
    """One running workspace."""

    branch: str
    pid: int  # of its pid 1, on the host
    start_time: int  # clock ticks; with the pid it names the process for good
    root: str  # the branch's subvolume on the host
    cgroup: str | None
    settings: Settings = field(default_factory=Settings)
    started: float = 0.0
    address: str | None = None  # its IPv4 address where it has the network

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        data = dict(data)
        if isinstance(data.get("settings"), dict):
            data["settings"] = Settings.from_dict(data["settings"])
        return super().from_dict(data)

    @property
    def alive(self) -> bool:
        """Whether its pid 1 still runs."""
        return proc.alive(self.pid, self.start_time)

    @property
    def inside(self) -> Path:
        """Its root directory as its own processes see it, mounts included."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def wayland_socket(self) -> Path:
        """The compositor's socket, reached from outside."""
        return self.inside / WAYLAND

    @property
    def group(self) -> Cgroup | None:
        """Its control group, where it has one."""
        return Cgroup(Path(self.cgroup)) if self.cgroup else None

    def host_pids(self) -> list[int]:
        """Return the host pids of all its processes."""
        if self.group is not None:
            return sorted(self.group.pids())
        return proc.pids_in_namespace(self.pid)

    def processes(self) -> list[Process]:
        """Return its processes, with pids as seen inside."""
        inner: dict[int, int] = {}
        found: list[tuple[proc.Stat, int]] = []
        for pid in self.host_pids():
            stat = proc.stat(pid)
            if stat is not None and stat.state not in "ZX":
                inner[pid] = proc.inner_pid(pid)
                found.append((stat, int(proc.status(pid).get("Uid", "0").split()[0])))
        return [
            Process(
                pid=inner[stat.pid],
                ppid=inner.get(stat.ppid, 0),
                name=stat.name,
                command=proc.command(stat.pid),
                uid=uid,
                rss=stat.rss_pages * proc.PAGE,
                host_pid=stat.pid,
            )
            for stat, uid in found
        ]

    def open_pidfd(self) -> int:
        """Return a pidfd of pid 1 (close it).  Raises ContainerError when it is gone."""
        try:
            fd = os.pidfd_open(self.pid)
        except OSError as error:
            raise self._gone() from error
        if not self.alive:
            os.close(fd)
            raise self._gone()
        return fd

    def _gone(self) -> ContainerError:
        return ContainerError(
            f"the desktop of {self.branch} is not running",
            operation="enter",
            subject=self.branch,
            hint=f"`tcvs up {self.branch}`",
        )

    def wait_ready(self, timeout: float = 30.0) -> float:
        """Wait until the compositor takes connections; return the seconds it took.

        Raises ContainerError when the session ends or the time is over, with the log's last lines.
        """
        begin = time.monotonic()
        while True:
            with contextlib.suppress(CompositorUnreachable):
                connect(self.wayland_socket).close()
                return time.monotonic() - begin
            late = time.monotonic() - begin > timeout
            if late or not self.alive or (len(self.host_pids()) < 2 and self.started_for() > 2):
                reason = "did not get ready in time" if late else "ended while it started"
                raise ContainerError(
                    f"the desktop of {self.branch} {reason}",
                    operation="up",
                    subject=self.branch,
                    hint="\n".join(self.log_tail(10)) or f"`tcvs logs -b {self.branch}`",
                )
            time.sleep(0.005)

    def started_for(self) -> float:
        """Seconds since it was started."""
        return time.time() - self.started

    @property
    def settling(self) -> bool:
        """Whether it was started so recently that its session may not be there yet."""
        return self.started_for() < 5

    def log_tail(self, lines: int) -> list[str]:
        """Return the last ``lines`` lines of the session's log."""
        file = open_log(Path(self.root))
        if file is None:
            return []
        with file:
            return file.read().splitlines()[-lines:]

    def stop(self, timeout: float = 10.0) -> None:
        """Kill all its processes and wait until they are gone.  Harmless when they are."""
        group = self.group
        if group is not None:
            with contextlib.suppress(OSError):
                (group.path / "cgroup.freeze").write_text("0")
            with contextlib.suppress(FileNotFoundError):
                group.kill()
        if self.alive:
            fd = os.pidfd_open(self.pid)
            try:
                # The kernel ends a pid namespace with its first process.
                signal.pidfd_send_signal(fd, signal.SIGKILL)
                if not select.select([fd], [], [], timeout)[0]:
                    raise ContainerError(
                        f"the desktop of {self.branch} does not end",
                        operation="stop",
                        subject=self.branch,
                    )
            except ProcessLookupError:
                pass
            finally:
                os.close(fd)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        if group is not None:
            group.remove(timeout)


def open_log(root: Path) -> TextIO | None:
    """Open the session's log beneath ``root`` for reading; None where there is none.

    It is in the hands of those inside: a link, or a pipe that nobody writes to, is none.
    """
    try:
        with Beneath(root) as tree, tree.open(SESSION_LOG, os.O_RDONLY | os.O_NONBLOCK) as fd:
            if S_ISREG(os.fstat(fd).st_mode):
                return open(os.dup(fd), encoding="utf-8", errors="replace")
    except OSError:
        pass
    return None


def find(record: dict[str, Any]) -> Container | None:
    """Return the container that ``record`` (``to_dict``) names, if it still runs."""
    container = Container.from_dict(record)
    return container if container.alive else None


def adopt(container: Container, pid: int) -> Container:
    """Return ``container`` with its pid 1 being host process ``pid``.  Raises ContainerError."""
    stat = proc.stat(pid)
    if stat is None:
        raise ContainerError(
            f"pid 1 of {container.branch} ended at once",
            operation="start",
            subject=container.branch,
        )
    return replace(container, pid=pid, start_time=stat.start_time, started=time.time())


def with_address(container: Container, address: str | None) -> Container:
    """Return ``container`` with its network address filled in."""
    return replace(container, address=address)


def session_environment(settings: Settings) -> dict[str, str]:
    """Return what the session script finds in its environment; it sets the rest by itself."""
    width, height = settings.screen
    return {
        "PATH": PATH,
        "HOME": HOME,
        "USER": "user",
        "LOGNAME": "user",
        "SHELL": "/bin/bash",
        "LANG": "C.UTF-8",
        "XDG_RUNTIME_DIR": f"/run/user/{UID}",
        "TCVS_SCREEN": f"{width}x{height}",
    }


def start(
    branch: str, root: Path, netns: int, settings: Settings, cgroup: Cgroup | None, hostname: str
) -> Container:
    """Start pid 1 and the desktop session of ``branch`` on ``root``.

    ``netns`` is a descriptor of its network namespace.  Returns as soon as pid 1 runs; see
    ``Container.wait_ready``.  Raises ContainerError; then nothing of it is left running.
    """
    for needed in (INIT[0], SESSION[0]):
        if not (root / needed.lstrip("/")).exists():
            raise UsageError(
                f"the image of {branch} has no {needed}",
                operation="up",
                subject=branch,
                hint="an imported image needs catatonit and an executable /etc/tcvs/session",
            )
    reader, writer = os.pipe()
    spec = {
        "root": str(root),
        "hostname": hostname,
        "netns": netns,
        "cgroup": str(cgroup.path) if cgroup else None,
        "init": INIT,
        "session": SESSION,
        "uid": UID,
        "gid": GID,
        "home": HOME,
        "env": session_environment(settings),
        "ready": writer,
    }
    try:
        result = subprocess.run(
            [sys.executable, "-P", "-m", "tcvs_core.live.launch", json.dumps(spec)],
            pass_fds=(writer, netns),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            text = answer.readline().decode(errors="replace").strip()
    if result.returncode or not text.isdigit():
        if cgroup is not None:
            cgroup.kill()
            cgroup.remove()
        error = text or result.stderr.decode(errors="replace").strip() or "no answer"
        raise ContainerError(
            f"cannot start the desktop of {branch}: {error.removeprefix('error: ')}",
            operation="start",
            subject=branch,
        )
    record = Container(
        branch=branch,
        pid=0,
        start_time=0,
        root=str(root),
        cgroup=str(cgroup.path) if cgroup else None,
        settings=settings,
    )
    return adopt(record, int(text))
