"""A desktop to test screens with, and what tests do with its terminal and editor."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tcvs_core.live.screen import Screen


@dataclass
class Desktop:
    """A running desktop."""

    process: subprocess.Popen[bytes]
    home: Path
    socket: Path

    def compositor(self, timeout: float = 10.0) -> int:
        """Return the host's pid of labwc."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for pid in _descendants(self.process.pid):
                try:
                    name = Path(f"/proc/{pid}/comm").read_text().strip()
                except OSError:  # gone meanwhile
                    continue
                if name == "labwc":
                    return pid
            time.sleep(0.05)
        raise AssertionError("labwc does not run")

    def read(self, name: str, wanted: str, timeout: float = 5.0) -> str:
        """Return a file's text as soon as it is ``wanted``, or what it is after ``timeout``."""
        end = time.monotonic() + timeout
        text = ""
        while time.monotonic() < end:
            try:
                text = (self.home / name).read_text(errors="replace")
            except OSError:
                text = ""
            if text == wanted:
                break
            time.sleep(0.05)
        return text


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found


def focus(screen: Screen, app_id: str, timeout: float = 20.0) -> None:
    """Focus a window, waiting until its program has started."""
    end = time.monotonic() + timeout
    while not any(window.app_id == app_id for window in screen.windows()):
        assert time.monotonic() < end, f"no {app_id} within {timeout} s"
        time.sleep(0.05)
    screen.activate(app_id)
    while not any(window.app_id == app_id and window.active for window in screen.windows()):
        assert time.monotonic() < end, f"{app_id} does not become active"
        time.sleep(0.01)


def type_into_foot(screen: Screen, desktop: Desktop, text: str) -> str:
    """Type ``text``, which ends with a line break, into ``cat > typed``; return that file."""
    focus(screen, "foot")
    (desktop.home / "typed").unlink(missing_ok=True)
    screen.key("ctrl+u")  # what other tests have left on the command line
    screen.type_text("cat > typed\n")
    end = time.monotonic() + 5
    while not (desktop.home / "typed").exists():
        assert time.monotonic() < end, "the command line did not arrive"
        time.sleep(0.02)
    screen.type_text(text)
    screen.key("ctrl+d")
    return desktop.read("typed", text)


def save_in_mousepad(screen: Screen, desktop: Desktop, wanted: str) -> str:
    """Save; return the file's text."""
    screen.key("ctrl+s")
    return desktop.read("note.txt", wanted)
