"""Between this process's terminal and a command in a desktop.

Without a terminal the command is given our own stdin, stdout and stderr.  With one the keeper makes
a pseudo-terminal in the desktop and sends us its master side (event ``pty``); we put our own
terminal into raw mode and copy both ways, sizes too.  Signals that reach us go on to the command.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import sys
import termios
import threading
import tty as tty_modes
from types import FrameType, TracebackType
from typing import Any, Self

from tcvs_core.keeper import wire

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_DRAIN_SECONDS = 2.0


class Relay:
    """A context manager; leaving it puts the terminal and the signal handlers back."""

    def __init__(self, *, tty: bool) -> None:
        self._tty = tty
        self._closing = contextlib.ExitStack()
        self._master = -1
        self._copier: threading.Thread | None = None
        self._wake = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._copier is not None:
            self._copier.join(_DRAIN_SECONDS if kind is None else 0.0)
            os.write(self._wake, b"x")
            self._copier.join()
        self._closing.close()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """stdin, stdout and stderr to hand over; /dev/null for those that are closed."""
        if sys.stdout is not None:
            sys.stdout.flush()
        return tuple(self._open(fd) for fd in (0, 1, 2))

    def _open(self, fd: int) -> int:
        try:
            os.fstat(fd)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            self._closing.callback(os.close, null)
            return null
        return fd

    def forward_signals(self, sock: socket.socket) -> None:
        """From now on send the signals that reach this process to the command."""

        def forward(number: int, _frame: FrameType | None) -> None:
            with contextlib.suppress(OSError):
                wire.send(sock, {"signal": number})

        for number in _FORWARDED:
            before = signal.signal(number, forward)
            self._closing.callback(signal.signal, number, before)

    def event(self, message: dict[str, Any], fds: list[int]) -> None:
        """Take the keeper's events; ``pty`` brings the master side of the terminal."""
        if message.get("event") != "pty" or not fds or not self._tty or self._master >= 0:
            for fd in fds:
                os.close(fd)
            return
        self._master = fds[0]
        for fd in fds[1:]:
            os.close(fd)
        self._closing.callback(os.close, self._master)
        self._resize()
        before = signal.signal(signal.SIGWINCH, lambda *_: self._resize())
        self._closing.callback(signal.signal, signal.SIGWINCH, before)
        modes = termios.tcgetattr(0)
        self._closing.callback(termios.tcsetattr, 0, termios.TCSADRAIN, modes)
        tty_modes.setraw(0)
        ear, self._wake = os.pipe()
        self._closing.callback(os.close, ear)
        self._closing.callback(os.close, self._wake)
        self._copier = threading.Thread(target=self._copy, args=(ear,), daemon=True)
        self._copier.start()

    def _resize(self) -> None:
        with contextlib.suppress(OSError):
            size = fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8)
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def _copy(self, ear: int) -> None:
        """Copy between our terminal and the master until the command's side is closed."""
        sources = [0, self._master, ear]
        while True:
            ready, _, _ = select.select(sources, [], [])
            if self._master in ready:
                try:
                    data = os.read(self._master, 65536)
                except OSError:  # EIO: nobody has the other side open any more
                    return
                if not data:
                    return
                _write(1, data)
            elif ear in ready:
                return
            if 0 in ready:
                typed = os.read(0, 4096)
                if not typed:
                    sources.remove(0)
                    continue
                with contextlib.suppress(OSError):
                    _write(self._master, typed)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
