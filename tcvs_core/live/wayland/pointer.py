"""A mouse of one's own (zwlr_virtual_pointer_v1)."""

from __future__ import annotations

import time

from tcvs_core.errors import UsageError
from tcvs_core.live.wayland.connection import Connection
from tcvs_core.live.wayland.globals import Globals, Output, Seat

#: Names to the kernel's button codes (linux/input-event-codes.h).
BUTTONS = {
    "left": 0x110,
    "right": 0x111,
    "middle": 0x112,
    "wheel": 0x112,
    "back": 0x113,
    "forward": 0x114,
}

_VERTICAL, _HORIZONTAL = 0, 1
_SOURCE_WHEEL = 0
#: How far one notch of a wheel scrolls, in the unit of wl_pointer.axis, as libinput says it.
_NOTCH = 15.0


Point = tuple[int, int]


def button_code(name: str) -> int:
    """Return the code of a button.  Raises UsageError."""
    if name not in BUTTONS:
        raise UsageError(
            f"unknown button {name!r}",
            operation="click",
            subject="button",
            hint=f"buttons are {', '.join(BUTTONS)}",
        )
    return BUTTONS[name]


def point_of(x: int | None, y: int | None) -> Point | None:
    """Return the point, None for "where the mouse is".  Raises UsageError for half a point."""
    if x is None and y is None:
        return None
    if x is None or y is None:
        raise UsageError("a point needs both x and y", operation="pointer", subject="coordinate")
    return (x, y)


class Clock:
    """Event times in milliseconds that never stand still.

    Toolkits tell double clicks and drop doubled events by these times, so that two events of one
    burst must not carry the same.
    """

    def __init__(self) -> None:
        self._last = 0

    def tick(self, more: int = 1) -> int:
        """Return the time now, at least ``more`` after the previous one; wraps at 32 bits."""
        self._last = max(time.monotonic_ns() // 1_000_000, self._last + more)
        return self._last & 0xFFFFFFFF


class Pointer:
    """The mouse.  Coordinates are pixels of the screen; requests are queued, not flushed."""

    def __init__(self, offered: Globals, seat: Seat, clock: Clock) -> None:
        self._connection: Connection = offered.connection
        self._clock = clock
        manager = offered.bind("zwlr_virtual_pointer_manager_v1")
        self._proxy = manager.create("create_virtual_pointer", seat.proxy)
        self.position: tuple[int, int] | None = None
        self.pressed: set[int] = set()

    def move(self, output: Output, x: int, y: int) -> None:
        """Move to a pixel of ``output``, the caller has checked that it is inside."""
        width, height = output.size
        self._proxy.send("motion_absolute", self._clock.tick(), x, y, width, height)
        self._proxy.send("frame")
        self.position = (x, y)

    def button(self, code: int, pressed: bool) -> None:
        """Press or release a button of ``BUTTONS``."""
        self._proxy.send("button", self._clock.tick(8), code, int(pressed))
        self._proxy.send("frame")
        if pressed:
            self.pressed.add(code)
        else:
            self.pressed.discard(code)

    def scroll(self, dx: int, dy: int) -> None:
        """Turn the wheel by notches, positive right and down, one event a notch."""
        for axis, notches in ((_VERTICAL, dy), (_HORIZONTAL, dx)):
            step = 1 if notches > 0 else -1
            for _ in range(abs(notches)):
                self._proxy.send("axis_source", _SOURCE_WHEEL)
                self._proxy.send("axis_discrete", self._clock.tick(), axis, step * _NOTCH, step)
                self._proxy.send("frame")

    def release_all(self) -> None:
        """Release every pressed button."""
        for code in sorted(self.pressed):
            self.button(code, False)

    def close(self) -> None:
        """Release everything and take the device away."""
        self.release_all()
        self._proxy.destroy()
