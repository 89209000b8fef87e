"""The screen of a workspace, seen and driven from outside: pictures, mouse, keyboard, clipboard.

``Screen`` connects to the compositor when first used and stays connected.  Before a freeze nobody
outside may be connected: ``close()`` ends everything (devices, shared memory, descriptors, the
thread that serves the clipboard) and returns when the compositor has let go too, in a few
milliseconds; the next call connects again by itself.

The clipboard set from here is served by this object.  A text that was on offer at ``close()`` is
remembered and offered again after the next connect, unless a program has copied something in
between; ``clipboard_offered`` lets a fork hand it to the screens of its siblings.

Coordinates are pixels of the screenshot, from the top left.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Literal, overload

from PIL import Image

from tcvs_core.errors import UsageError
from tcvs_core.live.wayland.keys import Chord, parse_chord, parse_chords, strokes_for
from tcvs_core.live.wayland.link import Link, Source
from tcvs_core.live.wayland.picture import Picture, Region, Scale, encoded
from tcvs_core.live.wayland.pointer import Point, Pointer, button_code, point_of
from tcvs_core.live.wayland.session import Session
from tcvs_core.live.wayland.wire import ScreenError
from tcvs_core.model import Window

__all__ = ["NoSuchWindow", "Screen", "ScreenError"]

Format = Literal["png", "jpeg", "raw"]
_MAX_NOTCHES = 200
_MAX_HOLD = 60.0


class NoSuchWindow(UsageError):
    """No window has that title or app id."""

    code = "no-such-window"


class Screen:
    """A desktop's screen.  Safe to use from several threads, one action at a time.

    Every method may raise ScreenError: Disconnected (no compositor; the next call tries again),
    ScreenTimeout (it does not answer), ProtocolError.  Bad arguments are UsageError.
    """

    def __init__(
        self,
        source: Source,
        *,
        timeout: float = 5.0,
        settle: float = 0.25,
        offer: str | None = None,
    ) -> None:
        """Use the compositor at ``source``; nothing is connected yet.

        ``source`` is the path of its socket, a function that connects, or one connected socket,
        which cannot be connected again once closed.  ``timeout`` seconds ends every wait.
        ``settle`` seconds (more on a loaded machine) pass between connecting and the first input
        if the desktop has no other keyboard and mouse, because programs must bind them first; use
        the time for a picture.  ``offer`` is a text for the clipboard after connecting if there
        is none.
        """
        self._timeout = timeout
        self._lock = threading.RLock()
        self._link = Link(source, timeout=timeout, settle=settle, offer=offer)
        self._frame_time: float | None = None

    # The connection

    def close(self) -> bool:
        """Disconnect completely; return whether the compositor was seen to let go (within 0.5 s).

        Keys and buttons that are down are released.  Not an error when not connected.
        """
        with self._lock:
            return self._link.close()

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link.connected

    @property
    def clipboard_offered(self) -> str | None:
        """The text that this screen offers, or will offer after it connects again."""
        with self._lock:
            return self._link.offered

    # Pictures

    def size(self) -> tuple[int, int]:
        """Return width and height in pixels."""
        with self._lock:
            return self._link.session().output.size

    @property
    def last_frame_time(self) -> float | None:
        """The compositor's time (monotonic seconds) of the last picture, None before the first."""
        return self._frame_time

    def capture(self, *, cursor: bool = True) -> Picture:
        """Return the next frame as the compositor gives it."""
        with self._lock:
            session = self._link.session()
            picture = session.screencopy.capture(session.output, cursor=cursor)
            self._frame_time = picture.time
            return picture

    @overload
    def screenshot(
        self,
        format: Format = "png",
        quality: int = 80,
        region: Region | None = None,
        scale: Scale | None = None,
        *,
        cursor: bool = True,
    ) -> bytes: ...

    @overload
    def screenshot(
        self,
        format: Literal["image"],
        quality: int = 80,
        region: Region | None = None,
        scale: Scale | None = None,
        *,
        cursor: bool = True,
    ) -> Image.Image: ...

    def screenshot(
        self,
        format: Format | Literal["image"] = "png",
        quality: int = 80,
        region: Region | None = None,
        scale: Scale | None = None,
        *,
        cursor: bool = True,
    ) -> bytes | Image.Image:
        """Return a picture as "png", "jpeg", "raw" (BGRX rows) or "image" (a Pillow RGB image).

        ``region`` is (x, y, width, height); ``scale`` a factor or (width, height), after cutting.
        """
        image = self.capture(cursor=cursor).image(region, scale)
        return image if format == "image" else encoded(image, format, quality)

    def wait_stable(self, timeout: float = 5.0, quiet: float = 0.3) -> bool:
        """Wait until no pixel has changed for ``quiet`` seconds; False after ``timeout`` seconds.

        The mouse cursor does not count, a blinking text cursor does: keep ``quiet`` below its
        half period (0.5 s and more in the usual toolkits).
        """
        with self._lock:
            session = self._link.session()
            end = time.monotonic() + timeout
            last = session.screencopy.capture(session.output, cursor=False)
            since = time.monotonic()
            while (now := time.monotonic()) < end:
                left = since + quiet - now
                if left <= 0:
                    return True
                picture = session.screencopy.changed(session.output, min(left, end - now))
                if picture is not None and picture.data != last.data:
                    last, since = picture, time.monotonic()
            return False

    # Windows

    def windows(self) -> list[Window]:
        """Return the windows, oldest first."""
        with self._lock:
            return self._link.session().toplevels.windows()

    def activate(self, title_or_app_id: str) -> Window:
        """Raise and focus a window; return it as it was.  Raises NoSuchWindow.

        A title or app id that is equal wins over one that is equal but for case, that over one
        that contains the text; the newest wins among those.
        """
        with self._lock:
            session = self._link.session()
            found = session.toplevels.find(title_or_app_id)
            if found is None:
                raise self._no_window(session, title_or_app_id, "activate")
            session.toplevels.activate(found[0])
            return found[1]

    def close_window(self, title_or_app_id: str) -> Window:
        """Ask a window to close, as its close button does.  Raises NoSuchWindow."""
        with self._lock:
            session = self._link.session()
            found = session.toplevels.find(title_or_app_id)
            if found is None:
                raise self._no_window(session, title_or_app_id, "close_window")
            session.toplevels.close_window(found[0])
            return found[1]

    @staticmethod
    def _no_window(session: Session, text: str, operation: str) -> NoSuchWindow:
        titles = ", ".join(repr(window.title) for window in session.toplevels.windows())
        return NoSuchWindow(
            f"no window is called {text!r}",
            operation=operation,
            subject=text,
            hint=f"windows are: {titles}" if titles else "there is no window",
        )

    # The mouse

    @contextlib.contextmanager
    def _pointing(self, *points: Point | None) -> Iterator[tuple[Session, Pointer]]:
        with self._lock:
            session = self._link.session()
            with session.pointing(*points) as pointer:
                yield session, pointer

    def position(self) -> Point | None:
        """Where this object has put the mouse, None before the first movement since a connect."""
        with self._lock:
            return self._link.session().pointer.position

    def move(self, x: int, y: int) -> None:
        """Move the mouse."""
        with self._pointing((x, y)) as (session, pointer):
            pointer.move(session.output, x, y)

    def click(
        self,
        x: int | None = None,
        y: int | None = None,
        button: str = "left",
        count: int = 1,
        modifiers: str | None = None,
    ) -> None:
        """Click ``count`` times (2 is a double click) at a point, or where the mouse is.

        ``modifiers`` ("ctrl", "ctrl+shift") are held meanwhile.
        """
        code = button_code(button)
        if not 1 <= count <= 10:
            raise UsageError(f"cannot click {count} times", operation="click", subject="count")
        at = point_of(x, y)
        with self.holding(modifiers), self._pointing(at) as (session, pointer):
            if at is not None:
                pointer.move(session.output, *at)
            for _ in range(count):
                pointer.button(code, True)
                pointer.button(code, False)

    @contextlib.contextmanager
    def holding(self, chord: str | Chord | None) -> Iterator[None]:
        """Hold a key or chord within the context, other actions of this thread included."""
        with self._lock:
            if chord is None:
                yield
                return
            parsed = parse_chord(chord) if isinstance(chord, str) else chord
            with self._link.session().keyboard.holding(parsed):
                yield

    def mouse_down(self, x: int | None = None, y: int | None = None, button: str = "left") -> None:
        """Press a button and keep it pressed."""
        self._button(x, y, button, True)

    def mouse_up(self, x: int | None = None, y: int | None = None, button: str = "left") -> None:
        """Release a button."""
        self._button(x, y, button, False)

    def _button(self, x: int | None, y: int | None, button: str, pressed: bool) -> None:
        code = button_code(button)
        at = point_of(x, y)
        with self._pointing(at) as (session, pointer):
            if at is not None:
                pointer.move(session.output, *at)
            pointer.button(code, pressed)

    def drag(
        self,
        x1: int,
        y1: int,
        x2: int,
        y2: int,
        *,
        button: str = "left",
        steps: int = 12,
        duration: float = 0.15,
    ) -> None:
        """Drag in a straight line of ``steps`` movements within ``duration`` seconds."""
        if not 1 <= steps <= 1000:
            raise UsageError(f"cannot drag in {steps} steps", operation="drag", subject="steps")
        path = [
            (round(x1 + (x2 - x1) * i / steps), round(y1 + (y2 - y1) * i / steps))
            for i in range(steps + 1)
        ]
        self.drag_path(path, button=button, duration=duration)

    def drag_path(
        self, path: Sequence[Point], *, button: str = "left", duration: float = 0.15
    ) -> None:
        """Press at the first point, move along the others, release at the last."""
        code = button_code(button)
        if len(path) < 2 or not 0 <= duration <= _MAX_HOLD:
            raise UsageError(
                "a drag needs two points and a duration of 0 to 60 s",
                operation="drag",
                subject="path",
            )
        with self._pointing(*path) as (session, pointer):
            pause = duration / len(path)
            pointer.move(session.output, *path[0])
            pointer.button(code, True)
            for point in path[1:]:
                session.connection.flush()
                time.sleep(pause)
                pointer.move(session.output, *point)
            session.connection.flush()
            time.sleep(pause)
            pointer.button(code, False)

    def scroll(self, x: int | None, y: int | None, dx: int = 0, dy: int = 0) -> None:
        """Turn the wheel by notches at a point, None: where the mouse is; down, right are > 0."""
        if abs(dx) > _MAX_NOTCHES or abs(dy) > _MAX_NOTCHES:
            raise UsageError(
                f"cannot scroll by more than {_MAX_NOTCHES}", operation="scroll", subject="dx, dy"
            )
        at = point_of(x, y)
        with self._pointing(at) as (session, pointer):
            if at is not None:
                pointer.move(session.output, *at)
            pointer.scroll(dx, dy)

    # The keyboard

    def type_text(self, text: str, interval_ms: float = 0) -> None:
        """Type ``text``, any characters; line breaks are Return, tabs are Tab.

        Nothing is typed when one of the characters cannot be (control characters).  The first 512
        come in one burst, the rest at 400 a second: paste what is longer.
        """
        strokes = strokes_for(text)
        with self._lock:
            self._link.session().keyboard.type(strokes, interval_ms / 1000)

    def key(self, keys: str | Chord) -> None:
        """Press and release "ctrl+shift+t", "Return"; several with blanks between, in turn."""
        chords = parse_chords(keys) if isinstance(keys, str) else [keys]
        with self._lock:
            session = self._link.session()
            for chord in chords:
                session.keyboard.press(chord)
            session.connection.roundtrip()

    def hold_key(self, keys: str, duration: float) -> None:
        """Hold a key or chord for ``duration`` seconds; programs repeat it as they like."""
        if not 0 <= duration <= _MAX_HOLD:
            raise UsageError(
                f"cannot hold a key for {duration:g} s", operation="hold_key", subject="duration"
            )
        with self.holding(keys):
            time.sleep(duration)

    # The clipboard

    def clipboard_get(self) -> str | None:
        """Return the text of the clipboard, None when there is none."""
        with self._lock:
            return self._link.session().clipboard.get(self._timeout)

    def clipboard_set(self, text: str) -> None:
        """Offer ``text``.  A thread of this object serves it until ``close()``, see above."""
        with self._lock:
            self._link.session().clipboard.set(text)
