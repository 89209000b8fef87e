"""The thin side of the keeper's socket; what the command line and Python programs use.

    from tcvs_core.keeper.client import Keeper

    keeper = Keeper.connect(Path("/var/lib/tcvs"))
    keeper.call("branch_create", name="explore-a", count=3)
    png = keeper.call("screenshot", branch="explore-a-1")["data"]

Imports little, because every command pays for it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tcvs_core.errors import RemoteError, TcvsError
from tcvs_core.keeper import wire
from tcvs_core.keeper.place import run_directory, socket_path

Event = Callable[[dict[str, Any], list[int]], None]


class KeeperUnavailable(TcvsError):
    """The keeper does not answer and could not be started."""

    code = "keeper-unavailable"


class Keeper:
    """A way to call the keeper of one repository.  One connection per call; cheap to make."""

    def __init__(self, repo: Path) -> None:
        self.repo = repo
        self._path = socket_path(repo)

    @classmethod
    def connect(cls, repo: Path, *, start: bool = True, faults: tuple[str, ...] = ()) -> Self:
        """Return a client for ``repo``, starting its keeper where none runs.

        Raises NotARepository, KeeperUnavailable (also when ``start`` is false and none runs).
        """
        keeper = cls(repo.resolve())
        try:
            keeper._open().close()
        except OSError as error:
            if isinstance(error, PermissionError):
                raise _forbidden(keeper._path, error) from error
            if not start:
                raise KeeperUnavailable(
                    f"no keeper runs for {repo}", subject=str(repo), hint="`tcvs keeper start`"
                ) from error
            start_keeper(keeper.repo, faults)
        return keeper

    def call(
        self,
        method: str,
        *,
        on_event: Event | None = None,
        fds: tuple[int, ...] = (),
        signals: Callable[[socket.socket], None] | None = None,
        **params: Any,
    ) -> Any:
        """Call ``method`` and return its result.

        ``on_event`` is given each event and the descriptors that came with it (which it then
        owns).  ``signals`` is given the socket before the wait begins, so that a signal handler can
        forward signals over it.  Raises RemoteError for an error of the keeper's, KeeperUnavailable
        where it went away.
        """
        try:
            sock = self._open()
        except PermissionError as error:
            raise _forbidden(self._path, error) from error
        except OSError as error:
            raise KeeperUnavailable(
                f"the keeper of {self.repo} does not answer",
                errno=error.errno,
                hint="`tcvs keeper start`",
            ) from error
        with sock:
            try:
                wire.send(sock, {"v": wire.VERSION, "method": method, "params": params}, fds)
                if signals is not None:
                    signals(sock)
                return self._answer(sock, on_event)
            except (OSError, wire.WireError) as error:
                raise KeeperUnavailable(
                    f"the keeper went away during {method}",
                    operation=method,
                    hint=f"see {self._path.parent / 'keeper.log'}; it starts again by itself",
                ) from error

    def _open(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(str(self._path))
        except BaseException:
            sock.close()
            raise
        return sock

    def _answer(self, sock: socket.socket, on_event: Event | None) -> Any:
        while True:
            frame = wire.receive(sock)
            if frame is None:
                raise wire.WireError("the keeper closed the connection without an answer")
            message, fds = frame
            if "event" in message:
                if on_event is not None:
                    on_event(message, fds)
                    continue
                for fd in fds:
                    os.close(fd)
            elif "error" in message:
                raise RemoteError(message["error"])
            else:
                return message.get("result")


def start_keeper(repo: Path, faults: tuple[str, ...] = ()) -> None:
    """Start the keeper of ``repo`` and wait until it listens.  Harmless where one runs.

    ``faults`` are passed on (see ``tcvs_core.faults``), for tests.  Raises KeeperUnavailable.
    """
    run = run_directory(repo)
    reader, writer = os.pipe()
    argv = [sys.executable, "-P", "-m", "tcvs_core.keeper", "--repo", str(repo)]
    argv += ["--ready-fd", str(writer)]
    for fault in faults:
        argv += ["--fault", fault]
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(writer,),
            start_new_session=True,
            cwd="/",
        )
    finally:
        os.close(writer)
    with os.fdopen(reader, "rb") as ready:
        answer = ready.read()  # until the keeper closes it: after "ok", an error, or its death
    if answer == b"ok":
        assert child.stderr is not None
        child.stderr.close()
        child.wait()  # it has left the work to a child of its own, which lives on
        return
    _out, err = child.communicate()
    text = answer.decode(errors="replace") or err.decode(errors="replace").strip()
    last = text.splitlines()[-1] if text else "it ended without a word"
    raise KeeperUnavailable(
        f"the keeper of {repo} did not start: {last}",
        subject=str(repo),
        hint=f"see {run / 'keeper.log'}, and `tcvs doctor`",
    )


def _forbidden(path: Path, error: OSError) -> KeeperUnavailable:
    return KeeperUnavailable(
        f"cannot reach the keeper at {path}", errno=error.errno, hint="run as root"
    )
