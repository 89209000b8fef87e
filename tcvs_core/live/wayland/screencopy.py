"""Pictures of an output (zwlr_screencopy_manager_v1 version 3) through shared memory.

The compositor is not trusted with the memory: it is sealed, so that it cannot be shrunk under the
mapping here, which would be a SIGBUS.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from tcvs_core.live.wayland.connection import Proxy
from tcvs_core.live.wayland.globals import MAX_SIDE, Globals, Output
from tcvs_core.live.wayland.picture import Picture, bytes_per_pixel
from tcvs_core.live.wayland.wire import ScreenError

_MAX_BYTES = 512 << 20
_Y_INVERT = 1
_ATTEMPTS = 3


@dataclass(frozen=True)
class _Layout:
    shm_format: int
    width: int
    height: int
    stride: int

    @property
    def size(self) -> int:
        return self.stride * self.height


class _Buffer:
    """A wl_buffer and its memory."""

    def __init__(self, shm: Proxy, layout: _Layout) -> None:
        self.layout = layout
        fd = os.memfd_create("tcvs-screen", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, layout.size)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            self.memory = mmap.mmap(fd, layout.size)
            pool = shm.create("create_pool", fd, layout.size)
        finally:
            os.close(fd)
        self.proxy = pool.create(
            "create_buffer", 0, layout.width, layout.height, layout.stride, layout.shm_format
        )
        pool.destroy()

    def close(self) -> None:
        self.proxy.destroy()
        self.memory.close()


@dataclass
class _Frame:
    """What the compositor said of one capture."""

    layout: _Layout | None = None
    asked: bool = False
    flipped: bool = False
    time: float | None = None
    failed: bool = False
    proxy: Proxy | None = field(default=None, repr=False)

    def on_buffer(self, shm_format: int, width: int, height: int, stride: int) -> None:
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise ScreenError(f"impossible picture of {width}x{height}", operation="screenshot")
        least = width * bytes_per_pixel(shm_format)
        if not least <= stride <= 4 * least or stride * height > _MAX_BYTES:
            raise ScreenError(f"impossible rows of {stride} bytes", operation="screenshot")
        self.layout = _Layout(shm_format, width, height, stride)

    def on_buffer_done(self) -> None:
        self.asked = True

    def on_flags(self, flags: int) -> None:
        self.flipped = bool(flags & _Y_INVERT)

    def on_ready(self, high: int, low: int, nanoseconds: int) -> None:
        self.time = (high << 32 | low) + nanoseconds / 1e9

    def on_failed(self) -> None:
        self.failed = True


class Screencopy:
    """Takes pictures; keeps one buffer between them."""

    def __init__(self, offered: Globals) -> None:
        self._connection = offered.connection
        self._shm = offered.bind("wl_shm")
        self._manager = offered.bind("zwlr_screencopy_manager_v1", least=3)
        self._buffer: _Buffer | None = None

    def capture(self, output: Output, *, cursor: bool = True) -> Picture:
        """Return the next frame of ``output``, at most one refresh later.  Raises ScreenError."""
        for _ in range(_ATTEMPTS):
            picture = self._capture(output, cursor, None)
            if picture is not None:
                return picture
        raise ScreenError(
            "the compositor could not copy the screen", operation="screenshot", subject=output.name
        )

    def changed(self, output: Output, seconds: float) -> Picture | None:
        """Return the next frame that the compositor calls damaged, None if none in ``seconds``.

        Damage is counted from the previous call; the cursor does not count.
        """
        return self._capture(output, False, seconds)

    def _capture(self, output: Output, cursor: bool, damage_within: float | None) -> Picture | None:
        frame = _Frame()
        handlers: dict[str, Callable[..., None]] = {
            "buffer": frame.on_buffer,
            "buffer_done": frame.on_buffer_done,
            "flags": frame.on_flags,
            "ready": frame.on_ready,
            "failed": frame.on_failed,
        }
        proxy = self._manager.create("capture_output", int(cursor), output.proxy, on=handlers)
        try:
            self._connection.wait_for(lambda: frame.asked or frame.failed, "screenshot")
            if frame.failed or frame.layout is None:
                return None
            buffer = self._buffer_for(frame.layout)
            if damage_within is None:
                proxy.send("copy", buffer.proxy)
                self._connection.wait_for(
                    lambda: frame.time is not None or frame.failed, "screenshot"
                )
            else:
                proxy.send("copy_with_damage", buffer.proxy)
                with self._connection.lock:
                    self._connection.flush()
                    self._connection.lock.wait_for(
                        lambda: (
                            frame.time is not None or frame.failed or not self._connection.alive
                        ),
                        damage_within,
                    )
            if frame.time is None:
                return None
            layout = frame.layout
            return Picture(
                layout.width,
                layout.height,
                layout.stride,
                layout.shm_format,
                buffer.memory[:],
                frame.flipped,
                frame.time,
            )
        finally:
            proxy.destroy()

    def _buffer_for(self, layout: _Layout) -> _Buffer:
        if self._buffer is None or self._buffer.layout != layout:
            if self._buffer is not None:
                self._buffer.close()
            self._buffer = _Buffer(self._shm, layout)
        return self._buffer

    def close(self) -> None:
        """Give the shared memory back."""
        if self._buffer is not None:
            self._buffer.close()
            self._buffer = None
