"""The keeper's side of the viewer: starts the view process and tells it what to show."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tcvs_core.codec import CodecError
from tcvs_core.errors import RemoteError, TcvsError
from tcvs_core.keeper import wire
from tcvs_core.live import compositor

#: The user that the view process and wayvnc run as: nobody.
NOBODY = 65534
#: Seconds.  An answer takes milliseconds; a view process that lets the keeper wait is ended.
PATIENCE = 5.0
START_PATIENCE = 30.0
#: How often a wayvnc that dies by itself is started again within ``RETRY_WINDOW`` seconds.
RETRIES = 5
RETRY_WINDOW = 60.0


class ViewerFailed(TcvsError):
    """The view process could not be started, or has died."""

    code = "viewer-failed"


class Viewer:
    """The screens of running branches as a page in a browser, on loopback.

    ``novnc`` holds noVNC's ``core`` and ``vendor``; ``wayvnc_argv`` runs wayvnc; ``runtime_dir`` is
    made, for this viewer alone.  All methods may be called from any thread.  ``attach``,
    ``detach`` and ``set_branches`` do nothing while the viewer is not started.
    """

    def __init__(
        self,
        novnc: Path,
        wayvnc_argv: Sequence[str],
        runtime_dir: Path,
        *,
        port: int = 0,
        uid: int = NOBODY,
    ) -> None:
        self._novnc = novnc
        self._argv = list(wayvnc_argv)
        self._directory = runtime_dir
        self._wanted_port = port
        self._uid = uid
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        #: One operation at a time: an attach never overtakes the detach before a freeze.
        self._operation = threading.RLock()
        #: Guards the connection and the answers; free while an operation waits.
        self._lock = threading.RLock()
        self._answered = threading.Condition(self._lock)
        self._answers: dict[int, dict[str, Any]] = {}
        self._last_id = 0
        self._sockets: dict[str, Path] = {}
        self._attached: set[str] = set()
        #: Detached for a freeze: nobody attaches these but the keeper.
        self._frozen: set[str] = set()
        self._retries: dict[str, list[float]] = {}

    @property
    def running(self) -> bool:
        """True while the view process serves."""
        with self._lock:
            return self._control is not None

    @property
    def port(self) -> int:
        """The port on 127.0.0.1, 0 while not running."""
        return self._port if self.running else 0

    def start(self) -> tuple[int, str]:
        """Start the view process unless it runs; return its port and a new one-time token.

        Raises ViewerFailed, or what the process itself complains of.
        """
        with self._operation:
            if self._control is None:
                self._launch()
            return self._port, str(self._call("token", branches=None))

    def url(self, branches: Sequence[str] | None = None) -> str:
        """Return an address that opens the page once, showing ``branches`` (None: all).

        Raises ViewerFailed when the viewer is not running.
        """
        chosen = None if branches is None else list(branches)
        with self._operation:
            token = self._call("token", branches=chosen)
        return f"http://127.0.0.1:{self._port}/?{urlencode({'token': token})}"

    def set_branches(self, branches: Sequence[dict[str, Any]]) -> None:
        """Show exactly ``branches``, in this order.

        Each is ``{"name": str, "socket": Path | None, "current": bool, "screen": (w, h) | None}``;
        a socket of None means that no desktop runs.  A branch with a new socket is attached, one
        that is frozen (detached) stays so as long as its socket is the same.  A desktop that
        cannot be reached is shown as stopped and is no error.
        """
        with self._operation:
            if self._control is None:
                return
            sockets = {b["name"]: Path(b["socket"]) for b in branches if b.get("socket")}
            listed = [
                {
                    "name": b["name"],
                    "current": bool(b.get("current")),
                    "screen": list(b["screen"]) if b.get("screen") else None,
                    "running": b["name"] in sockets,
                }
                for b in branches
            ]
            self._call("set", branches=listed)
            self._sockets = {n: p for n, p in self._sockets.items() if n in sockets}
            self._attached &= sockets.keys()
            self._frozen &= sockets.keys()
            for name, path in sockets.items():
                if self._sockets.get(name) == path and name in self._attached | self._frozen:
                    continue
                with contextlib.suppress(compositor.CompositorUnreachable):
                    self.attach(name, path)

    def detach(self, branch: str) -> float:
        """Let go of the compositor of ``branch``; return the milliseconds that this took.

        When this returns, the compositor has closed the viewer's connection and the branch may be
        frozen.  Pages show the last picture under a veil until ``attach``.  Raises RemoteError
        with the code ``viewer-detach`` when the compositor does not let go, which then hangs.
        """
        with self._operation:
            self._attached.discard(branch)
            if self._control is None or branch not in self._sockets:
                return 0.0
            self._frozen.add(branch)
            try:
                return float(self._call("detach", branch=branch))
            except ViewerFailed:
                return 0.0  # the process is dead, and so are its connections

    def attach(self, branch: str, path: Path | None = None) -> None:
        """Look at ``branch`` (again); ``path`` is its Wayland socket where that has changed.

        Raises CompositorUnreachable, ViewerFailed, RemoteError.
        """
        with self._operation:
            path = path or self._sockets.get(branch)
            if self._control is None or path is None:
                return
            self._attached.discard(branch)
            self._frozen.discard(branch)
            self._sockets[branch] = path
            with compositor.connect(path) as connection:
                self._call("attach", fds=(connection.fileno(),), branch=branch)
            self._attached.add(branch)

    def stop(self) -> None:
        """End the view process and every wayvnc.  May be called again."""
        with self._operation, self._lock:
            process, self._process = self._process, None
            self._disconnect()
        if process is None:
            return
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _launch(self) -> None:
        """Start the process and wait until it listens."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        if os.geteuid() == 0:
            os.chown(self._directory, self._uid, self._uid)
        ours, theirs = socket.socketpair()
        with theirs, self._listen() as listener, open(self._directory / "view.log", "wb") as log:
            self._port = listener.getsockname()[1]
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "tcvs_core.keeper.view"),
                    *("--control", str(theirs.fileno()), "--listener", str(listener.fileno())),
                    *("--novnc", str(self._novnc), "--directory", str(self._directory)),
                    *("--uid", str(self._uid), "--", *self._argv),
                ],
                pass_fds=(theirs.fileno(), listener.fileno()),
                env={"LANG": "C.UTF-8", "PYTHONPATH": os.pathsep.join(_import_path())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        ours.settimeout(START_PATIENCE)
        hello = _receive(ours)
        if hello is None or "error" in hello:
            ours.close()
            self.stop()
            if hello is not None:
                raise RemoteError(hello["error"])
            raise ViewerFailed(
                "the view process did not start",
                operation="start the viewer",
                subject=str(self._directory / "view.log"),
                hint=f"see {self._directory / 'view.log'}",
            )
        ours.settimeout(None)
        self._control = ours
        threading.Thread(target=self._read, args=(ours,), name="tcvs-viewer", daemon=True).start()

    def _listen(self) -> socket.socket:
        try:
            return socket.create_server(("127.0.0.1", self._wanted_port))
        except OSError as error:
            raise ViewerFailed(
                f"cannot listen on 127.0.0.1:{self._wanted_port}",
                operation="start the viewer",
                errno=error.errno,
            ) from error

    def _call(self, method: str, fds: tuple[int, ...] = (), **params: Any) -> Any:
        """Ask the view process and wait for its answer.  Raises RemoteError, ViewerFailed."""
        with self._lock:
            number = self._send(method, params, fds)
            end = time.monotonic() + PATIENCE
            while number not in self._answers:
                if self._control is None or not self._answered.wait(end - time.monotonic()):
                    self._abandon()
                    raise ViewerFailed(
                        "the view process does not answer", operation=f"{method} in the viewer"
                    )
            answer = self._answers.pop(number)
        if "error" in answer:
            raise RemoteError(answer["error"])
        return answer["result"]

    def _send(self, method: str, params: dict[str, Any], fds: tuple[int, ...]) -> int:
        if self._control is None:
            raise ViewerFailed("the viewer does not run", operation=f"{method} in the viewer")
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": params}
        try:
            wire.send(self._control, message, fds)
        except OSError as error:
            self._abandon()
            raise ViewerFailed(
                "the view process has died",
                operation=f"{method} in the viewer",
                errno=error.errno,
            ) from error
        return self._last_id

    def _abandon(self) -> None:
        """End a view process that has died or hangs; no wayvnc outlives it."""
        process, self._process = self._process, None
        self._disconnect()
        if process is not None:
            process.kill()
            process.wait()

    def _disconnect(self) -> None:
        if self._control is not None:
            # Not only closed: the reading thread must wake up.
            self._control.shutdown(socket.SHUT_RDWR)
            self._control.close()
            self._control = None
        self._sockets.clear()
        self._attached.clear()
        self._frozen.clear()
        self._answers.clear()
        self._answered.notify_all()

    def _read(self, control: socket.socket) -> None:
        """Take in answers and events until the connection ends; runs in a thread."""
        while (message := _receive(control)) is not None:
            with self._lock:
                if self._control is not control:
                    return
                if message.get("event") == "lost":
                    again = threading.Thread(
                        target=self._attach_again, args=(message["branch"],), daemon=True
                    )
                    again.start()
                else:
                    self._answers[message["id"]] = message
                    self._answered.notify_all()
        with self._lock:
            if self._control is control:
                self._abandon()

    def _attach_again(self, branch: str) -> None:
        """Give ``branch``, whose wayvnc has died, another one, unless that happens too often."""
        with self._operation:
            now = time.monotonic()
            recent = [t for t in self._retries.get(branch, []) if now - t < RETRY_WINDOW]
            self._retries[branch] = [*recent, now]
            if len(recent) >= RETRIES or branch not in self._attached:
                return
        time.sleep(0.1 * 2 ** len(recent))
        with self._operation:
            # Detached in the meantime: then a freeze is under way and nobody may connect.
            if branch not in self._attached:
                return
            try:
                self.attach(branch)
            except TcvsError:
                self._attached.discard(branch)  # its desktop has ended; the page says so


def _import_path() -> list[str]:
    """Return where this very process finds modules; the child starts without our environment."""
    here = Path(__file__).resolve().parents[3]
    return [str(here), *(entry for entry in sys.path if os.path.isabs(entry))]


def _receive(control: socket.socket) -> dict[str, Any] | None:
    try:
        frame = wire.receive(control)
    except (OSError, CodecError, wire.WireError):
        return None
    return None if frame is None else frame[0]
