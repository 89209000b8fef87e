"""The text of the clipboard (zwlr_data_control_manager_v1), without a window or focus.

What is set here is served by this client, by the connection's thread, as long as it is connected.
"""

from __future__ import annotations

import os
import select
import time
from dataclasses import dataclass, field
from functools import partial

from tcvs_core.live.wayland.connection import Proxy
from tcvs_core.live.wayland.globals import Globals, Seat
from tcvs_core.live.wayland.wire import ScreenError, ScreenTimeout

#: Types of text, the best first.
_TEXT = ("text/plain;charset=utf-8", "UTF8_STRING", "text/plain", "STRING", "TEXT")
MAX_BYTES = 64 << 20
_MAX_TYPES = 1000


@dataclass
class _Offer:
    proxy: Proxy
    types: list[str] = field(default_factory=list)

    def add(self, mime_type: str) -> None:
        if len(self.types) < _MAX_TYPES:
            self.types.append(mime_type)


class Clipboard:
    """The clipboard of a seat."""

    def __init__(self, offered: Globals, seat: Seat) -> None:
        self._connection = offered.connection
        self._manager = offered.bind("zwlr_data_control_manager_v1")
        self._offers: dict[int, _Offer] = {}
        self._current: _Offer | None = None
        self._source: Proxy | None = None
        #: What this client offers, None when somebody else's selection (or none) is current.
        self.offered: str | None = None
        handlers = {
            "data_offer": self._on_offer,
            "selection": self._on_selection,
            "primary_selection": self._on_primary,
        }
        self._device = self._manager.create("get_data_device", seat.proxy, on=handlers)

    def _on_offer(self, proxy: Proxy) -> None:
        offer = _Offer(proxy)
        proxy.handlers = {"offer": offer.add}
        self._offers[proxy.id] = offer

    def _on_selection(self, proxy: Proxy | None) -> None:
        if self._current is not None:
            self._current.proxy.destroy()
        self._current = self._offers.pop(proxy.id, None) if proxy is not None else None

    def _on_primary(self, proxy: Proxy | None) -> None:
        if proxy is not None:
            self._offers.pop(proxy.id, None)
            proxy.destroy()

    @property
    def empty(self) -> bool:
        """Whether there is no selection at all, as of the last roundtrip."""
        return self._current is None

    def get(self, timeout: float = 5.0) -> str | None:
        """Return the text, None when there is none.  Raises ScreenError after ``timeout`` s."""
        self._connection.roundtrip()
        with self._connection.lock:
            if self._source is not None and self.offered is not None:
                return self.offered
            offer = self._current
            if offer is None:
                return None
            mime_type = next((text for text in _TEXT if text in offer.types), None)
            if mime_type is None:
                return None
            reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                # The far side writes: it must be able to block.
                os.set_blocking(writer, True)
                offer.proxy.send("receive", mime_type, writer)
                self._connection.flush()
            except ScreenError:
                os.close(reader)
                raise
            finally:
                os.close(writer)
        try:
            return _read_all(reader, timeout).decode("utf-8", "replace")
        finally:
            os.close(reader)

    def set(self, text: str) -> None:
        """Offer ``text`` until something else is copied or the connection ends."""
        data = text.encode("utf-8", "surrogateescape")
        if len(data) > MAX_BYTES:
            raise ScreenError("the text is too large for the clipboard", operation="clipboard")
        with self._connection.lock:
            old = self._source
            source = self._manager.create("create_data_source")
            source.handlers = {
                "send": partial(self._on_send, data),
                "cancelled": partial(self._on_cancelled, source),
            }
            for mime_type in _TEXT:
                source.send("offer", mime_type)
            self._device.send("set_selection", source)
            self._source, self.offered = source, text
            if old is not None:
                old.destroy()
        self._connection.roundtrip()

    def _on_send(self, data: bytes, _mime_type: str, fd: int) -> None:
        self._connection.write_pipe(fd, data)

    def _on_cancelled(self, source: Proxy) -> None:
        if self._source is source:
            self._source = self.offered = None
        source.destroy()

    def close(self) -> None:
        """Withdraw the offer."""
        with self._connection.lock:
            if self._source is not None:
                self._source.destroy()
                self._source = None
            self._device.destroy()


def _read_all(fd: int, timeout: float) -> bytes:
    deadline = time.monotonic() + timeout
    parts: list[bytes] = []
    size = 0
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        data = os.read(fd, 1 << 20)
        if not data:
            return b"".join(parts)
        parts.append(data)
        size += len(data)
        if size > MAX_BYTES:
            raise ScreenError("the clipboard is too large to read", operation="clipboard")
    raise ScreenTimeout(
        f"the program that owns the clipboard did not send it within {timeout:g} s",
        operation="clipboard",
    )
