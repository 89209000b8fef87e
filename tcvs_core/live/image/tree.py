"""Writing into the root of an image without ever leaving it.

An image is full of symbolic links that mean something only inside it (``/etc/mtab``,
``/var/run``); an imported one may hold links that are hostile.  So every path is walked from a
directory fd, component by component, and a link on the way is an error instead of a detour
into the host.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from tcvs_core.live.image.errors import ImageBuildFailed

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Tree:
    """An image's root directory.  Paths are relative to it, without a leading slash.

    Every method raises ImageBuildFailed when the kernel refuses, or when a component of a path
    is a symbolic link.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _failed("open", str(root), error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the root's descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def mkdir(self, path: str, mode: int = 0o755, owner: int = 0) -> None:
        """Make a directory and its parents; set mode and owner also where it exists."""
        try:
            fd = self._directory(path, owner, create=True)
            try:
                os.fchown(fd, owner, owner)
                os.fchmod(fd, mode)
            finally:
                os.close(fd)
        except OSError as error:
            raise _failed("mkdir", path, error) from error

    def write(self, path: str, data: bytes, mode: int = 0o644, owner: int = 0) -> None:
        """Put a file there, in the place of whatever file or link was there before."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            parent, name = self._parent(path, owner)
            try:
                _unlink(parent, name)
                fd = os.open(name, flags, mode, dir_fd=parent)
                with os.fdopen(fd, "wb") as file:
                    file.write(data)
                    os.fchown(fd, owner, owner)
                    os.fchmod(fd, mode)
            finally:
                os.close(parent)
        except OSError as error:
            raise _failed("write", path, error) from error

    def symlink(self, path: str, target: str) -> None:
        """Make a symbolic link there, in the place of whatever file or link was there before."""
        try:
            parent, name = self._parent(path, 0)
            try:
                _unlink(parent, name)
                os.symlink(target, name, dir_fd=parent)
            finally:
                os.close(parent)
        except OSError as error:
            raise _failed("symlink", path, error) from error

    def device(self, path: str, major: int, minor: int) -> None:
        """Make a character device that everybody may read and write."""
        try:
            parent, name = self._parent(path, 0)
            try:
                _unlink(parent, name)
                os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(major, minor), dir_fd=parent)
                os.chmod(name, 0o666, dir_fd=parent)  # mknod was subject to the umask
            finally:
                os.close(parent)
        except OSError as error:
            raise _failed("mknod", path, error) from error

    def read(self, path: str) -> bytes | None:
        """Return a regular file's bytes; None where there is no such file."""
        try:
            parent, name = self._parent(path, 0, create=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed("read", path, error) from error
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP):
                return None
            raise _failed("read", path, error) from error
        finally:
            os.close(parent)
        with os.fdopen(fd, "rb") as file:
            return file.read() if stat.S_ISREG(os.fstat(fd).st_mode) else None

    def has(self, path: str) -> bool:
        """Tell whether something, be it a dangling link, has that name."""
        try:
            parent, name = self._parent(path, 0, create=False)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _failed("look up", path, error) from error
        try:
            os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        finally:
            os.close(parent)
        return True

    def clear(self, path: str) -> None:
        """Remove what is in a directory, not the directory; nothing where it does not exist."""
        try:
            fd = self._directory(path, 0, create=False)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _failed("clear", path, error) from error
        try:
            for name in os.listdir(fd):
                _remove(fd, name)
        except OSError as error:
            raise _failed("clear", path, error) from error
        finally:
            os.close(fd)

    def size(self) -> int:
        """Return the bytes that the tree takes on disk; a hard-linked file counts once."""
        total = 0
        seen: set[tuple[int, int]] = set()
        for _path, _dirs, files, fd in os.fwalk(".", dir_fd=self._fd):
            total += os.fstat(fd).st_blocks * 512
            for name in files:
                info = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if info.st_nlink > 1:
                    key = (info.st_dev, info.st_ino)
                    if key in seen:
                        continue
                    seen.add(key)
                total += info.st_blocks * 512
        return total

    def _directory(self, path: str, owner: int, *, create: bool) -> int:
        """Open a directory beneath the root; parents that are made belong to ``owner``."""
        fd = os.dup(self._fd)
        try:
            for part in _parts(path):
                fd = _step(fd, part, owner, create)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _parent(self, path: str, owner: int, *, create: bool = True) -> tuple[int, str]:
        *above, name = _parts(path)
        return self._directory("/".join(above), owner, create=create), name


def _step(fd: int, part: str, owner: int, create: bool) -> int:
    """Open ``part`` in ``fd`` and close ``fd``; leave ``fd`` open when that fails."""
    try:
        below = os.open(part, _DIRECTORY, dir_fd=fd)
    except FileNotFoundError:
        if not create:
            raise
        os.mkdir(part, 0o755, dir_fd=fd)
        below = os.open(part, _DIRECTORY, dir_fd=fd)
        os.fchmod(below, 0o755)
        os.fchown(below, owner, owner)
    os.close(fd)
    return below


def _parts(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError(f"not a path beneath the image: {path!r}")
    return parts


def _unlink(parent: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)


def _remove(parent: int, name: str) -> None:
    info = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISDIR(info.st_mode):
        shutil.rmtree(name, dir_fd=parent)
    else:
        os.unlink(name, dir_fd=parent)


def _failed(operation: str, path: str, error: OSError) -> ImageBuildFailed:
    message = f"cannot {operation} {path} in the image"
    return ImageBuildFailed(message, operation=operation, subject=path, errno=error.errno)
