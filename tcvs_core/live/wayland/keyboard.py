"""A keyboard of one's own (zwp_virtual_keyboard_v1) that lives as long as the connection.

Two traps that lose or garble keys, and what is done here:

* Programs bind the seat's keyboard when the seat gets one, so some time after this device is made
  if it is the only one: keys before that go nowhere.  Nobody tells when they have.  The device is
  made when connecting, and the first key waits until ``ready_at``, which the session sets.
* Programs get another keymap whenever the seat changes from one keyboard to another (ours after a
  connect, or after somebody typed through VNC) and when ours changes.  GTK loses shortcuts and
  Return right after that, programs of X11 look up a key when they get to it.  So a listener on the
  seat counts keymaps: before any key the seat is made to use this keyboard, and only if that or an
  upload has brought programs a keymap, they get ``_KEYMAP_SETTLE`` seconds to take it in.
  A keymap is uploaded only for a character that it lacks, and what is in it stays in place until
  all slots are taken.

A program that does not read its events is disconnected by the compositor once its socket is full,
which ends the program; a stopped terminal survived 1000 strokes and not 1500.  So long texts are
typed in pieces: a burst, then at a steady rate.
"""

from __future__ import annotations

import collections
import contextlib
import os
import time
from collections.abc import Iterator

from tcvs_core.live.wayland.globals import Globals, Seat
from tcvs_core.live.wayland.keymap import OFFSET, SLOTS, keymap_text
from tcvs_core.live.wayland.keys import MODIFIERS, NAMED, Chord, Stroke
from tcvs_core.live.wayland.pointer import Clock
from tcvs_core.live.wayland.wire import ScreenError

_FORMAT_XKB_V1 = 1
_PIECE = 64
_BURST = 512
_RATE = 400.0  # strokes a second after a burst
#: What programs get to take in a keymap; and before keys typed shortly before change meaning.
_KEYMAP_SETTLE = 0.05
_REUSE_SETTLE = 0.1
_SHIFT = NAMED["Shift_L"]


class Keyboard:
    """The keyboard.  Calls flush; keys are released whatever happens."""

    def __init__(self, offered: Globals, seat: Seat, clock: Clock) -> None:
        self._connection = offered.connection
        self._clock = clock
        #: When (time.monotonic) programs will have bound this keyboard.
        self.ready_at = 0.0
        manager = offered.bind("zwp_virtual_keyboard_manager_v1")
        self._proxy = manager.create("create_virtual_keyboard", seat.proxy)
        #: Symbol to XKB code, least recently used first.
        self._slots: collections.OrderedDict[str, int] = collections.OrderedDict()
        self._down: list[int] = []
        self._keymap_at = time.monotonic()
        self._tokens = float(_BURST)
        self._tokens_at = time.monotonic()
        self._keymaps = 0
        self._keymaps_settled = 0
        self._listener = seat.proxy.create("get_keyboard", on={"keymap": self._on_keymap})
        self._upload()
        # Make the seat use this keyboard now, so that programs get its keymap well before a key.
        self._proxy.send("modifiers", 0, 0, 0, 0)

    def _on_keymap(self, _format: int, fd: int, _size: int) -> None:
        os.close(fd)
        self._keymaps += 1
        self._keymap_at = time.monotonic()

    def _upload(self) -> None:
        text = keymap_text((code, symbol) for symbol, code in self._slots.items())
        data = text.encode() + b"\0"
        fd = os.memfd_create("tcvs-keymap", os.MFD_CLOEXEC)
        try:
            os.write(fd, data)
            self._proxy.send("keymap", _FORMAT_XKB_V1, fd, len(data))
        finally:
            os.close(fd)

    def _provide(self, symbols: set[str]) -> None:
        """Put ``symbols``, at most as many as there are slots, into the keymap."""
        missing = sorted(symbols - self._slots.keys())
        for symbol in symbols & self._slots.keys():
            self._slots.move_to_end(symbol)
        if not missing:
            return
        free = sorted(set(SLOTS) - set(self._slots.values()))
        if len(free) < len(missing):
            self._connection.roundtrip()
            time.sleep(_REUSE_SETTLE)
        for symbol in missing:
            code = free.pop(0) if free else self._slots.popitem(last=False)[1]
            self._slots[symbol] = code
        self._upload()

    def _wait_until_ready(self) -> None:
        """Return when programs have this keyboard with this keymap."""
        self._proxy.send("modifiers", self._mask(), 0, 0, 0)
        self._connection.roundtrip()
        if self._keymaps != self._keymaps_settled:
            self._keymaps_settled = self._keymaps
            self.ready_at = max(self.ready_at, self._keymap_at + _KEYMAP_SETTLE)
        left = self.ready_at - time.monotonic()
        if left > 0:
            time.sleep(left)

    def _mask(self) -> int:
        mask = 0
        for code in self._down:
            mask |= MODIFIERS.get(code, 0)
        return mask

    def _set(self, code: int, pressed: bool) -> None:
        self._proxy.send("key", self._clock.tick(), code, int(pressed))
        if pressed:
            self._down.append(code)
        else:
            self._down.remove(code)
        if code in MODIFIERS:
            self._proxy.send("modifiers", self._mask(), 0, 0, 0)

    def _code(self, stroke: Stroke) -> int:
        return stroke.code if stroke.symbol is None else self._slots[stroke.symbol] - OFFSET

    def release_all(self) -> None:
        """Release every key that is down."""
        for code in reversed(self._down.copy()):
            self._set(code, False)

    @contextlib.contextmanager
    def _releasing(self) -> Iterator[None]:
        before = self._down.copy()
        try:
            yield
        finally:
            # A dead connection has released everything already.
            with contextlib.suppress(ScreenError):
                for code in reversed(self._down.copy()):
                    if code not in before:
                        self._set(code, False)
                self._connection.flush()

    @contextlib.contextmanager
    def holding(self, chord: Chord) -> Iterator[None]:
        """Press ``chord`` and keep it down within the context."""
        stroke = chord.stroke
        if stroke.symbol is not None:
            self._provide({stroke.symbol})
        self._wait_until_ready()
        with self._releasing():
            codes = [*chord.modifiers, *([_SHIFT] if stroke.shift else []), self._code(stroke)]
            for code in codes:
                if code not in self._down:
                    self._set(code, True)
            self._connection.flush()
            yield

    def press(self, chord: Chord) -> None:
        """Press and release ``chord``."""
        with self.holding(chord):
            pass

    def _pieces(self, strokes: list[Stroke]) -> Iterator[list[Stroke]]:
        """Cut into pieces whose symbols fit into the slots."""
        piece: list[Stroke] = []
        symbols: set[str] = set()
        for stroke in strokes:
            if stroke.symbol is not None:
                if stroke.symbol not in symbols and len(symbols) == len(SLOTS):
                    yield piece
                    piece, symbols = [], set()
                symbols.add(stroke.symbol)
            piece.append(stroke)
        yield piece

    def _take_tokens(self, count: int) -> None:
        now = time.monotonic()
        self._tokens = min(_BURST, self._tokens + (now - self._tokens_at) * _RATE) - count
        self._tokens_at = now
        if self._tokens < 0:
            time.sleep(-self._tokens / _RATE)

    def type(self, strokes: list[Stroke], interval: float = 0.0) -> None:
        """Type ``strokes``, with ``interval`` seconds after each."""
        step = 1 if interval else _PIECE
        for piece in self._pieces(strokes):
            self._provide({stroke.symbol for stroke in piece if stroke.symbol is not None})
            self._wait_until_ready()
            for start in range(0, len(piece), step):
                part = piece[start : start + step]
                self._take_tokens(len(part))
                with self._releasing():
                    self._type_part(part)
                self._connection.roundtrip()
                if interval:
                    time.sleep(interval)

    def _type_part(self, strokes: list[Stroke]) -> None:
        for stroke in strokes:
            if stroke.shift != (_SHIFT in self._down):
                self._set(_SHIFT, stroke.shift)
            code = self._code(stroke)
            self._set(code, True)
            self._set(code, False)

    def close(self) -> None:
        """Release everything and take the device away."""
        self.release_all()
        self._listener.destroy("release" if self._listener.version >= 3 else None)
        self._proxy.destroy()
