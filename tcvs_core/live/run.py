"""Programs run inside a container at somebody's request, attached or detached."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass

from tcvs_core.errors import UsageError
from tcvs_core.live.container import GID, HOME, UID, Container, ContainerError, session_environment

DETACHED_LOG = "/var/log/tcvs/exec.log"


def user_environment(container: Container) -> dict[str, str]:
    """Return the environment in which a program finds the desktop of its user."""
    runtime = f"/run/user/{UID}"
    return session_environment(container.settings) | {
        "WAYLAND_DISPLAY": "wayland-0",
        "DISPLAY": ":0",
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus",
        "XDG_SESSION_TYPE": "wayland",
        "XDG_CURRENT_DESKTOP": "XFCE",
        "GSETTINGS_BACKEND": "keyfile",
        "GTK_A11Y": "none",
        "MOZ_ENABLE_WAYLAND": "1",
        "TERM": "xterm-256color",
        "TCVS_BRANCH": container.branch,
    }


@dataclass
class Program:
    """A program that was started; ``wait`` or ``detach`` it, never both."""

    process: subprocess.Popen[bytes]
    pid: int  # attached: on the host; detached: as seen inside
    master: int | None  # the terminal's master side, where one was asked for

    def signal(self, number: int) -> None:
        """Send signal ``number`` to the program."""
        if self.process.poll() is None and self.pid:
            os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait for the end of the program; return its exit status as a shell would say it."""
        return self.process.wait()

    def kill(self) -> None:
        """End the program now."""
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self.process.wait()


def run(
    container: Container,
    argv: list[str],
    *,
    user: str = "user",
    cwd: str | None = None,
    env: dict[str, str] | None = None,
    stdio: tuple[int, int, int] | None = None,
    tty: bool = False,
    size: tuple[int, int] | None = None,
    detach: bool = False,
) -> Program:
    """Start ``argv`` inside ``container``.

    ``user`` is ``user`` or ``root``; ``stdio`` are descriptors 0-2 of an attached program (default
    /dev/null); ``tty`` gives it a terminal of ``size`` columns and rows instead.  A detached
    program belongs to the desktop: it is forked with it, its output goes to /var/log/tcvs/exec.log
    inside.  Raises ContainerError, UsageError.
    """
    if not argv or not all(argv[:1]):
        raise UsageError("no command given", operation="exec", hint="tcvs exec -- ls -l")
    if user not in ("user", "root"):
        raise UsageError(
            f"unknown user {user!r}", operation="exec", subject=user, hint="`user` or `root`"
        )
    root = user == "root"
    spec = {
        "argv": argv,
        "uid": 0 if root else UID,
        "gid": 0 if root else GID,
        "cwd": cwd or ("/root" if root else HOME),
        "env": user_environment(container) | ({"HOME": "/root"} if root else {}) | (env or {}),
        "cgroup": container.cgroup,
        "detach": detach,
        "log": DETACHED_LOG,
        "pty": tty,
        "size": size,
    }
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pidfd = container.open_pidfd()
    spec |= {"pidfd": pidfd, "control": theirs.fileno()}
    stdin, stdout, stderr = stdio or (subprocess.DEVNULL,) * 3
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tcvs_core.live.enter", json.dumps(spec)],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(pidfd, theirs.fileno()),
        )
    finally:
        os.close(pidfd)
        theirs.close()
    with ours:
        return _answer(container, process, ours)


def _answer(
    container: Container, process: subprocess.Popen[bytes], control: socket.socket
) -> Program:
    pid, master = 0, None
    while True:
        data, fds, _flags, _address = socket.recv_fds(control, 4096, 1)
        text = data.decode(errors="replace").strip()
        if text.startswith("error: "):
            process.wait()
            raise ContainerError(
                f"cannot run a program in {container.branch}: {text.removeprefix('error: ')}",
                operation="exec",
                subject=container.branch,
            )
        if text == "pty":
            master = fds[0]
        elif text.startswith("pid "):
            pid = int(text.split()[1])
        if not data:  # everything has been said
            if not pid:
                raise ContainerError(
                    f"cannot run a program in {container.branch}",
                    operation="exec",
                    subject=container.branch,
                    details={"exit_status": process.wait()},
                )
            return Program(process, pid, master)
