"""The object store: bytes by their SHA-256.

An object put alone is a file, ``<first two hex digits>/<the other 62>``: "TCVSOBJ1", u64 size of
the object, then its frame.  Objects put in a batch share one pack (``packs``), which is synced once
when the batch ends.  Frames are zstd level 1, or the bytes as they are where that is not longer.
What is read is hashed again, always.

One process writes at a time (the keeper); its threads may do so at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import zstandard

from tcvs_core.errors import TcvsError
from tcvs_core.store.atomic import (
    clean,
    disk_errors,
    remove_file,
    sync_directory,
    write_file,
)
from tcvs_core.store.packs import (
    SUFFIX,
    Pack,
    PackDamaged,
    PackWriter,
    Place,
    read_pack,
)

_LEVEL = 1
_LOOSE = struct.Struct("<8sQ")
_LOOSE_MAGIC = b"TCVSOBJ1"
_OPEN_PACKS = 64
#: A pack is rewritten when less than this part of its bytes is still needed.
_WORTH_KEEPING = 0.5


class ObjectCorrupt(TcvsError):
    """A stored object is not what its name says; ``subject`` is the file that holds it."""

    code = "object-corrupt"


class ObjectMissing(TcvsError):
    """There is no such object."""

    code = "object-missing"


class _Codec(threading.local):
    """zstd contexts must not be shared between threads."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=_LEVEL).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_codec = _Codec()


def frame(data: bytes) -> bytes:
    """Return ``data`` as it is stored."""
    packed = _codec.compress(data)
    return packed if len(packed) < len(data) else data


def unframe(stored: bytes, size: int) -> bytes:
    """Return the object of ``size`` bytes in a frame.  Raises ValueError."""
    if len(stored) == size:
        return stored
    try:
        data: bytes = _codec.decompress(stored, max_output_size=size)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes instead of {size}")
    return data


class _OpenFile:
    """A file that is closed when the last reader lets go of it."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        fd = getattr(self, "fd", -1)
        if fd >= 0:
            os.close(fd)


class ObjectStore:
    """Objects in the directory ``root``.  All methods raise StoreError, writing ones PoolFull."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._packs = root / "packs"
        self._lock = threading.RLock()
        self._index: dict[bytes, tuple[Path, Place]] = {}
        self._loaded: set[Path] = set()
        self._open: dict[Path, _OpenFile] = {}
        self._batches: set[Batch] = set()
        #: Packs whose index cannot be read.
        self.damaged: dict[Path, PackDamaged] = {}
        with disk_errors("open", root):
            root.mkdir(mode=0o700, exist_ok=True)
            self._packs.mkdir(mode=0o700, exist_ok=True)
            for directory in (root, self._packs, *self._fans()):
                clean(directory)
        self._load()

    # Single objects

    def put(self, data: bytes | memoryview) -> str:
        """Store an object durably and return its SHA-256 in hex."""
        raw = bytes(data)
        digest = hashlib.sha256(raw).hexdigest()
        path = self._loose(digest)
        if self.has(digest):
            return digest
        with disk_errors("write", path):
            if not path.parent.is_dir():
                path.parent.mkdir(mode=0o700, exist_ok=True)
                sync_directory(self._root)
        write_file(path, _LOOSE.pack(_LOOSE_MAGIC, len(raw)) + frame(raw))
        return digest

    def get(self, digest: str) -> bytes:
        """Return an object.  Raises ObjectMissing, ObjectCorrupt."""
        return self.read(bytes.fromhex(digest))

    def has(self, digest: str) -> bool:
        """Tell whether there is such an object."""
        return self.holds(bytes.fromhex(digest))

    def delete(self, digest: str) -> bool:
        """Delete an object that was put alone; False when there is none.

        One in a pack goes with its pack: ``prune``.
        """
        return remove_file(self._loose(digest))

    def __iter__(self) -> Iterator[str]:
        """Give the SHA-256 of every object, in hex."""
        with self._lock:
            packed = set(self._index)
        loose = {bytes.fromhex(path.parent.name + path.name) for path in self._loose_files()}
        return iter(sorted(key.hex() for key in packed | loose))

    # By raw SHA-256, as memory images do it

    def holds(self, key: bytes) -> bool:
        """Tell whether there is an object of that SHA-256."""
        return key in self._index or self._loose(key.hex()).exists()

    def read(self, key: bytes) -> bytes:
        """Return the object of that SHA-256.  Raises ObjectMissing, ObjectCorrupt."""
        with self._lock:
            found = self._index.get(key)
        if found:
            path, place = found
            with disk_errors("read", path):
                try:
                    stored = os.pread(self._file(path).fd, place.stored, place.offset)
                except FileNotFoundError as error:
                    raise self._corrupt(path, key, "is gone") from error
            size = place.size
        else:
            path = self._loose(key.hex())
            with disk_errors("read", path):
                try:
                    data = path.read_bytes()
                except FileNotFoundError as error:
                    raise self._missing(key) from error
            if len(data) < _LOOSE.size or not data.startswith(_LOOSE_MAGIC):
                raise self._corrupt(path, key, "is no object file")
            size = _LOOSE.unpack_from(data)[1]
            stored = data[_LOOSE.size :]
        try:
            raw = unframe(stored, size)
        except (ValueError, OverflowError, MemoryError) as error:
            raise self._corrupt(path, key, "holds a damaged frame") from error
        if hashlib.sha256(raw).digest() != key:
            raise self._corrupt(path, key, "holds other bytes than were stored")
        return raw

    def batch(self) -> Batch:
        """Begin a batch: ``with store.batch() as batch: batch.put(...)``."""
        batch = Batch(self, PackWriter(self._packs))
        with self._lock:
            self._batches.add(batch)
        return batch

    # Room

    def prune(self, live: set[bytes]) -> int:
        """Drop packed objects that are neither in ``live`` nor in use by a batch under way.

        Packs with nothing live go; packs with less than half live are rewritten.  Objects put
        alone stay.  Returns the bytes that came free.
        """
        freed = 0
        with self._lock:
            needed = live.union(*(batch.pinned for batch in self._batches))
            packs: dict[Path, dict[bytes, Place]] = {}
            for key, (path, place) in self._index.items():
                packs.setdefault(path, {})[key] = place
            for path, places in packs.items():
                kept = {key: place for key, place in places.items() if key in needed}
                before = sum(place.stored for place in places.values())
                after = sum(place.stored for place in kept.values())
                if kept and after >= before * _WORTH_KEEPING:
                    continue
                if kept:
                    self._rewrite(path, kept)
                for key in places:
                    if self._index.get(key, (None,))[0] == path:
                        del self._index[key]
                self._open.pop(path, None)
                self._loaded.discard(path)
                remove_file(path)
                freed += before - after
        return freed

    def _rewrite(self, path: Path, kept: dict[bytes, Place]) -> None:
        writer = PackWriter(self._packs)
        try:
            source = self._file(path)
            for key, place in kept.items():
                with disk_errors("read", path):
                    stored = os.pread(source.fd, place.stored, place.offset)
                if len(stored) != place.stored:
                    raise self._corrupt(path, key, "was cut off")
                writer.append(key, stored, place.size)
            pack = writer.finish()
        finally:
            writer.abort()
        assert pack is not None
        self._adopt(pack)

    # Inside

    def _adopt(self, pack: Pack) -> None:
        with self._lock:
            self._loaded.add(pack.path)
            for key, place in pack.places.items():
                self._index[key] = (pack.path, place)

    def _end(self, batch: Batch) -> None:
        with self._lock:
            self._batches.discard(batch)

    def _load(self) -> None:
        with disk_errors("list", self._packs):
            paths = sorted(self._packs.glob("*" + SUFFIX))
        for path in paths:
            try:
                self._adopt(read_pack(path))
            except PackDamaged as error:
                self.damaged[path] = error

    def _file(self, path: Path) -> _OpenFile:
        with self._lock:
            file = self._open.pop(path, None) or _OpenFile(path)
            self._open[path] = file  # now the youngest
            while len(self._open) > _OPEN_PACKS:
                del self._open[next(iter(self._open))]
            return file

    def close(self) -> None:
        """Close open files; to be called before the pool is unmounted."""
        with self._lock:
            self._open.clear()

    def _fans(self) -> list[Path]:
        return [path for path in self._root.glob("[0-9a-f][0-9a-f]") if path.is_dir()]

    def _loose_files(self) -> Iterator[Path]:
        with disk_errors("list", self._root):
            for directory in self._fans():
                yield from (path for path in directory.iterdir() if len(path.name) == 62)

    def _loose(self, digest: str) -> Path:
        return self._root / digest[:2] / digest[2:]

    def _corrupt(self, path: Path, key: bytes, what: str) -> ObjectCorrupt:
        with self._lock, contextlib.suppress(KeyError):
            del self._index[key]  # the next put of these bytes stores them anew
        return ObjectCorrupt(
            f"{path} {what}",
            operation="read object",
            subject=str(path),
            hint="the disk has lost data; a commit that does not need this object can be used",
            details={"object": key.hex()},
        )

    def _missing(self, key: bytes) -> ObjectMissing:
        hint = None
        if self.damaged:
            hint = "it may be in the damaged pack " + ", ".join(map(str, self.damaged))
        return ObjectMissing(
            f"there is no object {key.hex()}",
            operation="read object",
            subject=key.hex(),
            hint=hint,
        )


class Batch:
    """Objects that become durable together.  Threads may put at once.

    Not there for others before ``flush``.  What the batch has named is safe from ``prune`` until
    ``close``, so that a manifest can be written in between.
    """

    def __init__(self, store: ObjectStore, writer: PackWriter) -> None:
        self._store = store
        self._writer = writer
        self._claimed: set[bytes] = set()
        self.pinned: set[bytes] = set()

    def put(self, data: bytes) -> tuple[bytes, bool]:
        """Add an object; return its raw SHA-256 and whether it was new.

        Raises PoolFull, StoreError.
        """
        key = hashlib.sha256(data).digest()
        with self._store._lock:
            self.pinned.add(key)
            if key in self._claimed or key in self._store._index:
                return key, False
            self._claimed.add(key)
        self._writer.append(key, frame(data), len(data))
        return key, True

    @property
    def stored(self) -> int:
        """Bytes stored so far, compressed."""
        return self._writer.stored

    def flush(self) -> None:
        """Make all objects durable.  Nothing can be put afterwards.

        Raises PoolFull, StoreError.
        """
        pack = self._writer.finish()
        if pack is not None:
            self._store._adopt(pack)

    def close(self) -> None:
        """End the batch; without ``flush`` before, nothing of it stays."""
        self._writer.abort()
        self._store._end(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self.close()
