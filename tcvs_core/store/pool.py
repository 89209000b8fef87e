"""The pool: the btrfs that holds everything, and the directory that users call the repository.

On disk, ``REPO`` being the repository::

    REPO/tcvs.json   {"version": 1, "kind": "loop" | "subvolume", "id": "<8 hex>",
                     "fixed": whether the pool was given a size, and keeps it}
    REPO/pool.img    the file system, a sparse file (kind loop); its label is tcvs-<id>
    REPO/pool/       where it is mounted, or a subvolume of the host's own btrfs (kind subvolume)
    REPO/pool/base, br, snap                     subvolumes: images, branches, states
    REPO/pool/store/{objects,manifests,git,journal,images}
    REPO/store       symlink to pool/store
    REPO/.lock       flocked while a process creates, mounts, grows or unmounts

``tcvs.json`` is written last, so that it means "complete".  Before anything else is made, a file
``.creating`` is; a create that was killed is recognised by it, cleared away and begun anew.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path
from typing import Any, ClassVar

from tcvs_core.errors import BusyError, UsageError
from tcvs_core.linux import btrfs, loop
from tcvs_core.linux.mount import MS_NOATIME, mount, umount
from tcvs_core.store.atomic import PoolFull, Progress, clean, disk_errors, sync_directory
from tcvs_core.store.layout import (
    CREATING,
    GIB,
    IMAGE,
    LOCK,
    MIB,
    SHARE_OF_HOST,
    clear_unfinished,
    default_size,
    locked,
    make_image,
    refuse_occupied,
)
from tcvs_core.store.marker import Marker, NotARepository, PoolGone, read_marker

__all__ = ["NotARepository", "Pool", "PoolFull", "PoolGone"]

_PARTS = ("base", "br", "snap", "store")
_STORE_PARTS = ("objects", "manifests", "git", "journal", "images")
_SMALLEST = 160 * MIB


class Pool:
    """An open, mounted repository.  Make one with ``Pool.create`` or ``Pool.open``."""

    NotARepository: ClassVar[type[NotARepository]] = NotARepository
    PoolFull: ClassVar[type[PoolFull]] = PoolFull
    PoolGone: ClassVar[type[PoolGone]] = PoolGone

    def __init__(self, path: Path, marker: Marker) -> None:
        self.path = path
        self.kind = marker.kind
        self.id = marker.id
        self.fixed = marker.fixed
        self.root = path / "pool"
        self.base = self.root / "base"
        self.br = self.root / "br"
        self.snap = self.root / "snap"
        self.store = self.root / "store"
        self.image = path / IMAGE if marker.kind == "loop" else None

    # Creating

    @classmethod
    def create(cls, path: Path, size: int | None = None, progress: Progress | None = None) -> Pool:
        """Make a repository at ``path``, an empty or missing directory, and open it.

        ``size`` is the nominal size of the pool in bytes where it has to be a file of its own;
        the default is 90 % of what is free, at least 10 GiB (sparse: only what is used is taken).
        Raises UsageError, PoolFull, StoreError, BusyError; leaves nothing when it fails.
        """
        path = Path(os.path.abspath(path))
        if size is not None and size < _SMALLEST:
            raise UsageError(
                f"a pool of {size} bytes is too small",
                operation="init",
                subject=str(path),
                hint=f"give at least {_SMALLEST >> 20} MiB",
            )
        tell = progress or (lambda *_: None)
        was_there = path.exists()
        refuse_occupied(path)
        with disk_errors("create", path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(path):
            refuse_occupied(path)
            try:
                with disk_errors("create", path):
                    clear_unfinished(path)
                    (path / CREATING).touch(0o600)
                    sync_directory(path)
                    pool = cls._make(path, size, tell)
            except BaseException:
                with contextlib.suppress(OSError):
                    clear_unfinished(path)
                    if not was_there:
                        (path / LOCK).unlink(missing_ok=True)
                        path.rmdir()
                raise
        tell("init", 1.0, "ready")
        return pool

    @classmethod
    def _make(cls, path: Path, size: int | None, tell: Progress) -> Pool:
        kind = "subvolume" if btrfs.is_btrfs(path) and size is None else "loop"
        marker = Marker(kind, secrets.token_hex(4), fixed=size is not None)
        pool = cls(path, marker)
        if kind == "subvolume":
            tell("init", 0.2, "making a btrfs subvolume")
            btrfs.create_subvolume(pool.root)
        else:
            tell("init", 0.2, "making a file system")
            pool.root.mkdir(mode=0o700)
            make_image(path / IMAGE, size or default_size(path), f"tcvs-{marker.id}")
            tell("init", 0.6, "mounting it")
            pool._mount()
            if not pool.direct_io:
                tell("init", 0.7, "no direct I/O on this disk: pool data is cached twice")
        os.chmod(pool.root, 0o700)
        for name in _PARTS:
            (pool.root / name).mkdir(mode=0o700)
        for name in _STORE_PARTS:
            (pool.store / name).mkdir(mode=0o700)
        os.symlink("pool/store", path / "store")
        btrfs.syncfs(pool.root)
        marker.write(path)
        (path / CREATING).unlink()
        return pool

    # Opening

    @classmethod
    def open(cls, path: Path) -> Pool:
        """Open the repository at ``path``, mounting it when it is not.

        Several processes may do so at once.  Raises NotARepository, PoolGone, StoreError,
        BusyError.
        """
        path = Path(os.path.abspath(path))
        pool = cls(path, read_marker(path))
        with locked(path), disk_errors("open", path):
            if pool.kind == "loop" and not pool.mounted:
                if not (path / IMAGE).exists():
                    raise PoolGone(
                        f"{path / IMAGE} is missing: it held all data of this repository",
                        operation="open",
                        subject=str(path / IMAGE),
                        hint="put the file back, or remove the directory and run `tcvs init`",
                    )
                pool._mount()
            clean(path)
            (path / CREATING).unlink(missing_ok=True)
            if not pool.store.is_dir():
                raise PoolGone(
                    f"{pool.root} does not hold the repository's data",
                    operation="open",
                    subject=str(pool.root),
                    hint="see what is mounted there",
                )
        return pool

    def _mount(self) -> None:
        assert self.image is not None
        device = loop.find(self.image) or loop.attach(self.image)
        try:
            mount(device, self.root, "btrfs", MS_NOATIME)
            # Only now: set earlier, the device would go when it is first closed.
            loop.set_autoclear(device)
        except OSError:
            with contextlib.suppress(OSError):
                loop.detach(device)
            raise

    @property
    def mounted(self) -> bool:
        """Whether the pool's file system is there."""
        if self.kind == "subvolume":
            return btrfs.is_subvolume(self.root)
        try:
            return os.stat(self.root).st_dev != os.stat(self.path).st_dev
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                self.root.mkdir(mode=0o700)  # an empty directory, lost in a copy
            return False

    @property
    def direct_io(self) -> bool:
        """Whether pool data is kept out of the host's page cache (else it is cached twice)."""
        if self.image is None:
            return True
        with contextlib.suppress(OSError):
            device = loop.find(self.image)
            return device is not None and loop.is_direct(device)
        return False

    def close(self) -> None:
        """Forget the pool; it stays mounted.  Nothing is held open, so nothing is done."""

    def unmount(self) -> None:
        """Unmount the pool and detach its loop device.  Raises BusyError while it is in use."""
        if self.kind != "loop":
            return
        with locked(self.path):
            if not self.mounted:
                return
            try:
                umount(self.root)
            except OSError as error:
                raise BusyError(
                    f"{self.root} is in use",
                    operation="unmount",
                    subject=str(self.root),
                    errno=error.errno,
                    hint="`tcvs down --all` first",
                ) from error
            self._await_detached()

    def _await_detached(self) -> None:
        """The kernel detaches a moment after umount(2) has returned."""
        assert self.image is not None
        deadline = time.monotonic() + 2
        with contextlib.suppress(OSError):
            while loop.find(self.image) is not None and time.monotonic() < deadline:
                time.sleep(0.01)

    # Space

    def usage(self) -> dict[str, Any]:
        """Return bytes ``size``, ``used`` and ``free`` of the pool and ``host_free`` beneath it.

        ``direct_io`` and ``kind`` tell how it is mounted.
        """
        with disk_errors("measure", self.root):
            inside = os.statvfs(self.root)
            host = os.statvfs(self.path)
        size = inside.f_blocks * inside.f_frsize
        return {
            "size": size,
            "used": size - inside.f_bfree * inside.f_frsize,
            "free": inside.f_bavail * inside.f_frsize,
            "host_free": host.f_bavail * host.f_frsize,
            "kind": self.kind,
            "direct_io": self.direct_io,
        }

    def require(self, needed: int) -> None:
        """Raise PoolFull unless ``needed`` bytes fit, in the pool and on the disk beneath it.

        The file system does not know that the host's disk is full before a write fails, and then
        it stops altogether: ask before writing much.
        """
        self.grow_if_needed(needed)
        usage = self.usage()
        room = min(usage["free"], usage["host_free"])
        if room < needed:
            raise PoolFull(
                f"{needed >> 20} MiB are needed and {room >> 20} MiB are free",
                operation="reserve room",
                subject=str(self.path),
                hint="delete branches or images that are no longer needed, or free space on the "
                "disk that holds the repository",
            )

    def grow_if_needed(self, needed: int = 2 * GIB) -> bool:
        """Enlarge the pool when less than ``needed`` bytes are free and the host has room.

        A pool that was created with a size keeps it.  Returns whether it grew.  Raises StoreError,
        BusyError.
        """
        if self.image is None or self.fixed or self.usage()["free"] >= needed:
            return False
        with locked(self.path), disk_errors("grow", self.image):
            usage = self.usage()
            host_part = int(usage["host_free"] * SHARE_OF_HOST)
            target = (usage["used"] + host_part) & ~0xFFFFF
            device = loop.find(self.image)
            if usage["free"] >= needed or target <= self.image.stat().st_size or device is None:
                return False
            os.truncate(self.image, target)
            loop.set_capacity(device)
            btrfs.resize(self.root, "max")
        return True
