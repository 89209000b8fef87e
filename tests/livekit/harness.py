"""One way to set up, watch and disturb desktops of either engine, for the contract of engines."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from livekit.inside import COMMAND, ask, await_victim, lay_victim
from tcvs_core.ids import BranchName, ImageName, StateId, new_state_id
from tcvs_core.live import run
from tcvs_core.live.container import Container, Settings
from tcvs_core.live.engines.fake import FakeContainer, FakeDesktop, FakeRuntime
from tcvs_core.live.engines.protocol import Engine, Obstacle, Target
from tcvs_core.live.runtime import Desktops
from tcvs_core.store.trees import Trees

SETTINGS = Settings(screen=(320, 240))


class Harness(ABC):
    """Desktops of one engine.  ``close`` ends all that was made through it."""

    runtime: Desktops
    files: Trees
    images: Path
    image: str

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._count = 0
        self._made: list[Container] = []
        self._branches: list[BranchName] = []
        self._states: list[StateId] = []

    @property
    def engine(self) -> Engine:
        return self.runtime.engine

    def name(self) -> BranchName:
        """Return a branch name that was not used before."""
        self._count += 1
        found = BranchName(f"{self._prefix}e{self._count}")
        self._branches.append(found)
        return found

    def directory(self) -> Path:
        """Return a new empty directory for a memory image."""
        self._count += 1
        path = self.images / f"image{self._count}"
        path.mkdir(parents=True)
        return path

    def start(self) -> Container:
        """Start a desktop on files of its own, with something in it that has a memory."""
        branch = self.name()
        self.files.create_branch_from_image(ImageName(self.image), branch)
        container = self.runtime.start(branch, self.files.branch_path(branch), SETTINGS)
        self._made.append(container)
        self.plant(container)
        return container

    def snapshot(self, source: Container) -> StateId:
        """Snapshot the files of ``source``: what is done at the freeze."""
        state = new_state_id()
        self.files.snapshot_branch(BranchName(source.branch), state)
        self._states.append(state)
        return state

    def capture(self, source: Container) -> tuple[Path, StateId, dict[str, float]]:
        """Capture ``source``; return the image, the state of the files, and the times."""
        image, states = self.directory(), []
        times = self.engine.capture(source, image, lambda: states.append(self.snapshot(source)))
        (state,) = states
        return image, state, times

    def target(self, state: StateId) -> Target:
        """Make a new branch with the files of ``state``, ready for a memory image."""
        branch = self.name()
        self.files.create_branch_from_state(state, branch)
        return self.runtime.target(branch, self.files.branch_path(branch), SETTINGS, None)

    def keep(self, container: Container) -> Container:
        """Have ``container`` ended by ``close``; wait until it takes clients."""
        self._made.append(container)
        self.runtime.settle(container, None)
        return container

    def restore(self, image: Path, state: StateId) -> Container:
        """Bring an image to life on a new branch."""
        container, times = self.engine.restore(image, self.target(state))
        assert times["restore"] > 0
        return self.keep(container)

    def text(self, container: Container) -> Path:
        """Return a file of the desktop, on the host."""
        return Path(container.root) / "home/user/text.txt"

    def stop(self, container: Container) -> None:
        """End a desktop."""
        self.runtime.stop(container)
        if container in self._made:
            self._made.remove(container)

    def close(self) -> None:
        """End and remove everything."""
        for container in list(self._made):
            self.stop(container)
        for branch in self._branches:
            if self.files.has_branch(branch):
                self.files.delete_branch(branch)
        for state in self._states:
            if self.files.has_state(state):
                self.files.delete_state(state)
        shutil.rmtree(self.images, ignore_errors=True)

    @abstractmethod
    def plant(self, container: Container) -> None:
        """Put something with a memory into a desktop that has just begun."""

    @abstractmethod
    def poke(self, container: Container, **values: str) -> None:
        """Change what the desktop has in memory."""

    @abstractmethod
    def peek(self, container: Container) -> dict[str, Any]:
        """Return what the desktop has in memory."""

    @abstractmethod
    def ticks(self, container: Container) -> float:
        """Return the desktop's own clock of events."""

    @abstractmethod
    def block(self, container: Container) -> contextlib.AbstractContextManager[str]:
        """Have something that cannot be captured in the desktop; gives words that name it."""

    @abstractmethod
    def damage(self, image: Path) -> None:
        """Damage a memory image, so that it cannot be restored."""

    @abstractmethod
    def runs(self, branch: str) -> bool:
        """Whether anything runs in the name of ``branch``."""


class FakeHarness(Harness):
    """The engine in memory; no privilege."""

    image = "tiny"

    def __init__(self, files: Trees, images: Path) -> None:
        super().__init__()
        self.fake = FakeRuntime()
        self.runtime, self.files, self.images = self.fake, files, images
        with files.new_image(ImageName(self.image), {}) as tree:
            (tree / "home/user").mkdir(parents=True)

    def _inside(self, container: Container) -> FakeDesktop:
        assert isinstance(container, FakeContainer)
        return container.desktop

    def plant(self, container: Container) -> None:
        return None

    def poke(self, container: Container, **values: str) -> None:
        self._inside(container).memory.update(values)

    def peek(self, container: Container) -> dict[str, Any]:
        return dict(self._inside(container).memory)

    def ticks(self, container: Container) -> float:
        return self._inside(container).ticks()

    @contextlib.contextmanager
    def block(self, container: Container) -> Any:
        inside = self._inside(container)
        inside.blocked = [Obstacle(7, "vm", "runs a virtual machine (KVM)", "stop it")]
        yield "process 7 (vm) runs a virtual machine"
        inside.blocked = []

    def damage(self, image: Path) -> None:
        (image / "desktop.json").write_text('{"memory": 1')

    def runs(self, branch: str) -> bool:
        return len(self.fake.desktops) > len(self._made)


class CriuHarness(Harness):
    """Real desktops of a repository that no keeper serves meanwhile."""

    def __init__(self, runtime: Desktops, files: Trees, images: Path, image: str) -> None:
        super().__init__("contract-")
        self.runtime, self.files, self.images, self.image = runtime, files, images, image

    def plant(self, container: Container) -> None:
        lay_victim(Path(container.root))
        run.run(container, COMMAND, detach=True).wait()
        await_victim(container.pid)

    def poke(self, container: Container, **values: str) -> None:
        ask(container.pid, set=values)

    def peek(self, container: Container) -> dict[str, Any]:
        memory: dict[str, Any] = ask(container.pid)["memory"]
        return memory

    def ticks(self, container: Container) -> float:
        return float(ask(container.pid)["ticks"])

    @contextlib.contextmanager
    def block(self, container: Container) -> Any:
        program = run.run(container, ["sleep", "1000"])
        try:
            yield "was started by `tcvs exec` and still runs"
        finally:
            program.kill()

    def damage(self, image: Path) -> None:
        core = image / "core-1.img"
        os.truncate(core, core.stat().st_size // 2)

    def runs(self, branch: str) -> bool:
        """Look for processes in the branch's control group, or rooted in its files."""
        found = subprocess.run(
            ["pgrep", "--full", "--", f"/{branch}( |$)"], capture_output=True, check=False
        )
        return found.returncode == 0 or self._rooted(branch)

    def _rooted(self, branch: str) -> bool:
        device = os.stat(self.files.branch_path(BranchName(branch))).st_dev
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if os.stat(entry / "root").st_dev == device:
                        return True
        return False
