"""Making an installed Debian system into an image: user, devices, skeletons, a clean start.

What every image has, and the rest of tcvs relies on:

* ``user``, uid and gid 1000, home ``/home/user``, no password.
* ``/etc/tcvs/session``: starts the desktop; run as uid 1000 under setsid by the launcher.
* ``/dev`` with the plain devices and ``ptmx -> pts/ptmx``; empty ``/dev/pts`` and ``/dev/shm``,
  ``/proc`` and ``/sys`` to mount on.
* ``/tmp`` and ``/run`` emptied here, never at a start: they are on disk, and files in them may
  belong to a state that is being brought back.  ``/run/user/1000`` exists and is the user's.
* A fixed machine id, no host name, no resolver of the host that built it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tcvs_core.live.image.errors import NotAnImage
from tcvs_core.live.image.tree import Tree

USER = "user"
UID = 1000
HOME = "home/user"
SESSION = "etc/tcvs/session"
MACHINE_ID = "7463767364736b74706d616368696e65"

_SKELETON = Path(__file__).with_name("skeleton")
_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
_LINKS = {
    "ptmx": "pts/ptmx",
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
_HOSTS = b"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"


def configure(tree: Tree, skeletons: tuple[str, ...]) -> None:
    """Bring an installed system into the form described above.

    Raises ImageBuildFailed when the tree cannot be written, NotAnImage when it is no system.
    """
    add_user(tree)
    clean(tree)
    devices(tree)
    for name in skeletons:
        for path, data in skeleton(name):
            lay(tree, path, data)


def add_user(tree: Tree) -> None:
    """Add ``user`` to passwd, group and shadow, in the place of another uid 1000 or ``user``."""
    shell = "/bin/bash" if tree.has("usr/bin/bash") or tree.has("bin/bash") else "/bin/sh"
    entries = {
        "etc/passwd": f"{USER}:x:{UID}:{UID}:User:/{HOME}:{shell}",
        "etc/group": f"{USER}:x:{UID}:",
        "etc/shadow": f"{USER}:*:19000:0:99999:7:::",
        "etc/gshadow": f"{USER}:!::",
    }
    for path, entry in entries.items():
        old = tree.read(path)
        if old is None:
            if path == "etc/passwd":
                raise NotAnImage(
                    "this is not the root of a Linux system: it has no etc/passwd",
                    operation="image import",
                    subject=path,
                )
            old = b""
        ids = path in ("etc/passwd", "etc/group")
        kept = [
            line
            for line in old.decode("utf-8", "surrogateescape").splitlines()
            if not (line.split(":")[0] == USER or (ids and line.split(":")[2:3] == [str(UID)]))
        ]
        mode = 0o640 if path.endswith("shadow") else 0o644
        text = "\n".join([*kept, entry, ""])
        tree.write(path, text.encode("utf-8", "surrogateescape"), mode)
    tree.mkdir(HOME, 0o755, UID)
    for name in ("Desktop", "Documents", "Downloads", "Pictures"):
        tree.mkdir(f"{HOME}/{name}", 0o755, UID)
    for name in (".bashrc", ".profile", ".bash_logout"):
        data = tree.read(f"etc/skel/{name}")
        if data is not None and not tree.has(f"{HOME}/{name}"):
            tree.write(f"{HOME}/{name}", data, owner=UID)


def clean(tree: Tree) -> None:
    """Empty what belongs to a run, not to an image, and forget the machine that built it."""
    for path in ("tmp", "run", "var/tmp", "var/lib/apt/lists", "var/cache/apt"):
        tree.clear(path)
    tree.mkdir("tmp", 0o1777)
    tree.mkdir("var/tmp", 0o1777)
    tree.mkdir("tmp/.X11-unix", 0o1777)
    tree.mkdir("tmp/.ICE-unix", 0o1777)
    tree.mkdir("run/lock", 0o1777)
    tree.mkdir("run/dbus")
    tree.mkdir("run/user")
    tree.mkdir(f"run/user/{UID}", 0o700, UID)
    tree.mkdir("var/log/tcvs", 0o755, UID)
    tree.mkdir("var/lib/apt/lists/partial", 0o755)
    tree.mkdir("var/cache/apt/archives/partial", 0o755)
    for name in ("proc", "sys"):
        tree.mkdir(name, 0o555)
    tree.write("etc/machine-id", f"{MACHINE_ID}\n".encode(), 0o444)
    if tree.has("var/lib/dbus"):
        tree.symlink("var/lib/dbus/machine-id", "/etc/machine-id")
    tree.write("etc/hostname", b"tcvs\n")
    tree.write("etc/hosts", _HOSTS)
    tree.write("etc/resolv.conf", b"")


def devices(tree: Tree) -> None:
    """Fill ``/dev`` with what a container needs, and nothing else."""
    tree.clear("dev")
    tree.mkdir("dev/pts")
    tree.mkdir("dev/shm", 0o1777)
    for name, (major, minor) in _DEVICES.items():
        tree.device(f"dev/{name}", major, minor)
    for name, target in _LINKS.items():
        tree.symlink(f"dev/{name}", target)


def skeleton(name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a skeleton: path in the image, bytes.  ``dot-x`` stands for ``.x``."""
    top = _SKELETON / name
    for path in sorted(top.rglob("*")):
        if path.is_file():
            relative = path.relative_to(top).as_posix()
            yield re.sub(r"(^|/)dot-", r"\1.", relative), path.read_bytes()


def lay(tree: Tree, path: str, data: bytes) -> None:
    """Write a skeleton's file: the user's beneath home, executable if it begins with ``#!``."""
    owner = UID if path.startswith(f"{HOME}/") else 0
    tree.write(path, data, 0o755 if data.startswith(b"#!") else 0o644, owner)
