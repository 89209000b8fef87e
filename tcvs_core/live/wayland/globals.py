"""What a compositor offers: the registry, the seat, and the outputs (the screen)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tcvs_core.live.wayland.connection import Connection, Handlers, Proxy
from tcvs_core.live.wayland.protocols import INTERFACES
from tcvs_core.live.wayland.wire import ScreenError

_CAPABILITY_POINTER = 1
_CAPABILITY_KEYBOARD = 2
_MODE_CURRENT = 1
_QUARTER_TURNED = (1, 3, 5, 7)
MAX_SIDE = 16384


class Unsupported(ScreenError):
    """The compositor lacks a protocol that is needed."""

    code = "screen-unsupported"


@dataclass
class Output:
    """A screen; ``size`` is in pixels of its pictures."""

    proxy: Proxy
    mode: tuple[int, int] = (0, 0)
    transform: int = 0
    scale: int = 1
    name: str = ""

    @property
    def size(self) -> tuple[int, int]:
        width, height = self.mode
        return (height, width) if self.transform in _QUARTER_TURNED else (width, height)


@dataclass
class Seat:
    """The set of input devices.

    ``changes`` counts how often the compositor has said what it has.  A program binds a kind of
    device anew whenever it goes and comes.
    """

    proxy: Proxy
    has_pointer: bool = False
    has_keyboard: bool = False
    changes: int = 0


@dataclass
class Globals:
    """The registry of one connection.  Made by ``Globals.of``."""

    connection: Connection
    registry: Proxy
    names: dict[int, tuple[str, int]] = field(default_factory=dict)
    outputs: dict[int, Output] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: Connection) -> Globals:
        """Read the registry and bind every output; two roundtrips.  Raises ScreenError."""
        with connection.lock:
            registry = connection.display.create("get_registry")
            found = cls(connection, registry)
            registry.handlers = {"global": found._on_global, "global_remove": found._on_remove}
        connection.roundtrip()
        return found

    def _on_global(self, name: int, interface: str, version: int) -> None:
        self.names[name] = (interface, version)
        if interface == "wl_output":
            self._bind_output(name, version)

    def _bind_output(self, name: int, version: int) -> None:
        proxy = self._bind(name, "wl_output", version, {})
        output = Output(proxy)

        def mode(flags: int, width: int, height: int, _refresh: int) -> None:
            if flags & _MODE_CURRENT:
                if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
                    raise ScreenError(f"impossible screen of {width}x{height}", operation="output")
                output.mode = (width, height)

        def geometry(*args: int) -> None:
            output.transform = args[-1]

        def scale(factor: int) -> None:
            output.scale = max(1, factor)

        def named(text: str) -> None:
            output.name = text

        proxy.handlers = {"mode": mode, "geometry": geometry, "scale": scale, "name": named}
        self.outputs[name] = output

    def _on_remove(self, name: int) -> None:
        self.names.pop(name, None)
        output = self.outputs.pop(name, None)
        if output is not None:
            output.proxy.destroy("release" if output.proxy.version >= 3 else None)

    def _bind(self, name: int, interface: str, version: int, on: Handlers) -> Proxy:
        known = INTERFACES[interface]
        return self.connection.bind(self.registry, name, known, min(version, known.version), on)

    def bind(self, interface: str, on: Handlers | None = None, *, least: int = 1) -> Proxy:
        """Bind the first global of ``interface``.  Raises Unsupported below version ``least``."""
        with self.connection.lock:
            for name, (found, version) in self.names.items():
                if found == interface and version >= least:
                    return self._bind(name, interface, version, on or {})
        raise Unsupported(
            f"the compositor does not offer {interface} version {least}",
            operation="bind",
            subject=interface,
            hint="tcvs needs a compositor of the wlroots family, such as labwc",
        )

    def output(self) -> Output:
        """Return the first output that shows a picture.  Raises ScreenError."""
        with self.connection.lock:
            for output in self.outputs.values():
                if output.mode[0]:
                    return output
        raise ScreenError("the desktop has no screen", operation="output")

    def seat(self) -> Seat:
        """Bind the first seat; its capabilities are known after the next roundtrip."""
        seat = Seat(self.bind("wl_seat"))

        def capabilities(flags: int) -> None:
            seat.has_pointer = bool(flags & _CAPABILITY_POINTER)
            seat.has_keyboard = bool(flags & _CAPABILITY_KEYBOARD)
            seat.changes += 1

        seat.proxy.handlers = {"capabilities": capabilities}
        return seat
