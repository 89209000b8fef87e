"""Trees as btrfs subvolumes, and as ordinary directories.

``Files`` keeps them as subvolumes of a pool: a copy is one ioctl that shares all data.
``PlainFiles`` keeps them as directories, a copy is a copy: for the fake engine and for tests
without privilege.  Both behave alike (``trees``); one contract suite holds them to it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Protocol

from tcvs_core.linux import btrfs
from tcvs_core.store.atomic import TEMPORARY, disk_errors
from tcvs_core.store.trees import ImageDamaged, TreeExists, TreeMissing, Trees

__all__ = ["Files", "ImageDamaged", "Places", "PlainFiles", "TreeExists", "TreeMissing", "Trees"]


class Places(Protocol):
    """Where trees lie; ``Pool`` is one."""

    base: Path
    br: Path
    snap: Path
    store: Path


class Files(Trees):
    """Trees as btrfs subvolumes of a pool."""

    def __init__(self, pool: Places) -> None:
        super().__init__(pool.base, pool.br, pool.snap, pool.store)

    def _make(self, target: Path) -> None:
        btrfs.create_subvolume(target)

    def _copy(self, source: Path, target: Path, read_only: bool) -> None:
        btrfs.snapshot(source, target, read_only)

    def _delete(self, target: Path) -> None:
        btrfs.delete_subvolume(target)

    def _seal(self, target: Path) -> None:
        btrfs.set_read_only(target, True)

    def _in_use(self, target: Path) -> str | None:
        # The kernel would delete a subvolume under a running workspace, and take the mounts in it
        # away, without a word.
        with disk_errors("look at", target):
            return _mount_beneath(target) or _process_rooted_in(target)

    def _sync(self, tree: Path) -> None:
        btrfs.syncfs(tree)


class PlainFiles(Trees):
    """Trees as ordinary directories.  Read-only is a promise here, not enforced."""

    def __init__(self, root: Path) -> None:
        for name in ("base", "br", "snap", "store/images"):
            (root / name).mkdir(parents=True, exist_ok=True)
        super().__init__(root / "base", root / "br", root / "snap", root / "store")

    def _make(self, target: Path) -> None:
        target.mkdir()

    def _copy(self, source: Path, target: Path, read_only: bool) -> None:
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        staging = target.parent / f"{TEMPORARY}{secrets.token_hex(6)}"
        command = ["cp", "-a", "--reflink=auto", "-T", "--", str(source), str(staging)]
        result = subprocess.run(command, capture_output=True, check=False)
        if result.returncode:
            shutil.rmtree(staging, ignore_errors=True)
            code = errno.ENOENT if not source.is_dir() else errno.EIO
            raise OSError(code, result.stderr.decode(errors="replace").strip())
        os.rename(staging, target)

    def _delete(self, target: Path) -> None:
        shutil.rmtree(target)

    def _seal(self, target: Path) -> None:
        pass

    def _in_use(self, target: Path) -> str | None:
        return _mount_beneath(target)

    def _sync(self, tree: Path) -> None:
        os.sync()


def _mount_beneath(target: Path) -> str | None:
    prefix = os.path.realpath(target) + "/"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            point = line.split(" ", 5)[4]
            if point.replace("\\040", " ").startswith(prefix):
                return f"the mount {point}"
    return None


def _process_rooted_in(target: Path) -> str | None:
    device = os.stat(target).st_dev
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # a process that has ended, or a kernel thread
                if os.stat(f"/proc/{entry.name}/root").st_dev == device:
                    return f"process {entry.name}"
    return None
