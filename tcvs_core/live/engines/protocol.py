"""What every engine offers; ``tests/contract/test_engine.py`` is its meaning in code.

An *image* is a directory that an engine fills in ``capture`` and reads in ``restore``; only the
same engine understands it.  File systems are not an engine's business: it calls ``at_freeze`` at
the one moment at which all processes of the source are stopped, and the caller snapshots the files
there, so that files and memory are of the same instant.

Whatever happens, the source runs on; who wants it gone stops it when the capture is safe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tcvs_core.errors import TcvsError
from tcvs_core.live.container import Container, Settings
from tcvs_core.model import Record


class EngineError(TcvsError):
    """An engine could not do its work; the source runs on."""

    code = "engine"


class CannotCapture(EngineError):
    """Something in the workspace cannot be captured.  Found before the freeze; nothing changed."""

    code = "cannot-capture"


@dataclass(frozen=True)
class Obstacle(Record):
    """One thing that cannot be captured."""

    pid: int  # as seen inside
    process: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.process}) {self.what}"


def refuse(branch: str, obstacles: Sequence[Obstacle]) -> CannotCapture:
    """Make the error that names the obstacles."""
    more = f" (and {len(obstacles) - 1} more)" if len(obstacles) > 1 else ""
    return CannotCapture(
        f"cannot capture {branch}: {obstacles[0]}{more}",
        operation="capture",
        subject=branch,
        hint=obstacles[0].remedy,
        details={"obstacles": [o.to_dict() for o in obstacles]},
    )


@dataclass(frozen=True)
class Target:
    """Where a captured state is to come to life.  The engine owns and closes ``netns``."""

    branch: str
    root: Path
    netns: int
    cgroup: str | None
    settings: Settings
    hostname: str
    address: str | None = None


@dataclass
class Fork:
    """What a fork gave: times of the source, and for each target a container or why not."""

    times_ms: dict[str, float]
    branches: list[tuple[Container, dict[str, float]] | TcvsError] = field(default_factory=list)


class Engine(Protocol):
    """See the module's docstring.  All methods may be called from any thread."""

    @property
    def name(self) -> str:
        """The name that is kept in commits: an image is restored by the engine that made it."""

    def obstacles(self, source: Container) -> list[Obstacle]:
        """Return what cannot be captured in ``source``, without disturbing it."""

    def capture(
        self, source: Container, image: Path, at_freeze: Callable[[], None]
    ) -> dict[str, float]:
        """Write the processes and memory of ``source`` to the empty directory ``image``.

        Returns milliseconds by stage; ``pause`` is how long the source stood still.  Raises
        CannotCapture, EngineError, and whatever ``at_freeze`` raises.
        """

    def restore(self, image: Path, target: Target) -> tuple[Container, dict[str, float]]:
        """Bring ``image`` to life on ``target``; return it, running, and milliseconds by stage.

        May be called any number of times for one image, also at once.  Raises EngineError; then
        nothing of the target runs.
        """

    def fork(
        self,
        source: Container,
        image: Path,
        at_freeze: Callable[[], None],
        targets: Sequence[Callable[[], Target]],
    ) -> Fork:
        """Fork ``source`` into all ``targets`` (called after the pause, one by one).

        ``image`` is filled as by ``capture``, so that the fork point can be made durable.  Raises
        as ``capture`` does; a target that fails is an error in the result and hinders no other.
        """
