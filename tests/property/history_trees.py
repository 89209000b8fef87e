"""Random file trees, random things that happen to them, and a btrfs to let it happen on."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from hypothesis import strategies as st

from tcvs_core.linux import loop
from tcvs_core.linux.mount import mount, umount

#: Few names, so that things land where other things were.
NAMES = [b"a", b"b", b"c", b"d", b"e", b"\xff\xfe", "ü".encode(), b"new\nline -> x"]
KINDS = [
    "write",
    "append",
    "rewrite",
    "patch",
    "replace",
    "truncate",
    "mkdir",
    "rename",
    "rename",
    "rename",
    "swap",
    "delete",
    "recreate",
    "link",
    "symlink",
    "chmod",
    "chown",
    "xattr",
    "fifo",
    "socket",
    "device",
    "typechange",
    "reflink",
    "touch",
    "hole",
]

Step = tuple[str, int, int, int]
steps = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 60), st.integers(0, 60), st.integers(0, 5)),
    max_size=25,
)


@contextlib.contextmanager
def btrfs(directory: Path, size: int = 4 << 30) -> Iterator[Path]:
    """A fresh btrfs of ``size`` bytes, mounted while the context lasts."""
    import subprocess

    image, point = directory / "pool.img", directory / "pool"
    point.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True, capture_output=True)
    device = loop.attach(image)
    try:
        mount(device, point, "btrfs", 0, None)
        try:
            yield point
        finally:
            umount(point)
    finally:
        loop.detach(device)


def entries(root: bytes) -> tuple[list[bytes], list[bytes]]:
    """All paths and all directories (the root among them) beneath ``root``, sorted."""
    everything, directories = [], [root]
    for where, names, files in os.walk(root):
        everything += [os.path.join(where, name) for name in names + files]
        directories += [
            os.path.join(where, n) for n in names if not os.path.islink(os.path.join(where, n))
        ]
    return sorted(everything), sorted(directories)


def grow(root: Path) -> None:
    """Fill ``root`` with a small tree of every type."""
    base = os.fsencode(root)
    for where in (b"", b"/a", b"/a/b", b"/a/b/c", b"/d"):
        os.makedirs(base + where, exist_ok=True)
        for index, name in enumerate((b"e", b"\xff\xfe", b"t.txt")):
            with open(base + where + b"/" + name, "wb") as file:
                file.write(b"%s %d\n" % (where, index) * (1 + 3000 * index))
    os.link(base + b"/a/e", base + b"/d/link")
    os.link(base + b"/a/e", base + b"/a/b/link")
    os.symlink(b"../a", base + b"/d/to-a")
    os.mkfifo(base + b"/a/b/fifo")


def happen(root: Path, todo: list[Step]) -> None:
    """Do every step of ``todo`` that is possible."""
    for kind, first, second, third in todo:
        everything, directories = entries(os.fsencode(root))
        if not everything:
            continue
        one = everything[first % len(everything)]
        other = everything[second % len(everything)]
        fresh = os.path.join(directories[second % len(directories)], NAMES[third % len(NAMES)])
        if third == 5:
            fresh = os.path.join(directories[second % len(directories)], NAMES[first % len(NAMES)])
        with contextlib.suppress(OSError):
            _step(kind, one, other, fresh, third)


def _remove(path: bytes) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        for name in os.listdir(path):
            _remove(os.path.join(path, name))
        os.rmdir(path)
    else:
        os.unlink(path)


def _contents(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _step(kind: str, one: bytes, other: bytes, fresh: bytes, number: int) -> None:
    regular = stat.S_ISREG(os.lstat(one).st_mode)
    if kind == "write":
        with open(fresh, "xb") as file:
            file.write(b"%d\n" % number * (1 + 2000 * number))
    elif kind in ("append", "patch", "hole", "truncate", "rewrite", "replace") and regular:
        _edit(kind, one, number)
    elif kind == "mkdir":
        os.mkdir(fresh)
    elif kind == "rename" and not os.path.lexists(fresh):
        os.rename(one, fresh)
    elif kind == "swap":
        aside = os.path.join(os.path.dirname(one), b"aside")
        os.rename(one, aside)
        os.rename(other, one)
        os.rename(aside, other)
    elif kind == "delete":
        _remove(one)
    elif kind == "recreate":
        directory = os.path.isdir(one) and not os.path.islink(one)
        _remove(one)
        os.mkdir(one) if directory else _step(
            "write", one=other, other=other, fresh=one, number=number
        )
    elif kind == "link":
        os.link(one, fresh, follow_symlinks=False)
    elif kind == "symlink":
        os.symlink(b"x" * (number + 1), fresh)
    elif kind == "chmod" and not os.path.islink(one):
        os.chmod(one, (0o644, 0o600, 0o755, 0o4755, 0o700, 0o1777)[number])
    elif kind == "chown":
        os.chown(one, 1000 + number % 2, 0, follow_symlinks=False)
    elif kind == "xattr" and not os.path.islink(one):
        if number:
            os.setxattr(one, f"user.n{number % 2}", b"v" * number)
        else:
            os.removexattr(one, "user.n1")
    elif kind == "fifo":
        os.mkfifo(fresh)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(fresh)
    elif kind == "device":
        os.mknod(fresh, stat.S_IFCHR | 0o600, os.makedev(1, number))
    elif kind == "typechange":
        _remove(one)
        (os.mkdir, os.mkfifo, lambda p: os.symlink(b"t", p))[number % 3](one)
    elif kind == "touch":
        os.utime(one, (number, number), follow_symlinks=False)
    elif kind == "reflink" and regular:
        import fcntl

        with open(one, "rb") as source, open(fresh, "xb") as target:
            fcntl.ioctl(target, 0x40049409, source.fileno())


def _edit(kind: str, path: bytes, number: int) -> None:
    data = _contents(path)
    if kind == "append":
        with open(path, "ab") as file:
            file.write(b"more %d\n" % number)
    elif kind == "patch":
        with open(path, "r+b") as file:
            file.seek(len(data) // 2)
            file.write(b"%d" % number)
    elif kind == "hole":
        with open(path, "r+b") as file:
            file.seek(len(data) + 8192 * number)
            file.write(b"end")
    elif kind == "truncate":
        os.truncate(path, len(data) * number // 5)
    elif kind == "rewrite":  # the same contents, in the same inode
        with open(path, "r+b") as file:
            file.write(data)
    else:  # as editors save: a new file renamed over the old one
        status = os.lstat(path)
        with open(path + b".tmp", "wb") as file:
            file.write(data if number % 2 else data + b"edited\n")
        os.chmod(path + b".tmp", stat.S_IMODE(status.st_mode))
        os.rename(path + b".tmp", path)
