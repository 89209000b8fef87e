"""Memory images: the memory halves of states, as chunks in the object store and a manifest each.

A file is cut into chunks of 64 KiB.  Measured on images of a desktop that had gone on for a
minute: 27-42 % of 64 KiB chunks were new, 47 % of 256 KiB, and smaller ones cost more time in
Python than they save on disk.  Zero chunks take no room.  All new chunks of one image go into one
pack.  Two threads read, hash and compress; each holds one chunk, so an image of any size needs a
few MiB.

An image is there when its manifest is; the manifest (format in ``manifest``) is written last.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from tcvs_core import faults
from tcvs_core.errors import TcvsError, UsageError
from tcvs_core.ids import StateId
from tcvs_core.store import manifest as manifests
from tcvs_core.store.atomic import (
    Progress,
    StoreError,
    clean,
    disk_errors,
    remove_file,
    write_file,
)
from tcvs_core.store.manifest import HOLE, KEY, FileEntry, Manifest
from tcvs_core.store.objects import ObjectCorrupt, ObjectMissing, ObjectStore

T = TypeVar("T")

_SUFFIX = ".manifest"
_CHUNK = 64 << 10
#: Chunks that a thread takes at once.
_SPAN = 32
_THREADS = 2
_ZEROS = bytes(_CHUNK)


class MemoryMissing(UsageError):
    """A state has no memory image."""

    code = "memory-missing"


class MemoryCorrupt(TcvsError):
    """A memory image cannot be brought back as it was; ``subject`` is the state."""

    code = "memory-corrupt"


class _Span(NamedTuple):
    """What became of a run of chunks."""

    keys: bytes
    size: int
    new: int


def _spread(work: Callable[[int, int], T], count: int) -> Iterator[T]:
    """Do ``work(first, last)`` over ``count`` chunks in two threads; yield results in order."""
    if count <= _SPAN:
        if count:
            yield work(0, count)
        return
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="memory") as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for first in range(0, count, _SPAN):
                waiting.append(pool.submit(work, first, min(first + _SPAN, count)))
                if len(waiting) > _THREADS * 2:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class MemoryStore:
    """The memory images of a repository."""

    def __init__(self, objects: ObjectStore, manifests_dir: Path) -> None:
        self._objects = objects
        self._manifests = manifests_dir
        with disk_errors("open", manifests_dir):
            manifests_dir.mkdir(mode=0o700, exist_ok=True)
            clean(manifests_dir)

    def writer(self, state: StateId) -> MemoryWriter:
        """Begin to write the image of ``state``.  Raises UsageError when it has one."""
        if self.has(state):
            raise UsageError(
                f"state {state} has a memory image already",
                operation="write memory",
                subject=state,
            )
        return MemoryWriter(self._objects, self._path(state), state)

    def has(self, state: StateId) -> bool:
        """Tell whether ``state`` has a complete image."""
        return self._path(state).exists()

    def states(self) -> list[StateId]:
        """Return the states that have an image, oldest first."""
        with disk_errors("list", self._manifests):
            paths = sorted(self._manifests.glob("*" + _SUFFIX))
        return [StateId(path.name.removesuffix(_SUFFIX)) for path in paths]

    def files(self, state: StateId) -> dict[str, int]:
        """Return the size in bytes of each file.  Raises MemoryMissing, MemoryCorrupt."""
        return {entry.name: entry.size for entry in self._read(state).files}

    def restore(self, state: StateId, directory: Path, progress: Progress | None = None) -> None:
        """Write the files of an image into ``directory``, which exists; every chunk is checked.

        Files in the way are replaced; none stays when it fails.  Raises MemoryMissing,
        MemoryCorrupt, PoolFull and StoreError (of ``directory``).
        """
        image = self._read(state)
        total = sum(entry.size for entry in image.files) or 1
        done = 0
        made: list[Path] = []
        try:
            for entry in image.files:
                target = directory / entry.name
                with disk_errors("write", target):
                    target.unlink(missing_ok=True)
                    fd = os.open(
                        target,
                        os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
                        0o600,
                    )
                    made.append(target)
                try:
                    with disk_errors("write", target):
                        os.ftruncate(fd, entry.size)
                    for written in self._chunks(state, image, entry, fd):
                        done += written
                        if progress:
                            progress("memory", done / total, entry.name)
                finally:
                    os.close(fd)
        except BaseException:
            for target in made:
                with contextlib.suppress(OSError):
                    target.unlink()
            raise

    def verify(self, state: StateId) -> int:
        """Read and check every chunk; return the bytes of the image.

        Raises MemoryMissing, MemoryCorrupt.
        """
        image = self._read(state)
        return sum(sum(self._chunks(state, image, entry, None)) for entry in image.files)

    def delete(self, state: StateId, collect: bool = True) -> int:
        """Delete an image; return the bytes that came free.  Raises MemoryMissing.

        To delete many, pass ``collect=False`` and call ``collect`` once at the end.
        """
        if not remove_file(self._path(state)):
            raise self._missing(state)
        return self.collect() if collect else 0

    def collect(self) -> int:
        """Drop chunks that no image needs; return the bytes that came free.

        Drops nothing while a manifest cannot be read: what it needs is not known.
        """
        live: set[bytes] = set()
        for state in self.states():
            try:
                live |= self._read(state).objects()
            except MemoryMissing:  # deleted meanwhile
                continue
        return self._objects.prune(live)

    def _chunks(
        self, state: StateId, image: Manifest, entry: FileEntry, fd: int | None
    ) -> Iterator[int]:
        """Check all chunks of a file, write them to ``fd`` if given; yield bytes done each."""

        def one(first: int, last: int) -> int:
            position = first
            for number in range(first, last):
                position = number * image.chunk
                key = entry.keys[number * KEY : (number + 1) * KEY]
                if key == HOLE:
                    continue
                data = self._object(state, entry, key)
                if len(data) != min(image.chunk, entry.size - position):
                    raise self._corrupt(state, f"chunk {number} of {entry.name} has a wrong size")
                if fd is not None:
                    with disk_errors("write", entry.name):
                        view = memoryview(data)
                        while view:
                            written = os.pwrite(fd, view, position)
                            position += written
                            view = view[written:]
            return min(last * image.chunk, entry.size) - first * image.chunk

        count = len(entry.keys) // KEY
        yield from _spread(one, count)

    def _object(self, state: StateId, entry: FileEntry, key: bytes) -> bytes:
        try:
            return self._objects.read(key)
        except (ObjectCorrupt, ObjectMissing, StoreError) as error:
            raise self._corrupt(
                state,
                f"{entry.name} cannot be read: {error}",
                hint=error.hint,
                object=key.hex(),
                file=error.subject,
            ) from error

    def _read(self, state: StateId) -> Manifest:
        path = self._path(state)
        with disk_errors("read", path):
            try:
                data = path.read_bytes()
            except FileNotFoundError as error:
                raise self._missing(state) from error
        try:
            image = manifests.decode(data)
        except manifests.ManifestDamaged as error:
            raise self._corrupt(state, f"{path}: {error}", file=str(path)) from error
        if image.state != state:
            raise self._corrupt(state, f"{path} is of state {image.state}", file=str(path))
        return image

    def _path(self, state: StateId) -> Path:
        return self._manifests / f"{state}{_SUFFIX}"

    @staticmethod
    def _missing(state: StateId) -> MemoryMissing:
        return MemoryMissing(
            f"state {state} has no memory image",
            operation="read memory",
            subject=state,
            hint="its files are there: it can be started afresh",
        )

    @staticmethod
    def _corrupt(
        state: StateId, what: str, hint: str | None = None, **details: Any
    ) -> MemoryCorrupt:
        return MemoryCorrupt(
            f"the memory image of state {state} is damaged: {what}",
            operation="read memory",
            subject=state,
            hint=hint or "its files are there: it can be started afresh",
            details=details,
        )


class MemoryWriter:
    """One image being written.  Ends with ``commit`` or ``abort``."""

    def __init__(self, objects: ObjectStore, target: Path, state: StateId) -> None:
        self._target = target
        self._state = state
        self._batch = objects.batch()
        self._files: list[FileEntry] = []
        self._new = 0
        self._began = time.monotonic()

    def add_file(self, name: str, path: Path, progress: Progress | None = None) -> None:
        """Add the file ``path``, which must not change meanwhile, under the plain name ``name``.

        Raises UsageError for a bad name, PoolFull, StoreError.
        """
        if not manifests.plain_name(name) or any(entry.name == name for entry in self._files):
            raise UsageError(
                f"{name!r} cannot be used here", operation="write memory", subject=name
            )
        with disk_errors("read", path):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            parts: list[bytes] = []
            done = 0

            def one(first: int, last: int) -> _Span:
                return self._pack(fd, path, size, first, last)

            for span in _spread(one, (size + _CHUNK - 1) // _CHUNK):
                parts.append(span.keys)
                self._new += span.new
                done += span.size
                if progress:
                    progress("memory", done / size, name)
        finally:
            os.close(fd)
        self._files.append(FileEntry(name, size, b"".join(parts)))

    def _pack(self, fd: int, path: Path, size: int, first: int, last: int) -> _Span:
        keys = bytearray()
        new = 0
        for number in range(first, last):
            wanted = min(_CHUNK, size - number * _CHUNK)
            with disk_errors("read", path):
                data = os.pread(fd, wanted, number * _CHUNK)
            if len(data) != wanted:
                raise StoreError(
                    f"{path} became shorter while it was read",
                    operation="write memory",
                    subject=str(path),
                )
            if data == (_ZEROS if wanted == _CHUNK else bytes(wanted)):
                keys += HOLE
                continue
            key, fresh = self._batch.put(data)
            keys += key
            new += fresh
        return _Span(bytes(keys), min(last * _CHUNK, size) - first * _CHUNK, new)

    def commit(self) -> dict[str, Any]:
        """Make the image durable and there.

        Returns ``bytes`` (of the image), ``stored`` (bytes added to the store), ``chunks``,
        ``new_chunks``, ``seconds`` (since the writer was made).  Raises PoolFull, StoreError;
        nothing of the image stays then.
        """
        try:
            stored = self._batch.stored
            self._batch.flush()
            faults.hit(faults.Fault.COMMIT_PACKED)
            data = Manifest(self._state, _CHUNK, self._files).encode()
            write_file(self._target, data)
            faults.hit(faults.Fault.COMMIT_MANIFEST)
        finally:
            self._batch.close()
        return {
            "bytes": sum(entry.size for entry in self._files),
            "stored": stored + len(data),
            "chunks": sum(len(entry.keys) // KEY for entry in self._files),
            "new_chunks": self._new,
            "seconds": time.monotonic() - self._began,
        }

    def abort(self) -> None:
        """Drop the image; harmless after ``commit``."""
        self._batch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()
