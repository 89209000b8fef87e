"""The branches that the page shows, and their states, as one value that can be waited for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

from tcvs_core.keeper.view.vnc import VncServer

#: live: can be looked at; frozen: detached for a freeze, comes back; stopped: no desktop runs;
#: lost: wayvnc died although the desktop may run, the keeper is asked to attach again.
State = Literal["live", "frozen", "stopped", "lost"]


@dataclass
class Screen:
    """One branch."""

    name: str
    server: VncServer
    current: bool = False
    size: tuple[int, int] | None = None
    state: State = "stopped"
    #: Counts attachments, so that a page sees that a live branch is another one than before.
    generation: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "current": self.current,
            "state": self.state,
            "screen": list(self.size) if self.size else None,
            "generation": self.generation,
        }


class Screens:
    """All branches by name, in the order in which they are shown."""

    def __init__(self) -> None:
        self.by_name: dict[str, Screen] = {}
        self._version = 0
        self._changed = asyncio.Event()

    def to_dict(self) -> dict[str, Any]:
        """Return what ``/api/branches`` answers."""
        return {"branches": [screen.to_dict() for screen in self.by_name.values()]}

    def changed(self) -> None:
        """Wake everybody who waits for a change."""
        self._version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def version(self) -> int:
        """A number that grows with every change."""
        return self._version

    async def wait(self, version: int) -> None:
        """Return when the version is another than ``version``."""
        while self._version == version:
            await self._changed.wait()
