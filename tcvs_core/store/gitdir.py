"""The bare Git repository: its objects, read with their hash checked and written durably.

The only place that opens dulwich's repository.  ``lock`` serialises writers, this process's
threads and other processes', over the file ``tcvs.lock`` inside the Git directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from dulwich.config import StackedConfig
from dulwich.objects import Commit, ObjectID, ShaFile, object_class
from dulwich.repo import Repo

from tcvs_core.errors import TcvsError
from tcvs_core.ids import CommitId
from tcvs_core.store.atomic import disk_errors, sync_directory, sync_file

_LOCK = "tcvs.lock"


class HistoryDamaged(TcvsError):
    """An object of the history is missing or not what its name says."""

    code = "history-damaged"


class GitDir:
    """An open bare repository."""

    def __init__(self, path: Path, repo: Repo) -> None:
        self.path = path
        self.repo = repo
        self._mutex = threading.RLock()
        self._depth = 0
        self._lock_fd = -1

    @classmethod
    def create(cls, path: Path, branch: str) -> GitDir:
        """Make an empty repository in ``path`` (an empty or missing directory).

        It is made beside and renamed, so that there is never half of one.  Raises PoolFull,
        StoreError.
        """
        staging = path.parent / f".{path.name}.creating"
        with disk_errors("create", path):
            if staging.is_dir():  # left by a killed process
                shutil.rmtree(staging)
            staging.mkdir(mode=0o700)
            # An empty configuration: nothing of the user's home is read.
            config = StackedConfig([])
            Repo.init_bare(staging, config=config, default_branch=branch.encode()).close()
            (staging / "description").write_text("History of a tcvs repository\n")
            (staging / "logs" / "refs" / "heads").mkdir(parents=True)
            for directory, _, files in os.walk(staging):
                for name in files:
                    sync_file(Path(directory, name))
                sync_directory(directory)
            os.rename(staging, path)
            sync_directory(path.parent)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> GitDir:
        """Open the repository ``path``.  Raises HistoryDamaged."""
        try:
            if not (path / "HEAD").is_file() or not (path / "objects").is_dir():
                raise FileNotFoundError("no HEAD or no objects")  # dulwich does not look
            repo = Repo(str(path), bare=True)
        except Exception as error:  # dulwich raises many kinds for a damaged repository
            raise HistoryDamaged(
                f"{path} is not a Git repository: {error}",
                operation="open",
                subject=str(path),
            ) from error
        return cls(path, repo)

    def close(self) -> None:
        """Close the files that dulwich holds open."""
        self.repo.close()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the repository for writing; the same thread may do so again inside."""
        with self._mutex:
            if self._depth == 0:
                with disk_errors("lock", self.path):
                    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                    self._lock_fd = os.open(self.path / _LOCK, flags, 0o600)
                    fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    os.close(self._lock_fd)

    def write(self, objects: Iterable[ShaFile]) -> None:
        """Write objects and sync them to disk.  Raises PoolFull, StoreError."""
        store = self.repo.object_store
        store.fsync_object_files = True
        with self.lock():
            directories = set()
            for item in objects:
                name = item.id.decode("ascii")
                path = self.object_path(name)
                with disk_errors("write", path):
                    # Left by a killed writer: we hold the lock, so it is nobody's.
                    path.with_name(path.name + ".lock").unlink(missing_ok=True)
                    store.add_object(item)
                directories.add(path.parent)
            with disk_errors("sync", self.path / "objects"):
                for directory in (*directories, self.path / "objects"):
                    sync_directory(directory)

    def object_path(self, name: str) -> Path:
        """Return where the object lies while it is not packed."""
        return self.path / "objects" / name[:2] / name[2:]

    def has(self, name: str) -> bool:
        """Tell whether there is such an object."""
        with self._mutex:
            return ObjectID(name.encode("ascii")) in self.repo.object_store

    def load(self, name: str) -> ShaFile:
        """Return an object, its content checked against its name.  Raises HistoryDamaged."""
        with self._mutex:
            try:
                kind, data = self.repo.object_store.get_raw(ObjectID(name.encode("ascii")))
            except KeyError as error:
                raise self._damaged(name, "is missing") from error
            except Exception as error:  # zlib, format and checksum errors of many kinds
                raise self._damaged(name, f"cannot be read: {error}") from error
        described = object_class(kind)
        assert described is not None
        head = described.type_name + b" %d\0" % len(data)
        if hashlib.sha1(head + data).hexdigest() != name:
            raise self._damaged(name, "does not hold what its name says")
        return ShaFile.from_raw_string(kind, data, ObjectID(name.encode("ascii")))

    def commit(self, name: CommitId) -> Commit:
        """Return a commit object.  Raises HistoryDamaged."""
        item = self.load(name)
        if not isinstance(item, Commit):
            raise self._damaged(name, "is not a commit")
        return item

    def commits_with_prefix(self, prefix: str) -> list[CommitId]:
        """Return the ids of all commits that begin with ``prefix``, at least two hex digits."""
        with self._mutex:
            names = [n.decode("ascii") for n in self.repo.object_store.iter_prefix(prefix.encode())]
        return sorted(CommitId(name) for name in names if isinstance(self.load(name), Commit))

    def _damaged(self, name: str, what: str) -> HistoryDamaged:
        path = self.object_path(name)
        shown = path if path.exists() else name
        return HistoryDamaged(
            f"the history's object {shown} {what}",
            operation="read history",
            subject=str(shown),
            hint=f"`git -C {self.path} fsck` tells how far the damage goes",
        )
