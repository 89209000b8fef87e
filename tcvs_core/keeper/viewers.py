"""The browser viewer as the keeper runs it: started on demand, away during freezes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcvs_core.errors import TcvsError
from tcvs_core.ids import BranchName

if TYPE_CHECKING:
    from tcvs_core.keeper.view.viewer import Viewer
    from tcvs_core.workspace.repository import Repository


class Viewers:
    """Watchers of a repository's desktops (see ``workspace.repository.Watchers``)."""

    def __init__(self, make: Callable[[Path], Viewer], runtime: Path) -> None:
        self._make = make
        self._runtime = runtime
        self._repo: Repository | None = None
        self._viewer: Viewer | None = None
        self._address: tuple[int, str] | None = None
        self._guard = threading.RLock()

    def serve(self, repo: Repository) -> None:
        """Watch the desktops of ``repo``."""
        self._repo = repo
        repo.watchers = self

    def start(self, branches: Sequence[str] | None = None) -> dict[str, Any]:
        """Start the viewer if need be; return {"url", "port", "token"} with a fresh token."""
        with self._guard:
            if self._viewer is None or not self._viewer.running:
                self.stop()
                viewer = self._make(self._runtime)
                self._address = viewer.start()
                self._viewer = viewer
            self._refresh()
            assert self._address is not None
            url = self._viewer.url(list(branches) if branches else None)
            return {"url": url, "port": self._address[0], "token": url.rpartition("token=")[2]}

    def stop(self) -> None:
        """End the viewer."""
        with self._guard:
            if self._viewer is not None:
                self._viewer.stop()
                self._viewer = None

    def _refresh(self) -> None:
        if self._repo is None or self._viewer is None:
            return
        current = self._repo.current()
        rows = []
        for name in sorted(self._repo.tips()):
            live = self._repo.branches.live(name)
            screen = self._repo.branches.facts(name).settings.screen
            socket = live.wayland_socket if live else None
            rows.append(
                {"name": name, "socket": socket, "current": name == current, "screen": screen}
            )
        self._viewer.set_branches(rows)

    def leave(self, branch: str) -> None:
        """No viewer is connected to ``branch`` when this returns."""
        with self._guard:
            if self._viewer is not None and self._viewer.running:
                self._viewer.detach(branch)

    def come_back(self, branch: str) -> None:
        """Viewers may look at ``branch`` again, if it runs."""
        with self._guard:
            if self._viewer is None or self._repo is None or not self._viewer.running:
                return
            try:
                self._refresh()
                live = self._repo.branches.live(BranchName(branch))
                if live is not None:
                    self._viewer.attach(branch, live.wayland_socket)
            except TcvsError as error:  # a viewer that fails is no reason for a commit to fail
                self._repo.notice(f"the viewer cannot show {branch}: {error}")
