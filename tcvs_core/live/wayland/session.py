"""Everything that one connection to a desktop has: the devices, the pictures, the windows."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

from tcvs_core.errors import UsageError
from tcvs_core.live.wayland.clipboard import Clipboard
from tcvs_core.live.wayland.connection import Connection
from tcvs_core.live.wayland.globals import Globals, Output
from tcvs_core.live.wayland.keyboard import Keyboard
from tcvs_core.live.wayland.pointer import Clock, Point, Pointer
from tcvs_core.live.wayland.screencopy import Screencopy
from tcvs_core.live.wayland.toplevels import Toplevels
from tcvs_core.live.wayland.wire import ScreenError

#: The settling time is at least this many times what connecting took, a sign of load.
_LOADED = 15
_MAX_SETTLE = 2.0


class Session:
    """A connected client with a mouse and a keyboard, made in three roundtrips."""

    def __init__(self, sock: socket.socket, *, timeout: float, settle: float) -> None:
        """Take over ``sock``.

        ``settle`` seconds, more when connecting has taken long, is what programs get to bind the
        devices, if the seat did not have them all along.  labwc tells of devices that went only
        when new ones come, so what the seat says before ours does not count alone.
        """
        started = time.monotonic()
        self.connection = Connection(sock, timeout=timeout)
        try:
            self.globals = Globals.of(self.connection)
            seat = self.globals.seat()
            self.screencopy = Screencopy(self.globals)
            self.clipboard = Clipboard(self.globals, seat)
            self.toplevels = Toplevels(self.globals, seat)
            self.connection.roundtrip()
            complete, changes = seat.has_pointer and seat.has_keyboard, seat.changes
            clock = Clock()
            self.pointer = Pointer(self.globals, seat, clock)
            self.keyboard = Keyboard(self.globals, seat, clock)
            self.connection.roundtrip()
            #: Whether programs have to bind the devices of this session.
            self.fresh_devices = not complete or seat.changes != changes
            now = time.monotonic()
            self.ready_at = now
            if self.fresh_devices and settle:
                self.ready_at += min(max(settle, _LOADED * (now - started)), _MAX_SETTLE)
            self.keyboard.ready_at = self.ready_at
        except ScreenError:
            self.connection.close(grace=0.0)
            raise

    @property
    def output(self) -> Output:
        """The screen.  Raises ScreenError when there is none."""
        return self.globals.output()

    @contextlib.contextmanager
    def pointing(self, *points: Point | None) -> Iterator[Pointer]:
        """Check the points and yield the mouse, then send; what was pressed is released on errors.

        Raises UsageError for a point that is not on the screen.
        """
        width, height = self.output.size
        for point in points:
            if point is not None and not (0 <= point[0] < width and 0 <= point[1] < height):
                raise UsageError(
                    f"the point {point[0]},{point[1]} is not on the screen",
                    operation="pointer",
                    subject="coordinate",
                    hint=f"the screen is {width}x{height}",
                )
        left = self.ready_at - time.monotonic()
        if left > 0:
            time.sleep(left)
        before = self.pointer.pressed.copy()
        try:
            yield self.pointer
            self.connection.roundtrip()
        except BaseException:
            with contextlib.suppress(ScreenError):
                for code in self.pointer.pressed - before:
                    self.pointer.button(code, False)
                self.connection.flush()
            raise

    def close(self) -> bool:
        """Release keys and buttons, give everything back, hang up.

        Return whether the compositor was seen to let go.
        """
        if self.connection.alive:
            with contextlib.suppress(ScreenError):
                for part in (self.keyboard, self.pointer, self.clipboard, self.screencopy):
                    part.close()
        return self.connection.close()
