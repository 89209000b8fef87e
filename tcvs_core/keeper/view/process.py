"""The view process: serves the page and runs wayvnc, as the keeper tells it over a socket.

The control socket is a stream of frames as in ``tcvs_core.keeper.wire``:

* keeper -> view: ``{"id": int, "method": str, "params": {...}}``; ``attach`` brings a descriptor,
  a connection to the branch's compositor.  An id of 0 asks for no answer.
* view -> keeper: ``{"id": int, "result": any}`` or ``{"id": int, "error": TcvsError.to_dict()}``
* view -> keeper, unasked: ``{"event": "lost", "branch": str, "generation": int}`` when a wayvnc
  ended that nobody told to; the keeper may attach that branch again.

The process ends when the control socket does, and every wayvnc with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import Any

from aiohttp import web

from tcvs_core.errors import TcvsError, UsageError
from tcvs_core.keeper import wire
from tcvs_core.keeper.view.admission import Admission
from tcvs_core.keeper.view.screens import Screen, Screens
from tcvs_core.keeper.view.server import application
from tcvs_core.keeper.view.statics import StaticFile
from tcvs_core.keeper.view.vnc import DetachFailed, VncFailed, VncServer
from tcvs_core.linux.libc import PR_SET_NO_NEW_PRIVS, check, libc


def drop_privileges(uid: int) -> None:
    """Become user and group ``uid`` for good, where this process is root's."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")


class Service:
    """One view process; the current directory holds its sockets."""

    def __init__(
        self,
        control: socket.socket,
        listener: socket.socket,
        statics: dict[str, StaticFile],
        wayvnc_argv: list[str],
    ) -> None:
        self._control = control
        self._listener = listener
        self._argv = wayvnc_argv
        self._admission = Admission()
        self._screens = Screens()
        self._port: int = listener.getsockname()[1]
        self._app = application(self._port, self._admission, self._screens, statics)
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Serve until the control socket ends."""
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.SockSite(runner, self._listener).start()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._ended.set)
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # a terminal's ^C is the keeper's
        loop.add_reader(self._control, self._on_control)
        wire.send(self._control, {"id": 0, "result": {"port": self._port}})
        await self._ended.wait()
        loop.remove_reader(self._control)
        for screen in self._screens.by_name.values():
            screen.server.stop()
        await runner.cleanup()

    def _on_control(self) -> None:
        try:
            frame = wire.receive(self._control)
        except (OSError, TcvsError):
            frame = None
        if frame is None:
            self._ended.set()
            return
        message, fds = frame
        for fd in fds:
            os.set_inheritable(fd, False)
        try:
            answer = {"result": self._perform(message["method"], message["params"], fds)}
        except TcvsError as error:
            answer = {"error": error.to_dict()}
        finally:
            for fd in fds:
                os.close(fd)
        if message["id"]:
            wire.send(self._control, {"id": message["id"], **answer})

    def _perform(self, method: str, params: dict[str, Any], fds: list[int]) -> Any:
        match method:
            case "token":
                return self._admission.issue(params["branches"])
            case "set":
                return self._set(params["branches"])
            case "attach":
                # The socket object gets a descriptor of its own; the caller closes the others.
                return self._attach(params["branch"], socket.socket(fileno=os.dup(fds[0])))
            case "detach":
                return self._detach(params["branch"])
        raise UsageError(f"unknown method {method!r}", operation="control the viewer")

    def _set(self, branches: list[dict[str, Any]]) -> None:
        """Make the list of branches what it should be; who is attached stays so."""
        old = self._screens.by_name
        new: dict[str, Screen] = {}
        for branch in branches:
            name = branch["name"]
            screen = old.pop(name, None) or Screen(name, VncServer(self._argv, Path(), name))
            screen.current = branch["current"]
            screen.size = (branch["screen"][0], branch["screen"][1]) if branch["screen"] else None
            if not branch["running"]:
                screen.server.stop()
                screen.state = "stopped"
            new[name] = screen
        for screen in old.values():
            screen.server.stop()
        self._screens.by_name = new
        self._screens.changed()

    def _attach(self, name: str, wayland: socket.socket) -> int:
        screen = self._screens.by_name.get(name)
        if screen is None:
            wayland.close()
            raise UsageError(f"the viewer has no branch {name!r}", operation="attach", subject=name)
        screen.generation += 1
        screen.state = "lost"
        try:
            screen.server.start(wayland)
            screen.state = "live"
            self._watch(screen)
        finally:
            self._screens.changed()
        return screen.generation

    def _detach(self, name: str) -> float:
        """Let go of the compositor of ``name``; its streams end with wayvnc."""
        screen = self._screens.by_name.get(name)
        if screen is None or not screen.server.attached:
            return 0.0
        screen.state = "frozen"
        try:
            return screen.server.detach()
        finally:
            self._screens.changed()

    def _watch(self, screen: Screen) -> None:
        """Notice when the wayvnc of ``screen`` ends by itself."""
        pid = screen.server.pid
        if pid is None:
            return
        generation = screen.generation
        loop = asyncio.get_running_loop()
        handle = os.pidfd_open(pid)

        def ended() -> None:
            loop.remove_reader(handle)
            os.close(handle)
            screen.server.reap()
            if screen.generation != generation or not screen.server.attached:
                return
            stopped = screen.server.compositor_gone
            with contextlib.suppress(DetachFailed):  # it may well be slower; nobody waits for it
                screen.server.detach(timeout_ms=0)
            screen.state = "stopped" if stopped else "lost"
            self._screens.changed()
            event = {"event": "lost", "branch": screen.name, "generation": generation}
            wire.send(self._control, event)

        loop.add_reader(handle, ended)


def check_executable(argv: list[str], uid: int) -> None:
    """Raise VncFailed unless this process may read every absolute path in ``argv``."""
    unreadable = [word for word in argv if word.startswith("/") and not os.access(word, os.R_OK)]
    if not argv or unreadable:
        raise VncFailed(
            f"user {uid} cannot run wayvnc: no access to {' '.join(unreadable) or 'it'}",
            operation="start the viewer",
            subject=unreadable[0] if unreadable else "wayvnc",
            hint="`make setup` installs wayvnc where everybody can read it",
        )
