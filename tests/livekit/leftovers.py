"""What a repository can leave on the machine, found by its id and its path."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from tcvs_core.linux import loop
from tcvs_core.linux.cgroup import mount_point
from tcvs_core.live.runtime import KEEPER_GROUP


def groups(identity: str) -> Path | None:
    """Return the directory of the repository's control groups, if it is there."""
    root = mount_point()
    path = root / "tcvs" / identity if root else None
    return path if path is not None and path.is_dir() else None


def members(identity: str) -> dict[str, list[int]]:
    """Return the host pids in each of the repository's control groups, the keeper's left out."""
    top = groups(identity)
    if top is None:
        return {}
    found: dict[str, list[int]] = {}
    for file in top.rglob("cgroup.procs"):
        name = file.parent.relative_to(top).as_posix()
        if name not in (".", KEEPER_GROUP):
            with contextlib.suppress(OSError):
                found[name] = [int(line) for line in file.read_text().split()]
    return found


def links(identity: str) -> list[str]:
    """Return the names of the repository's network links on the host."""
    return sorted(n for n in os.listdir("/sys/class/net") if n.startswith(f"tc{identity[:4]}"))


def tables(identity: str) -> list[str]:
    """Return the repository's nftables tables."""
    if shutil.which("nft") is None:
        return []
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False)
    return [line for line in listed.stdout.splitlines() if line.endswith(f"tcvs_{identity}")]


def mounted(path: Path, namespace_of: str = "self") -> list[str]:
    """Return the mounts at or beneath ``path`` in the mount namespace of a process."""
    found = set()
    with contextlib.suppress(OSError):
        table = Path(f"/proc/{namespace_of}/mountinfo").read_text(errors="replace")
        for line in table.splitlines():
            point = line.split(" ")[4]
            if point == str(path) or point.startswith(f"{path}/"):
                found.add(point)
    return sorted(found)


def _copied(path: Path) -> bool:
    """Whether a mount namespace that somebody made meanwhile has a copy of our mount."""
    own = os.stat("/proc/self/ns/mnt").st_ino
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{pid}/ns/mnt").st_ino != own and mounted(path, pid):
                return True
    return False


def processes(identity: str, path: Path) -> list[str]:
    """Return the processes that serve the repository or belong to one of its desktops."""
    found = []
    inside = {pid for pids in members(identity).values() for pid in pids}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            ours = f"{path}" in command or f"tcvs-{identity}" in command
            if ours or int(entry.name) in inside:
                found.append(f"{entry.name} {command.strip()}")
    return found


def everything(identity: str, path: Path) -> list[str]:
    """Return all that is left of the repository ``identity`` at ``path`` outside its directory."""
    found = [f"mount {point}" for point in mounted(path)]
    image = path / "pool.img"
    if image.exists() and (device := loop.find(image)) and not _copied(path):
        found.append(f"loop device {device}")
    found += [f"process {text}" for text in processes(identity, path)]
    top = groups(identity)
    found += [f"control group {top}"] if top else []
    found += [f"link {name}" for name in links(identity)]
    found += [f"nftables {text}" for text in tables(identity)]
    for place in (Path(f"/dev/shm/tcvs-{identity}"), Path(f"/run/tcvs/{identity}")):
        found += [f"directory {place}"] if place.exists() else []
    return found
