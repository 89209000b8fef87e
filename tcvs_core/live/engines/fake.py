"""An engine and a runtime in memory, for the tests of everything above them.

A fake desktop is a map from names to text (``memory``) and a clock that ticks on while it runs.
Files are real (``store.PlainFiles`` or btrfs), so that what is forked, committed and merged is
real up to the processes.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from tcvs_core.errors import TcvsError
from tcvs_core.live.container import Container, Settings
from tcvs_core.live.engines.protocol import EngineError, Fork, Obstacle, Target, refuse
from tcvs_core.live.wayland.picture import encoded
from tcvs_core.model import Process, Window


@dataclass
class FakeDesktop:
    """The inside of one fake container."""

    memory: dict[str, str] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)
    ticks_before: float = 0.0
    blocked: list[Obstacle] = field(default_factory=list)

    def ticks(self) -> float:
        """Its own clock of events: seconds that it has run, over all its lives."""
        return self.ticks_before + time.monotonic() - self.begun


class FakeContainer(Container):
    """A container whose processes exist only in its runtime's memory."""

    runtime: FakeRuntime

    @property
    def alive(self) -> bool:
        return self.pid in self.runtime.desktops

    @property
    def desktop(self) -> FakeDesktop:
        """The inside.  Raises KeyError when it has been stopped."""
        return self.runtime.desktops[self.pid]

    def host_pids(self) -> list[int]:
        return [self.pid, self.pid] if self.alive else []  # pid 1 and a session

    def processes(self) -> list[Process]:
        return [Process(1, 0, "fake", "fake desktop", 0, 4096)] if self.alive else []

    def wait_ready(self, timeout: float = 30.0) -> float:
        return 0.0

    def stop(self, timeout: float = 10.0) -> None:
        self.runtime.desktops.pop(self.pid, None)


class FakeScreen:
    """Eyes on a fake desktop: one pixel, one window a key of its memory."""

    def __init__(self, container: FakeContainer) -> None:
        self._container = container

    def screenshot(self, format: str = "png", **_options: Any) -> Any:
        image = Image.new("RGB", (1, 1))
        return image if format == "image" else encoded(image, format)

    def windows(self) -> list[Window]:
        return [Window(title=key, app_id="fake") for key in sorted(self._container.desktop.memory)]

    def close(self) -> None:
        return None


class FakeRuntime:
    """Desktops in memory; also the engine that forks them."""

    def __init__(self) -> None:
        self.desktops: dict[int, FakeDesktop] = {}
        self._pids = itertools.count(1000)
        self._lock = threading.Lock()
        self.engine = FakeEngine(self)

    def make(self, branch: str, root: Path, settings: Settings, inside: FakeDesktop) -> Container:
        """Put ``inside`` to run as the container of ``branch``."""
        with self._lock:
            pid = next(self._pids)
            self.desktops[pid] = inside
        container = FakeContainer(branch, pid, pid, str(root), None, settings, time.time())
        object.__setattr__(container, "runtime", self)
        return container

    def start(self, branch: str, root: Path, settings: Settings) -> Container:
        return self.make(branch, root, settings, FakeDesktop())

    def target(self, branch: str, root: Path, settings: Settings, origin: str | None) -> Target:
        return Target(branch, root, os.open("/dev/null", os.O_RDONLY), None, settings, branch)

    def settle(self, container: Container, origin: str | None) -> None:
        return None

    def find(self, record: dict[str, Any]) -> Container | None:
        container = FakeContainer.from_dict(record)
        object.__setattr__(container, "runtime", self)
        return container if container.alive else None

    def stop(self, container: Container) -> None:
        container.stop()

    def sweep(self, known: Collection[str]) -> None:
        return None

    def screen(self, container: Container) -> FakeScreen:
        assert isinstance(container, FakeContainer)
        return FakeScreen(container)


class FakeEngine:
    """See the module's docstring."""

    name = "fake"

    def __init__(self, runtime: FakeRuntime) -> None:
        self._runtime = runtime

    def obstacles(self, source: Container) -> list[Obstacle]:
        return list(self._inside(source).blocked)

    def _inside(self, container: Container) -> FakeDesktop:
        try:
            return self._runtime.desktops[container.pid]
        except KeyError:
            raise EngineError(
                f"{container.branch} does not run", operation="capture", subject=container.branch
            ) from None

    def capture(
        self, source: Container, image: Path, at_freeze: Callable[[], None]
    ) -> dict[str, float]:
        inside = self._inside(source)
        if inside.blocked:
            raise refuse(source.branch, inside.blocked)
        begin = time.monotonic()
        record = {"memory": dict(inside.memory), "ticks": inside.ticks()}
        (image / "desktop.json").write_text(json.dumps(record))
        at_freeze()
        return {"pause": (time.monotonic() - begin) * 1000}

    def restore(self, image: Path, target: Target) -> tuple[Container, dict[str, float]]:
        os.close(target.netns)
        begin = time.monotonic()
        try:
            record = json.loads((image / "desktop.json").read_text())
            inside = FakeDesktop(record["memory"], ticks_before=record["ticks"])
        except (OSError, ValueError, KeyError) as error:
            raise EngineError(
                f"cannot restore {target.branch}: the image is damaged",
                operation="restore",
                subject=target.branch,
            ) from error
        container = self._runtime.make(target.branch, target.root, target.settings, inside)
        return container, {"restore": (time.monotonic() - begin) * 1000}

    def fork(
        self,
        source: Container,
        image: Path,
        at_freeze: Callable[[], None],
        targets: Sequence[Callable[[], Target]],
    ) -> Fork:
        fork = Fork(self.capture(source, image, at_freeze))
        for make in targets:
            try:
                fork.branches.append(self.restore(image, make()))
            except TcvsError as error:
                fork.branches.append(error)
        return fork
