"""``tcvs.json``: what makes a directory a repository.

JSON: ``version`` (1), ``kind`` (``loop`` or ``subvolume``), ``id`` (8 hex digits, in the names of
all that belongs to the repository outside its directory), ``fixed`` (its pool keeps its size).

Apart from the pool because the thin client needs nothing else of a repository.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tcvs_core.errors import TcvsError, UsageError
from tcvs_core.store.atomic import disk_errors, write_file

MARKER = "tcvs.json"


class NotARepository(UsageError):
    """There is no repository here."""

    code = "not-a-repository"


class PoolGone(TcvsError):
    """The repository is here, the file system that it consists of is not, or is another one."""

    code = "pool-gone"


@dataclass(frozen=True)
class Marker:
    """``tcvs.json``: ``kind`` is loop or subvolume; ``fixed``: was given a size, and keeps it."""

    kind: str
    id: str
    fixed: bool = False

    def write(self, path: Path) -> None:
        """Write it into the repository ``path``.  Raises PoolFull, StoreError."""
        record = {"version": 1, "kind": self.kind, "id": self.id, "fixed": self.fixed}
        write_file(path / MARKER, json.dumps(record, indent=1).encode() + b"\n")


def read_marker(path: Path) -> Marker:
    """Read ``tcvs.json`` of ``path``.  Raises NotARepository, PoolGone, StoreError."""
    marker = path / MARKER
    try:
        with disk_errors("read", marker):
            try:
                data = marker.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                data = b""
        if not data and not marker.exists():
            raise NotARepository(
                f"{path} is not a tcvs repository",
                operation="open",
                subject=str(path),
                hint="make one with `tcvs init`",
            )
        record = json.loads(data)
        version, kind, identity = record["version"], record["kind"], str(record["id"])
        fixed = bool(record.get("fixed", False))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PoolGone(
            f"{marker} is damaged",
            operation="open",
            subject=str(marker),
            hint='it should read {"version": 1, "kind": "loop", "id": "<8 hex digits>"}',
        ) from error
    if version != 1 or kind not in ("loop", "subvolume"):
        raise PoolGone(
            f"{path} was made by a newer tcvs (version {version}, kind {kind})",
            operation="open",
            subject=str(marker),
            hint="update tcvs",
        )
    return Marker(kind, identity, fixed)
