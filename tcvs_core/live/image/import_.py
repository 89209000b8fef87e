"""Making an image from a directory or a tar archive that somebody else made.

The system in it must bring what a desktop session needs; where it has no ``/etc/tcvs/session`` of
its own, the ``common`` skeleton is laid over it.  GNU tar unpacks: it keeps owners, modes, extended
attributes and hard links, and does not follow links out of the target.
"""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tcvs_core.live.image.build import check_target, metadata, silent
from tcvs_core.live.image.configure import SESSION, add_user, clean, devices, lay, skeleton
from tcvs_core.live.image.debian import Progress
from tcvs_core.live.image.errors import ImageBuildFailed, NotAnImage
from tcvs_core.live.image.tree import Tree

_CHUNK = 1 << 20
_KEEP = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls", "--sparse"]
_NOT_COPIED = ("proc", "sys", "dev", "run", "tmp")
_NEEDED = ("labwc", "dbus-daemon", "wlr-randr", "catatonit")

#: First bytes of a compressed archive, and tar's option for it.
_COMPRESSIONS = (
    (b"\x1f\x8b", "--gzip"),
    (b"BZh", "--bzip2"),
    (b"\xfd7zXZ\x00", "--xz"),
    (b"\x28\xb5\x2f\xfd", "--zstd"),
)


def import_tree(source: Path, target: Path, progress: Progress = silent) -> dict[str, Any]:
    """Fill ``target``, an empty existing directory, from ``source``; return the image's metadata.

    ``source`` is the root directory of a Linux system or a tar archive of one, plain or compressed
    (gzip, bzip2, xz, zstd).  The caller removes ``target`` when this raises ImageBuildFailed or
    NotAnImage.
    """
    check_target(target)
    progress("read", 0.0, str(source))
    if source.is_dir():
        _copy(source, target, progress)
    else:
        _unpack(source, target, progress)
    progress("finish", 0.99, "")
    with Tree(target) as tree:
        _drop_devices(target)
        add_user(tree)
        clean(tree)
        devices(tree)
        if not tree.has(SESSION):
            _require(tree, source)
            for path, data in skeleton("common"):
                lay(tree, path, data)
        result = metadata(tree, "import") | {"source": source.name}
    progress("finish", 1.0, "")
    return result


def _require(tree: Tree, source: Path) -> None:
    lacking = [name for name in _NEEDED if not tree.has(f"usr/bin/{name}")]
    if lacking:
        raise NotAnImage(
            f"{source} cannot run a desktop: it has no {', '.join(lacking)}",
            operation="image import",
            subject=str(source),
            hint="install Debian's labwc, dbus, wlr-randr and catatonit in it first",
        )


def _copy(source: Path, target: Path, progress: Progress) -> None:
    with Tree(source) as tree:
        total = tree.size()
    argv = ["setpriv", "--pdeathsig", "KILL", "tar", "--create", "--file=-", *_KEEP]
    argv += ["--one-file-system", "--anchored", "--directory", str(source)]
    argv += [f"--exclude=./{name}/*" for name in _NOT_COPIED]
    with tempfile.TemporaryFile() as words:
        with subprocess.Popen(
            [*argv, "."], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words
        ) as producer:
            try:
                assert producer.stdout is not None
                _extract(_counted(producer.stdout, total, progress), target, None, source)
            except BaseException:
                producer.kill()
                raise
        if producer.returncode:
            raise _failed(source, words)


def _unpack(source: Path, target: Path, progress: Progress) -> None:
    try:
        archive = open(source, "rb")  # noqa: SIM115 (closed by the with statement below)
    except OSError as error:
        raise NotAnImage(
            f"cannot read {source}",
            operation="image import",
            subject=str(source),
            errno=error.errno,
            hint="give the path of a directory or a tar archive",
        ) from error
    with archive:
        head = archive.read(8)
        archive.seek(0)
        option = next((name for magic, name in _COMPRESSIONS if head.startswith(magic)), None)
        total = os.fstat(archive.fileno()).st_size
        _extract(_counted(archive, total, progress), target, option, source)


def _counted(file: IO[bytes], total: int, progress: Progress) -> Iterator[bytes]:
    done = 0
    while data := file.read(_CHUNK):
        yield data
        done += len(data)
        progress("unpack", min(0.99, done / max(1, total)), "")


def _extract(data: Iterator[bytes], target: Path, option: str | None, source: Path) -> None:
    """Feed an archive to tar, which unpacks it into ``target``."""
    argv = ["setpriv", "--pdeathsig", "KILL", "tar", "--extract", "--file=-", *_KEEP]
    argv += ["--same-owner", "--same-permissions", "--directory", str(target)]
    argv += [option] if option else []
    with tempfile.TemporaryFile() as words:
        # Unbuffered, so that nothing is left to be written, and to fail again, at the close.
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=words, bufsize=0
        ) as tar:
            try:
                assert tar.stdin is not None
                for chunk in data:
                    rest = memoryview(chunk)
                    while rest:
                        rest = rest[os.write(tar.stdin.fileno(), rest) :]
                tar.stdin.close()
            except BrokenPipeError:
                pass  # tar has given up, and says why
            except BaseException:
                tar.kill()
                raise
        if tar.returncode:
            raise _failed(source, words)


def _failed(source: Path, words: IO[bytes]) -> ImageBuildFailed:
    words.seek(0)
    lines = words.read().decode("utf-8", "replace").splitlines()
    said = lines[0] if lines else "no reason given"
    return ImageBuildFailed(
        f"cannot unpack {source}: {said}",
        operation="image import",
        subject=str(source),
        hint="is it a tar archive (plain, gzip, bzip2, xz or zstd) of a whole Linux system?",
        details={"log": lines[-20:]},
    )


def _drop_devices(target: Path) -> None:
    """Remove device files wherever they are: foreign ones may open the host's disks."""
    for _path, _dirs, files, fd in os.fwalk(target):
        for name in files:
            mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
            if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                os.unlink(name, dir_fd=fd)
