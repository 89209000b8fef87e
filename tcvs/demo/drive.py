"""What is done on the demo's desktops with mouse and keyboard, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from PIL import Image

from tcvs.demo import documents, windows
from tcvs.demo.claims import NotSo, differing, find_colour
from tcvs.demo.desktop import Desktop
from tcvs.demo.windows import BROWSER, EDITOR, WRITER, Place

_CARET = 200  # pixels that a text cursor and the line that it is in may change
_PAUSE = {"do": "wait", "seconds": 0.15}
_PARK = {"do": "move", "x": windows.NOWHERE[0], "y": windows.NOWHERE[1]}


@dataclass(frozen=True)
class Script:
    """What one branch does: a line for the report, one for the plan, votes and scrolling."""

    line: str  # typed into the report below line number ``below``
    below: int
    idea: str | None  # typed at the end of the plan
    votes: int
    scroll: int  # notches

    @property
    def title(self) -> str:
        """The title of the page after the votes."""
        return f"Votes: {self.votes}"


#: What the branches do.
SCRIPTS = {
    "a": Script("  Six more are planted, in the rain.", 5, "A pond for frogs.", 1, 0),
    "b": Script("  The pump has a new handle.", 6, "A row of apple trees along the wall.", 2, 0),
    "c": Script("  Nobody has the key of the shed.", 10, "A stage for summer evenings.", 3, 6),
}
#: What the main branch does after the others have left it.
MAIN = Script("  Thanks to all who came on Sunday.", 13, None, 0, 0)


def open_documents(desktop: Desktop) -> None:
    """Write the documents into the home, open them, put the windows in their places.

    Returns when all is drawn and nothing moves.  Raises NotSo.
    """
    layout = windows.with_keys(desktop.read("/etc/xdg/labwc/rc.xml").decode())
    for path, data in (
        (documents.REPORT, documents.REPORT_TEXT.encode()),
        (documents.PLAN, documents.plan()),
        (documents.PAGE, documents.page().encode()),
        (documents.LAYOUT, layout.encode()),
        (documents.SETTINGS, documents.SETTINGS_TEXT.encode()),
    ):
        desktop.write(path, data)
    desktop.reload_compositor()
    desktop.start("mousepad", documents.REPORT)
    desktop.start("chromium", f"file://{documents.PAGE}")
    desktop.start("soffice", "--writer", "--norestore", documents.PLAN)
    for place in windows.PLACES:
        desktop.wait_window(place.title)
    for place in windows.PLACES:
        desktop.wait(partial(_drawn, desktop, place), f"has drawn {place.title}", 60.0)
    desktop.act({"do": "activate", "window": EDITOR.title}, _PARK)
    desktop.settle()


def _drawn(desktop: Desktop, place: Place) -> bool:
    """Put a window in its place; tell whether its contents are there."""
    desktop.act(
        {"do": "activate", "window": place.title},
        _PAUSE,
        {"do": "key", "keys": windows.pressed(place.key)},
        _PARK,
    )
    desktop.settle(5.0)
    left, top, right, bottom = place.box
    # The lower part of every window holds paper and text: two colours at least, the paper's most.
    part = desktop.picture().crop((left, top + 60, right, bottom))
    colours = part.getcolors(1 << 20) or []
    return len(colours) > 8 and any(min(c) > 0xD8 and n > 8000 for n, c in _rgb(colours))


def _rgb(colours: list[Any]) -> list[tuple[int, tuple[int, int, int]]]:
    return [(count, (c[0], c[1], c[2])) for count, c in colours]


def drive(desktop: Desktop, script: Script) -> None:
    """Do what ``script`` says and wait until the programs have saved.  Raises NotSo."""
    write_report(desktop, script)
    if script.idea is not None:
        desktop.act(
            {"do": "activate", "window": WRITER.title},
            _PAUSE,
        )
        _go_to_end(desktop, WRITER)
        desktop.act(
            {"do": "type", "text": f"\n{script.idea}"},
            _PAUSE,
            {"do": "key", "keys": "ctrl+s"},
        )
        desktop.wait_text(documents.PLAN, script.idea, documents.plan_text)
    if script.votes:
        x, y = find_colour(desktop.picture(), documents.BUTTON, BROWSER.box)
        for _ in range(script.votes):
            desktop.act({"do": "click", "x": x, "y": y}, _PAUSE)
        desktop.wait_window(script.title)
        if script.scroll:
            desktop.act({"do": "scroll", "x": x, "y": y, "dy": script.scroll})
    desktop.act(_PARK)
    desktop.settle()


def _go_to_end(desktop: Desktop, place: Place) -> None:
    """Press ctrl+End until that is seen to have an effect.  Raises NotSo.

    A busy program may need a moment before it listens to a keyboard that has just come.
    """
    before = desktop.picture()
    for _ in range(10):
        desktop.act({"do": "key", "keys": "ctrl+End"})
        desktop.settle(2.0)
        if differing(before, desktop.picture(), place.box):
            return
    raise NotSo(f"{place.title} of {desktop.branch} does not listen to the keyboard")


def reload(desktop: Desktop) -> None:
    """Have the editor and Writer read their files again, by the menu, as a person would."""
    # In the editor "l" first finds Save All, which lies above Reload; Writer has only one.
    for place, keys in ((EDITOR, ("l", "Down", "Return")), (WRITER, ("l",))):
        before = desktop.picture()
        desktop.act({"do": "activate", "window": place.title}, _PAUSE)
        for key in ("alt+f", *keys):
            desktop.act({"do": "key", "keys": key}, _PAUSE)
        desktop.wait(
            partial(_shows_other, desktop, place, before), f"shows {place.title} anew", 20.0
        )
    # Writer's text cursor blinks, the editor's does not: pictures are to be compared.
    desktop.act({"do": "activate", "window": EDITOR.title}, _PARK)
    desktop.settle()


def _shows_other(desktop: Desktop, place: Place, before: Image.Image) -> bool:
    desktop.settle(2.0)
    return differing(before, desktop.picture(), place.page) > _CARET


def write_report(desktop: Desktop, script: Script) -> None:
    """Type the script's line into the report, below its line, and save.  Raises NotSo."""
    desktop.act(
        {"do": "activate", "window": EDITOR.title},
        _PAUSE,
    )
    _go_to_end(desktop, EDITOR)
    desktop.act(
        {"do": "key", "keys": "ctrl+Home"},
        *[{"do": "key", "keys": "Down"}] * (script.below - 1),
        {"do": "key", "keys": "End"},
        {"do": "type", "text": "\n" + script.line.strip()},
        _PAUSE,
        {"do": "key", "keys": "ctrl+s"},
    )
    desktop.wait_text(documents.REPORT, script.line, lambda data: data.decode(errors="replace"))


def expected_report(*scripts: Script) -> str:
    """Return the report with the lines of ``scripts`` in their places."""
    lines = documents.REPORT_TEXT.splitlines()
    for script in sorted(scripts, key=lambda s: s.below, reverse=True):
        lines.insert(script.below, script.line)
    return "\n".join(lines) + "\n"
