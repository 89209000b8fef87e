"""A pack: many objects in one file, written and synced at once.

Syncing thousands of small files costs seconds, syncing one costs milliseconds.  Format, numbers
little-endian::

    "TCVSPAK1"
    frames, back to back: zstd, or the object as it is where that is not longer
    index: count times { SHA-256 of the object, u64 offset, u32 stored bytes, u32 object bytes },
           sorted by SHA-256
    footer: u64 offset of the index, u64 count, SHA-256 of the index, "TCVSPEND"

A frame whose stored and object sizes are equal is not compressed.  The file is called
``<SHA-256 of the index>.pack``; the index names the content of every frame, so the name stands for
all of it.  Nothing is ever changed in a pack.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tcvs_core.errors import TcvsError
from tcvs_core.store.atomic import create_temporary, disk_errors, publish, write_all

SUFFIX = ".pack"
_HEAD = b"TCVSPAK1"
_TAIL = b"TCVSPEND"
_ENTRY = struct.Struct("<32sQII")
_FOOTER = struct.Struct("<QQ32s8s")
_BUFFER = 1 << 20


class PackDamaged(TcvsError):
    """A pack's index is not what was written, so nothing in the pack can be found."""

    code = "pack-damaged"


class Place(NamedTuple):
    """Where an object lies in its pack."""

    offset: int
    stored: int
    size: int


@dataclass(frozen=True)
class Pack:
    """A pack as opened: its file and the place of each object by SHA-256."""

    path: Path
    places: dict[bytes, Place]


class PackWriter:
    """A pack being written; threads may append at once.  Ends with ``finish`` or ``abort``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with disk_errors("write", directory):
            self._temporary, self._fd = create_temporary(directory)
        self._lock = threading.Lock()
        self._buffer = bytearray(_HEAD)
        self._offset = len(_HEAD)
        self._failed: TcvsError | None = None
        self.places: dict[bytes, Place] = {}

    def append(self, key: bytes, stored: bytes, size: int) -> None:
        """Add an object: its SHA-256, its frame, its size.  Raises PoolFull, StoreError."""
        with self._lock:
            self.places[key] = Place(self._offset, len(stored), size)
            self._offset += len(stored)
            self._buffer += stored
            if len(self._buffer) >= _BUFFER:
                self._flush()

    @property
    def stored(self) -> int:
        """Bytes of frames so far."""
        return self._offset - len(_HEAD)

    def _flush(self) -> None:
        if self._failed is not None:
            raise self._failed
        data, self._buffer = self._buffer, bytearray()
        try:
            with disk_errors("write", self._temporary):
                write_all(self._fd, data)
        except TcvsError as error:
            # There is a hole now: whoever goes on writing, another thread perhaps, is told too.
            self._failed = error
            raise

    def finish(self) -> Pack | None:
        """Make the pack durable under its name; None when it would be empty."""
        if not self.places:
            self.abort()
            return None
        try:
            index = b"".join(_ENTRY.pack(key, *self.places[key]) for key in sorted(self.places))
            digest = hashlib.sha256(index)
            self._buffer += index
            self._buffer += _FOOTER.pack(self._offset, len(self.places), digest.digest(), _TAIL)
            self._flush()
            path = self._directory / (digest.hexdigest() + SUFFIX)
            with disk_errors("write", path):
                publish(self._temporary, self._fd, path)
        except BaseException:
            self.abort()
            raise
        os.close(self._fd)
        self._fd = -1
        return Pack(path, self.places)

    def abort(self) -> None:
        """Remove what was written; harmless after ``finish``."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            os.close(self._fd)
            self._fd = -1


def read_pack(path: Path) -> Pack:
    """Open a pack by its index.  Raises PackDamaged, StoreError."""
    with disk_errors("read", path), open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(len(_HEAD))
        file.seek(max(0, size - _FOOTER.size))
        footer = file.read(_FOOTER.size)
        if head != _HEAD or len(footer) != _FOOTER.size or size < len(_HEAD) + _FOOTER.size:
            raise _damaged(path, "is no pack, or was cut off")
        offset, count, digest, tail = _FOOTER.unpack(footer)
        if tail != _TAIL or offset + count * _ENTRY.size + _FOOTER.size != size:
            raise _damaged(path, "has a damaged footer")
        file.seek(offset)
        index = file.read(count * _ENTRY.size)
    if hashlib.sha256(index).digest() != digest or path.name != digest.hex() + SUFFIX:
        raise _damaged(path, "has a damaged index")
    places = {}
    for key, start, stored, length in _ENTRY.iter_unpack(index):
        if start + stored > offset:
            raise _damaged(path, "has an index that points outside")
        places[key] = Place(start, stored, length)
    return Pack(path, places)


def _damaged(path: Path, what: str) -> PackDamaged:
    return PackDamaged(
        f"{path} {what}",
        operation="open pack",
        subject=str(path),
        hint="memory images that need it cannot be brought back; restore the file from a copy",
    )
