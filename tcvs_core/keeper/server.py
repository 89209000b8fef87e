"""The keeper: one resident process a repository, answering on a Unix socket.

One thread a connection; the work of a request is done in it.  Only the user who runs the keeper
may talk to it: the socket has mode 0600, and the peer's credentials are checked as well.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from tcvs_core.codec import with_raw_names
from tcvs_core.errors import TcvsError, UsageError
from tcvs_core.faults import FaultInjected
from tcvs_core.keeper import wire
from tcvs_core.keeper.methods import Call, invoke
from tcvs_core.keeper.viewers import Viewers
from tcvs_core.workspace.repository import Repository


class KeeperBug(TcvsError):
    """Something went wrong that nobody foresaw; the log has the whole story."""

    code = "bug"


class Server:
    """Serves one repository until told to stop."""

    def __init__(self, path: Path, repo: Repository, viewers: Viewers, listener: socket.socket):
        self.path = path
        self.repo = repo
        self.viewers = viewers
        self.started = time.time()
        self._listener = listener
        self._stopping = threading.Event()
        self._wake_r, self._wake_w = os.pipe()
        self._threads: set[threading.Thread] = set()

    def stop(self) -> None:
        """Take no more requests; ``serve`` returns when those under way are done."""
        self._stopping.set()
        os.write(self._wake_w, b"x")

    def serve(self) -> None:
        """Answer until ``stop``.  Also looks after desktops that end by themselves."""
        while not self._stopping.is_set():
            watched: list[Any] = [self._listener, self._wake_r]
            ready, _, _ = select.select(watched, [], [], 1.0)
            self._supervise()
            if self._listener in ready:
                sock, _address = self._listener.accept()
                thread = threading.Thread(target=self._connection, args=(sock,), daemon=True)
                self._threads.add(thread)
                thread.start()
        self._listener.close()
        deadline = time.monotonic() + 60
        for thread in list(self._threads):
            thread.join(max(0.1, deadline - time.monotonic()))

    def _supervise(self) -> None:
        """Notice desktops that ended by themselves, and say so once."""
        for name in self.repo.branches.names():
            with contextlib.suppress(TcvsError):
                if self.repo.locks.free(name) and self.repo.branches.ended(name):
                    self.repo.notice(
                        f"the desktop of {name} ended by itself; `tcvs up {name}` starts it again",
                        about=name,
                    )
                    self.repo.close_screen(name)
                    self.repo.watchers.come_back(name)

    def _connection(self, sock: socket.socket) -> None:
        try:
            with sock:
                self._converse(sock)
        except (OSError, TcvsError):
            pass  # the peer broke off or broke the protocol: nobody is left to be told
        finally:
            self._threads.discard(threading.current_thread())

    def _converse(self, sock: socket.socket) -> None:
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        _pid, uid, _gid = struct.unpack("=iII", credentials)
        if uid not in (0, os.geteuid()):
            return
        frame = wire.receive(sock)
        if frame is None:
            return
        message, fds = frame
        guard = threading.Lock()

        def emit(event: dict[str, Any], out: tuple[int, ...]) -> None:
            with guard, contextlib.suppress(OSError):
                wire.send(sock, event, out)

        call = Call(self, fds, emit, threading.Event())
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(sock, call, done), daemon=True)
        watcher.start()
        try:
            answer = self._answer(call, message)
        finally:
            done.set()
            for fd in fds:
                os.close(fd)
        with guard:
            wire.send(sock, with_raw_names(answer))

    @staticmethod
    def _watch(sock: socket.socket, call: Call, done: threading.Event) -> None:
        """Read what the client says while its request is under way: signals, or its end."""
        try:
            while not done.is_set():
                ready, _, _ = select.select([sock], [], [], 0.5)
                if not ready:
                    continue
                frame = wire.receive(sock)
                if frame is None:
                    break
                for handler in call.on_signal:
                    with contextlib.suppress(OSError):
                        handler(int(frame[0].get("signal", 0)))
        except (OSError, ValueError, TcvsError):
            pass
        call.gone.set()

    def _answer(self, call: Call, message: dict[str, Any]) -> dict[str, Any]:
        method = str(message.get("method"))
        try:
            if message.get("v") != wire.VERSION:
                raise UsageError(
                    f"the keeper speaks version {wire.VERSION} of the protocol",
                    operation=method,
                    hint="`tcvs keeper stop`; a new one starts by itself",
                )
            return {"result": invoke(call, method, dict(message.get("params") or {}))}
        except TcvsError as error:
            return {"error": error.to_dict()}
        except FaultInjected as error:
            return {"error": KeeperBug(f"fault injected at {error}").to_dict()}
        except Exception as error:
            traceback.print_exc()
            bug = KeeperBug(
                f"the keeper failed in {method}: {error!r}",
                operation=method,
                hint="this is a bug; keeper.log has the details",
            )
            return {"error": bug.to_dict()}
