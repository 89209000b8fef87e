"""What the workspace rooms need of running desktops: one interface, two ways to have it.

``Runtime`` is the real one (containers, network namespaces, control groups, Wayland);
``tcvs_core.live.engines.fake.FakeRuntime`` keeps everything in memory, for the tests of logic.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

from tcvs_core.errors import TcvsError
from tcvs_core.linux import netns
from tcvs_core.linux.cgroup import Cgroup
from tcvs_core.live import compositor
from tcvs_core.live import container as containers
from tcvs_core.live.container import Container, Settings
from tcvs_core.live.engines.protocol import Engine, Target
from tcvs_core.live.network import Network
from tcvs_core.live.screen import Screen

#: The keeper's own control group; no branch can be called so.
KEEPER_GROUP = "_keeper"


class Desktops(Protocol):
    """Starts containers and gives eyes and hands to them."""

    @property
    def engine(self) -> Engine: ...

    def start(self, branch: str, root: Path, settings: Settings) -> Container:
        """Start the desktop of ``branch`` on ``root`` and wait until it takes clients."""

    def target(self, branch: str, root: Path, settings: Settings, origin: str | None) -> Target:
        """Prepare all that a restored container of ``branch`` needs; ``origin`` is the address
        that the captured one had."""

    def settle(self, container: Container, origin: str | None) -> None:
        """Finish a restored container: cut what led outside, wait until it takes clients."""

    def find(self, record: dict[str, Any]) -> Container | None:
        """Get hold of a container again."""

    def stop(self, container: Container) -> None:
        """End a container and all that was made for it."""

    def sweep(self, known: Collection[str]) -> None:
        """End what runs in the name of a branch that is not ``known``: remains of a keeper that
        was killed before it could note what it had started."""

    def screen(self, container: Container) -> Any:
        """Return eyes and hands for it; connects lazily."""


class Runtime:
    """The real thing.  ``scope`` keeps control groups of different repositories apart."""

    def __init__(self, scope: str, engine: Engine) -> None:
        self._scope = scope
        self._engine = engine
        self._network = Network(scope)

    @property
    def engine(self) -> Engine:
        return self._engine

    def _group(self, branch: str, settings: Settings) -> Cgroup | None:
        group = Cgroup.make(self._scope, branch)
        if group is not None:
            if group.pids():  # what an earlier run of the same branch left
                group.kill()
                group.remove()
                group = Cgroup.make(self._scope, branch)
            assert group is not None
            group.limit(memory=settings.memory, pids=settings.pids, cpus=settings.cpus)
        return group

    def start(self, branch: str, root: Path, settings: Settings) -> Container:
        fd = netns.create()
        try:
            address = self._network.connect(fd, branch) if settings.net else None
            container = containers.start(
                branch, root, fd, settings, self._group(branch, settings), branch
            )
        finally:
            netns.close(fd)
        container = containers.with_address(container, address)
        try:
            container.wait_ready()
        except TcvsError:
            self.stop(container)
            raise
        return container

    def target(self, branch: str, root: Path, settings: Settings, origin: str | None) -> Target:
        fd = netns.create()
        try:
            up = origin is None
            address = self._network.connect(fd, branch, up=up) if settings.net else None
            if origin is not None:
                self._network.lend(fd, origin)
            group = self._group(branch, settings)
        except BaseException:
            netns.close(fd)
            raise
        path = str(group.path) if group else None
        return Target(branch, root, fd, path, settings, branch, address)

    def settle(self, container: Container, origin: str | None) -> None:
        if origin is not None:
            with netns.of_process(container.pid) as fd:
                self._network.cut(fd, origin, container.address)
        container.wait_ready()

    def find(self, record: dict[str, Any]) -> Container | None:
        return containers.find(record)

    def stop(self, container: Container) -> None:
        container.stop()
        if container.address is not None:
            self._network.disconnect(container.address)

    def sweep(self, known: Collection[str]) -> None:
        top = Cgroup.make(self._scope)
        for group in top.children() if top is not None else ():
            if group.path.name not in known and group.path.name != KEEPER_GROUP:
                group.kill()
                group.remove()

    def screen(self, container: Container) -> Screen:
        return Screen(lambda: compositor.connect(container.wayland_socket))
