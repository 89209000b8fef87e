"""A crowd of victims: built, started in a desktop, and asked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from livekit.inside import until
from livekit.world import World

from fidelity.known import SOURCES

PROGRAM = "home/user/fidelity"
FLAGS = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-pthread")
#: Longer than a machine under heavy load needs.
PATIENCE = 60.0


def build(target: Path) -> None:
    """Compile all victims into the one program ``target``."""
    command = ["gcc", *FLAGS, *map(str, SOURCES), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Crowd:
    """Victims of some rows in one directory of a desktop's files; a fork has them, too."""

    def __init__(self, world: World, branch: str, name: str, rows: Iterable[str]) -> None:
        self._world = world
        self._name = name
        self.rows = list(rows)
        place = self._place(branch)
        place.mkdir()
        os.chown(place, 1000, 1000)
        inside = [f"/{PROGRAM}", f"/home/user/{name}", *self.rows]
        world.call("exec", branch=branch, argv=inside, detach=True)
        self._await(place, "ready")
        broken = {r: v for r in self.rows if (v := _read(place / f"{r}.said")) is not None}
        assert not broken, broken

    def _place(self, branch: str) -> Path:
        return self._world.files(branch) / "home/user" / self._name

    def _await(self, place: Path, suffix: str) -> None:
        missing = set(self.rows)

        def all_there() -> bool:
            missing.difference_update([r for r in missing if (place / f"{r}.{suffix}").exists()])
            return not missing

        until(all_there, PATIENCE, f"{suffix} of {', '.join(self.rows[:3])}...")

    def pids(self, branch: str) -> list[str]:
        """Return the pids inside."""
        return [(self._place(branch) / f"{row}.ready").read_text() for row in self.rows]

    def tell(self, branch: str, request: str) -> dict[str, str]:
        """Send one request to every victim; return what each says."""
        place = self._place(branch)
        for row in self.rows:
            (place / f"{row}.said").unlink(missing_ok=True)
            asked = os.open(place / f"{row}.ask", os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(asked, request.encode())
            finally:
                os.close(asked)
        self._await(place, "said")
        return {row: (place / f"{row}.said").read_text() for row in self.rows}


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None
