"""The journal: what is under way and not in the history yet, so that a crash loses no trace of it.

One file a record, ``<state>.cbor``: canonical CBOR of ``{"version": 1, "state": ..., "record":
{...}}``, then its SHA-256 (32 bytes).  Written at once or not at all, durable when ``put`` returns.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tcvs_core import codec
from tcvs_core.errors import TcvsError
from tcvs_core.ids import StateId, state_id
from tcvs_core.store.atomic import clean, disk_errors, remove_file, write_file

_SUFFIX = ".cbor"
_DIGEST = 32


class JournalDamaged(TcvsError):
    """A journal file is not what was written."""

    code = "journal-damaged"


class Journal:
    """Durable records, one a state.  All methods raise PoolFull and StoreError."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with disk_errors("open", directory):
            directory.mkdir(mode=0o700, exist_ok=True)
            clean(directory)
        #: Files that the last ``entries`` could not read.
        self.damaged: list[Path] = []

    def put(self, state: StateId, record: dict[str, Any]) -> None:
        """Write or replace the record of ``state``."""
        body = codec.encode({"version": 1, "state": state, "record": record})
        write_file(self._path(state), body + hashlib.sha256(body).digest())

    def get(self, state: StateId) -> dict[str, Any] | None:
        """Return the record of ``state``, or None.  Raises JournalDamaged."""
        path = self._path(state)
        with disk_errors("read", path):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return None
        body = data[:-_DIGEST]
        if hashlib.sha256(body).digest() == data[-_DIGEST:]:
            try:
                value = codec.decode(body)
            except codec.CodecError:
                value = None
            if isinstance(value, dict) and value.get("version") == 1:
                record = value.get("record")
                if value.get("state") == state and isinstance(record, dict):
                    return record
        raise JournalDamaged(
            f"the journal file {path} is damaged",
            operation="read journal",
            subject=str(path),
            hint="remove it; the commit that it tells of is lost",
        )

    def remove(self, state: StateId) -> None:
        """Forget the record of ``state``, if there is one."""
        remove_file(self._path(state))

    def entries(self) -> list[tuple[StateId, dict[str, Any]]]:
        """Return all records, oldest state first.  Damaged ones are listed in ``damaged``."""
        self.damaged = []
        found = []
        with disk_errors("list", self._directory):
            paths = sorted(self._directory.glob("*" + _SUFFIX))
        for path in paths:
            try:
                state = state_id(path.name.removesuffix(_SUFFIX))
                record = self.get(state)
            except (ValueError, JournalDamaged):
                self.damaged.append(path)
                continue
            if record is not None:
                found.append((state, record))
        return found

    def _path(self, state: StateId) -> Path:
        return self._directory / f"{state}{_SUFFIX}"
