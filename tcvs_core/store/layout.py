"""What lies where in a repository's directory: its marker, its lock, its image file, its remains.

The layout is described in ``pool.py``; these are the parts of it that need no mounted pool.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tcvs_core.errors import BusyError, TcvsError, UsageError
from tcvs_core.linux import btrfs, loop
from tcvs_core.linux.mount import umount
from tcvs_core.store.atomic import clean, disk_errors
from tcvs_core.store.marker import MARKER

IMAGE = "pool.img"
CREATING = ".creating"
LOCK = ".lock"
GIB = 1 << 30
MIB = 1 << 20
SHARE_OF_HOST = 0.9

_PROGRAMS = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_DEFAULT_SMALLEST = 10 * GIB
_LOCK_SECONDS = 30.0


def default_size(path: Path) -> int:
    """Return the nominal bytes of a new pool image: 90 % of what is free, at least 10 GiB."""
    host = os.statvfs(path)
    wanted = int(host.f_bavail * host.f_frsize * SHARE_OF_HOST)
    return max(wanted, _DEFAULT_SMALLEST) & ~0xFFFFF


def make_image(image: Path, size: int, label: str) -> None:
    """Make a sparse file of ``size`` bytes with an empty btrfs.  Raises TcvsError, OSError."""
    fd = os.open(image, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(fd, size)
    finally:
        os.close(fd)
    command = ["mkfs.btrfs", "--quiet", "--label", label, str(image)]
    try:
        result = subprocess.run(
            command,
            env=_PROGRAMS,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise TcvsError(
            "mkfs.btrfs is not installed",
            operation="init",
            subject="mkfs.btrfs",
            hint="apt-get install btrfs-progs",
        ) from error
    if result.returncode:
        text = result.stderr.decode(errors="replace").strip()
        raise TcvsError(f"mkfs.btrfs failed: {text}", operation="init", subject=str(image))


def refuse_occupied(path: Path) -> None:
    """Raise UsageError unless a repository may be made at ``path``."""
    if (path / MARKER).exists():
        raise UsageError(
            f"{path} is a tcvs repository already",
            operation="init",
            subject=str(path),
            hint="use it as it is, or choose another path",
        )
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is not a directory", operation="init", subject=str(path))
    if path.is_dir() and not (path / CREATING).exists():
        others = sorted(entry.name for entry in path.iterdir() if entry.name != LOCK)
        if others:
            raise UsageError(
                f"{path} is not empty: it holds {others[0]}",
                operation="init",
                subject=str(path),
                hint="choose an empty or a new directory",
            )


def clear_unfinished(path: Path) -> None:
    """Remove what a killed ``create`` left; only where its marker file says so."""
    if not (path / CREATING).exists() or (path / MARKER).exists():
        return
    pool = path / "pool"
    if btrfs.is_subvolume(pool):
        if os.stat(pool).st_dev != os.stat(path).st_dev and (path / IMAGE).exists():
            umount(pool)
            pool.rmdir()
        else:
            btrfs.delete_subvolume(pool)
    elif pool.exists():
        pool.rmdir()
    image = path / IMAGE
    if image.exists():
        device = loop.find(image)
        if device is not None:
            with contextlib.suppress(OSError):  # goes by itself after the umount
                loop.detach(device)
        image.unlink()
    with contextlib.suppress(FileNotFoundError):
        (path / "store").unlink()
    clean(path)
    (path / CREATING).unlink()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the repository's lock file; waits half a minute, then raises BusyError."""
    with disk_errors("lock", path):
        fd = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise BusyError(
                        f"another process is opening {path}",
                        operation="lock",
                        subject=str(path),
                        hint="try again in a moment",
                    ) from error
                time.sleep(0.02)
        yield
    finally:
        os.close(fd)
