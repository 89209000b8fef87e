"""The windows (zwlr_foreign_toplevel_manager_v1), as a taskbar sees them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tcvs_core.live.wayland.connection import Proxy
from tcvs_core.live.wayland.globals import Globals, Seat
from tcvs_core.model import Window

_MAXIMIZED, _MINIMIZED, _ACTIVATED, _FULLSCREEN = range(4)


@dataclass
class _Toplevel:
    """One window; the compositor sends parts of it, ``done`` makes them valid."""

    proxy: Proxy
    title: str = ""
    app_id: str = ""
    states: frozenset[int] = frozenset()
    ready: bool = False

    def on_title(self, text: str) -> None:
        self.title = text

    def on_app_id(self, text: str) -> None:
        self.app_id = text

    def on_state(self, data: bytes) -> None:
        whole = data[: len(data) // 4 * 4]
        self.states = frozenset(value for (value,) in struct.iter_unpack("=I", whole))

    def on_done(self) -> None:
        self.ready = True

    def window(self) -> Window:
        return Window(
            title=self.title,
            app_id=self.app_id,
            active=_ACTIVATED in self.states,
            minimized=_MINIMIZED in self.states,
            maximized=_MAXIMIZED in self.states,
            fullscreen=_FULLSCREEN in self.states,
        )


class Toplevels:
    """The list of windows, in the order in which they appeared."""

    def __init__(self, offered: Globals, seat: Seat) -> None:
        self._connection = offered.connection
        self._seat = seat
        self._all: dict[int, _Toplevel] = {}
        self._manager = offered.bind(
            "zwlr_foreign_toplevel_manager_v1", {"toplevel": self._on_toplevel}
        )

    def _on_toplevel(self, proxy: Proxy) -> None:
        toplevel = _Toplevel(proxy)

        def closed() -> None:
            self._all.pop(proxy.id, None)
            proxy.destroy()

        proxy.handlers = {
            "title": toplevel.on_title,
            "app_id": toplevel.on_app_id,
            "state": toplevel.on_state,
            "done": toplevel.on_done,
            "closed": closed,
        }
        self._all[proxy.id] = toplevel

    def _ready(self) -> list[_Toplevel]:
        self._connection.roundtrip()
        with self._connection.lock:
            return [toplevel for toplevel in self._all.values() if toplevel.ready]

    def windows(self) -> list[Window]:
        """Return the windows as of now."""
        return [toplevel.window() for toplevel in self._ready()]

    def find(self, text: str) -> tuple[Proxy, Window] | None:
        """Return the window that ``text`` names best, the newest of equals.

        Title or app id, exactly; then without case; then as a part of either.
        """
        folded = text.casefold()
        best: tuple[int, _Toplevel] | None = None
        for toplevel in self._ready():
            names = (toplevel.title, toplevel.app_id)
            low = [name.casefold() for name in names]
            rank = 3 * (text in names) or 2 * (folded in low)
            rank = rank or int(any(folded in name for name in low))
            if rank and (best is None or rank >= best[0]):
                best = (rank, toplevel)
        return None if best is None else (best[1].proxy, best[1].window())

    def activate(self, proxy: Proxy) -> None:
        """Raise and focus the window, out of the minimized state too."""
        proxy.send("unset_minimized")
        proxy.send("activate", self._seat.proxy)
        self._connection.roundtrip()

    def close_window(self, proxy: Proxy) -> None:
        """Ask the window to close."""
        proxy.send("close")
        self._connection.roundtrip()
