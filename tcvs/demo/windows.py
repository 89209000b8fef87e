"""Where the demo's windows go, and the keys of the compositor that put them there.

Every branch has its windows at the same places, so that pictures of branches can be compared part
by part.  All numbers are pixels of the screenshot.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcvs.demo.claims import Box

SCREEN = (1440, 900)
_PANEL = 34
_TITLE = 34  # height of the bar that the compositor draws over a window
#: A place where nothing lies below the mouse.
NOWHERE = (1150, SCREEN[1] - 12)


@dataclass(frozen=True)
class Place:
    """Where a window goes: what its title holds, the key, and the box that it fills.

    ``frame`` is the height of the title bar, where the compositor and not the program draws it.
    """

    title: str
    key: str
    x: int
    y: int
    width: int
    height: int
    frame: int = _TITLE

    @property
    def box(self) -> Box:
        """What is inside the frame: left, top, right, bottom."""
        return (self.x + 4, self.y + _TITLE, self.x + self.width - 4, self.y + self.height - 4)

    @property
    def page(self) -> Box:
        """The middle of the window, where a document is, without bars at its edges."""
        left, top, right, bottom = self.box
        return (left + 80, top + 160, right - 80, bottom - 40)


_SPLIT = 590
_HALF = (SCREEN[1] - _PANEL) // 2
EDITOR = Place("report.txt", "W-F1", 0, 0, _SPLIT, _HALF)
BROWSER = Place("Votes:", "W-F2", 0, _HALF, _SPLIT, _HALF, frame=0)
WRITER = Place("plan.odt", "W-F3", _SPLIT, 0, SCREEN[0] - _SPLIT, SCREEN[1] - _PANEL)
PLACES = (EDITOR, BROWSER, WRITER)


def with_keys(configuration: str) -> str:
    """Return labwc's ``rc.xml`` with a key for each window that puts the active one in its place.

    Keys and not window rules, because programs maximize themselves after rules have been applied.
    """
    keys = "".join(
        f'<keybind key="{place.key}"><action name="UnMaximize"/>'
        f'<action name="ResizeTo" width="{place.width - 2}" height="{place.height - place.frame}"/>'
        f'<action name="MoveTo" x="{place.x + 1}" y="{place.y}"/></keybind>'
        for place in PLACES
    )
    head, end, tail = configuration.partition("</keyboard>")
    return f"{head}{keys}{end}{tail}"


def pressed(key: str) -> str:
    """Return labwc's name of a key as the Wayland client writes it."""
    return key.replace("W-", "super+")
