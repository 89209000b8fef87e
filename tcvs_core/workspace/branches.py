"""What is kept about each branch beside its ref: durable facts, and the handle of its container.

``store/branches/<branch>.json`` holds the durable facts:

    image      the image that it began from
    settings   what it is started with (screen, net, limits)
    forked     the branch that it was forked from, or null
    resume     the state whose memory belongs to the files of ``br/<branch>`` as they are, or null:
               set while the branch is down, so that ``up`` brings back what ``down`` saved
    running    whether it ought to run; true with no container means that it ended unasked

``<run>/live/<branch>.json`` is the container's handle; it is gone after a reboot, as the container.
"""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from tcvs_core.errors import TcvsError
from tcvs_core.live.container import Container, Settings
from tcvs_core.live.runtime import Desktops
from tcvs_core.model import Record
from tcvs_core.store.atomic import write_file


class BranchDamaged(TcvsError):
    """The record of a branch cannot be read."""

    code = "branch-damaged"


@dataclass(frozen=True)
class Facts(Record):
    """The durable facts of a branch; see the module's docstring."""

    image: str
    settings: Settings = field(default_factory=Settings)
    forked: str | None = None
    resume: str | None = None
    running: bool = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        data = dict(data)
        data["settings"] = Settings.from_dict(data.get("settings", {}))
        return super().from_dict(data)


def _json(record: Record) -> bytes:
    return json.dumps(record.to_dict(), indent=1, sort_keys=True).encode() + b"\n"


class Branches:
    """The table of branches of one repository."""

    def __init__(self, durable: Path, run: Path, runtime: Desktops) -> None:
        self._durable = durable
        self._run = run
        self._runtime = runtime
        self._live: dict[str, Container] = {}
        self._guard = threading.Lock()
        durable.mkdir(mode=0o700, exist_ok=True)
        run.mkdir(mode=0o700, exist_ok=True, parents=True)
        for file in run.glob("*.json"):
            found = runtime.find(json.loads(file.read_text()))
            if found is None:
                file.unlink()
            else:
                self._live[found.branch] = found

    def facts(self, name: str) -> Facts:
        """Return the durable facts of branch ``name``.  Raises BranchDamaged."""
        file = self._durable / f"{name}.json"
        try:
            return Facts.from_dict(json.loads(file.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise BranchDamaged(
                f"the record of branch {name} is damaged: {error}",
                operation="read branch",
                subject=str(file),
            ) from error

    def set_facts(self, name: str, facts: Facts) -> None:
        """Write the facts durably, all or nothing."""
        write_file(self._durable / f"{name}.json", _json(facts))

    def change(self, name: str, **changes: Any) -> Facts:
        """Change some of the facts of ``name``; return all."""
        facts = replace(self.facts(name), **changes)
        self.set_facts(name, facts)
        return facts

    def forget(self, name: str) -> None:
        """Drop all that is known about ``name``."""
        self.set_live(name, None)
        with contextlib.suppress(FileNotFoundError):
            (self._durable / f"{name}.json").unlink()

    def names(self) -> list[str]:
        """Return the names of all branches that have facts."""
        return sorted(file.stem for file in self._durable.glob("*.json"))

    def live(self, name: str) -> Container | None:
        """Return the running container of ``name``, or None."""
        with self._guard:
            found = self._live.get(name)
        return found if found is not None and found.alive else None

    def ended(self, name: str) -> bool:
        """Whether ``name`` ought to run and nothing but its pid 1, if that, is left of it.

        True at most once for each end; what is left is stopped.
        """
        with self._guard:
            found = self._live.get(name)
        if found is None or (found.alive and (len(found.host_pids()) > 1 or found.settling)):
            return False
        self._runtime.stop(found)
        self.set_live(name, None)
        self.change(name, running=False, resume=None)
        return True

    def all_live(self) -> list[Container]:
        """Return all running containers."""
        with self._guard:
            names = list(self._live)
        return [c for c in map(self.live, names) if c is not None]

    def set_live(self, name: str, container: Container | None) -> None:
        """Note that ``container`` runs ``name`` now, or nothing does."""
        file = self._run / f"{name}.json"
        with self._guard:
            if container is None:
                self._live.pop(name, None)
                with contextlib.suppress(FileNotFoundError):
                    file.unlink()
            else:
                self._live[name] = container
                # Atomic, not durable: it is of no use after a reboot.
                draft = file.with_suffix(".new")
                draft.write_bytes(_json(container))
                draft.rename(file)
