"""One ``wayvnc`` process a branch: it turns a compositor's screen into RFB on a Unix socket.

wayvnc is given two descriptors and needs no path of the container: ``WAYLAND_SOCKET``, a
connection to the compositor that is already made, and ``fd:N``, a listening socket that this
process keeps open, so that a browser that comes while wayvnc starts waits in the backlog.

Detaching ends the process.  wayvnc's own ``detach`` would keep it running, but it was seen to
segfault with a half-open client, and it can only attach to a path again, which an unprivileged
process cannot reach; a new process answers within about 60 ms.  What matters at a freeze is that
the *compositor* has dropped the connection, with every buffer that came over it: a copy of the
connection is kept here, its sending side is shut down, and the kernel reports POLLHUP on it once
the compositor has closed its end.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tcvs_core.errors import TcvsError
from tcvs_core.linux.libc import PR_SET_PDEATHSIG, libc

#: Milliseconds to wait for the compositor to close its end.  It takes 5 ms on a quiet machine.
DETACH_MS = 1000
BACKLOG = 16


class VncFailed(TcvsError):
    """wayvnc could not be started."""

    code = "vnc-failed"


class DetachFailed(TcvsError):
    """The compositor did not drop the viewer's connection in time: it hangs, or is stopped."""

    code = "viewer-detach"


class VncServer:
    """The screen of one branch as an RFB service on ``address`` in ``socket_dir``.

    ``socket_dir`` is a directory that only this user may enter: RFB is served without a password.
    Not thread-safe.  The processes die with the thread that started them.
    """

    def __init__(self, wayvnc_argv: Sequence[str], socket_dir: Path, name: str = "desktop") -> None:
        self.name = name
        self.address = socket_dir / f"{name}.vnc"
        self._control = socket_dir / f"{name}.ctl"
        self._log = socket_dir / f"{name}.log"
        self._argv = list(wayvnc_argv)
        self._listener: socket.socket | None = None
        self._wayland: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process that is attached now."""
        return self._process.pid if self._process and self._wayland else None

    @property
    def attached(self) -> bool:
        """True from ``attach`` until ``detach``, also when wayvnc has died in between."""
        return self._wayland is not None

    @property
    def compositor_gone(self) -> bool:
        """True when the compositor has closed the connection, or there is none."""
        return self._wayland is None or _hung_up(self._wayland, 0)

    def start(self, wayland: socket.socket) -> None:
        """Listen on ``address`` and attach; takes over ``wayland``.  Raises VncFailed."""
        if self._listener is None:
            self._listener = _listen(self.address)
        self.attach(wayland)

    def attach(self, wayland: socket.socket) -> None:
        """Start wayvnc on the compositor at the other end of ``wayland``, which is taken over.

        Returns when the process runs; connections to ``address`` are answered some 60 ms later.
        Raises VncFailed.
        """
        if self._listener is None:
            wayland.close()
            raise VncFailed("not started", operation="attach the viewer", subject=self.name)
        try:
            if self._wayland is not None:
                self.detach()
            self._wait()
            self._process = self._spawn(wayland, self._listener)
        except BaseException:
            wayland.close()
            raise
        self._wayland = wayland

    def detach(self, timeout_ms: int = DETACH_MS) -> float:
        """End wayvnc and return, as soon as the compositor has let go, the milliseconds taken.

        Afterwards no outside client of ours holds the compositor's socket.  Nothing happens when
        there is none.  Raises DetachFailed after ``timeout_ms``; wayvnc is dead then all the same.
        """
        began = time.monotonic()
        if self._wayland is None:
            return 0.0
        wayland, self._wayland = self._wayland, None
        with wayland:
            # Shutting down acts on the connection, not on a descriptor: wayvnc is cut off at
            # once, while its death, with the memory it has mapped, takes another 10 ms.
            with contextlib.suppress(OSError):
                wayland.shutdown(socket.SHUT_WR)
            self._kill()
            if not _hung_up(wayland, timeout_ms):
                raise DetachFailed(
                    f"the compositor of {self.name!r} did not drop the viewer's connection "
                    f"within {timeout_ms} ms",
                    operation="detach the viewer",
                    subject=self.name,
                    hint="its compositor may hang: see `tcvs logs`",
                )
        return (time.monotonic() - began) * 1000

    def stop(self) -> None:
        """Detach for good and remove the sockets.  May be called again."""
        with contextlib.suppress(DetachFailed):
            self.detach(timeout_ms=0)
        self._kill()
        self._wait()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for path in (self.address, self._control, self._log):
            path.unlink(missing_ok=True)

    def reap(self) -> None:
        """Take note of the end of a process that has ended."""
        if self._process is not None:
            self._process.poll()

    def _spawn(self, wayland: socket.socket, listener: socket.socket) -> subprocess.Popen[bytes]:
        self._control.unlink(missing_ok=True)
        options = [
            *("--config", "/dev/null", "--socket", str(self._control), "--name", self.name),
            # Like the US layout, with the letters of western Europe on its other levels: wayvnc can
            # press only what its layout has.
            *("--keyboard", "us-altgr-intl"),
            # The size of the screen is the branch's own; a browser only scales the picture.
            *("--disable-resizing", "--render-cursor", f"fd:{listener.fileno()}"),
        ]
        environment = {"LANG": "C.UTF-8", "WAYLAND_SOCKET": str(wayland.fileno())}
        if (keyboards := _xkb_data(self._argv)) is not None:
            environment["XKB_CONFIG_ROOT"] = str(keyboards)
        try:
            with open(self._log, "wb") as log:
                return subprocess.Popen(
                    [*self._argv, *options],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[wayland.fileno(), listener.fileno()],
                    start_new_session=True,
                    # Safe here: the view process has a single thread.
                    preexec_fn=_die_with(os.getpid()),
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise VncFailed(
                f"cannot run {self._argv[0]}: {error}",
                operation="start wayvnc",
                subject=self.name,
                hint="`tcvs doctor` says what is missing; `make setup` installs wayvnc",
            ) from error

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None


def _die_with(parent: int) -> Callable[[], None]:
    """Return a function that binds the calling process's life to ``parent``'s.

    A wayvnc that outlived the keeper would hold the compositor's socket, and the branch could not
    be frozen any more.
    """

    def bind() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return bind


def _hung_up(connection: socket.socket, timeout_ms: int) -> bool:
    """Wait for the peer of ``connection`` to close it; its sending side must be shut down."""
    poll = select.poll()
    poll.register(connection, 0)
    return bool(poll.poll(timeout_ms))


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise VncFailed(
            f"cannot listen on {path}",
            operation="start the viewer",
            subject=str(path),
            errno=error.errno,
        ) from error
    return listener


def _xkb_data(argv: Sequence[str]) -> Path | None:
    """Return the keyboard data that came with wayvnc; the host may have none or an older one."""
    for word in argv:
        data = Path(word).parent.parent / "share/X11/xkb"
        if Path(word).name == "wayvnc" and (data / "rules/evdev").exists():
            return data.resolve()
    return None
