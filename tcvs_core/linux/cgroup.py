"""Control groups, version 2: one group a branch, found wherever cgroup2 is mounted.

On hosts that still give the controllers to version 1 (hybrid set-ups) a v2 group has no limits,
but membership, ``cgroup.freeze`` and ``cgroup.kill`` work all the same.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path

from tcvs_core.errors import TcvsError


class CgroupError(TcvsError):
    """A control group did not do what was asked."""

    code = "cgroup"


def mount_point() -> Path | None:
    """Return where cgroup2 is mounted, or None."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            left, _, right = line.partition(" - ")
            if right.startswith("cgroup2 "):
                return Path(left.split(" ")[4])
    return None


class Cgroup:
    """One group; ``path`` is its directory in the host's cgroup2 tree."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def make(cls, *names: str) -> Cgroup | None:
        """Make the group ``tcvs/NAME/...`` and return it; None where cgroup2 is not to be had."""
        root = mount_point()
        if root is None:
            return None
        path = root.joinpath("tcvs", *names)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError:
            return None  # read-only or delegated elsewhere: the container runs without a group
        group = cls(path)
        group._delegate(root)
        return group

    def _delegate(self, root: Path) -> None:
        """Pass the controllers that exist down the path, as far as the kernel lets us."""
        at = root
        for part in self.path.relative_to(root).parts:
            for name in self._read(at / "cgroup.controllers").split():
                if name in ("memory", "pids", "cpu"):
                    with contextlib.suppress(OSError):
                        (at / "cgroup.subtree_control").write_text(f"+{name}")
            at = at / part

    @staticmethod
    def _read(file: Path) -> str:
        try:
            return file.read_text()
        except OSError:
            return ""

    def controllers(self) -> list[str]:
        """Return the controllers that are available in this group."""
        return self._read(self.path / "cgroup.controllers").split()

    def limit(self, *, memory: int | None, pids: int | None, cpus: float | None) -> list[str]:
        """Set limits (bytes, processes, cores); return the names of those that are lacking."""
        lacking = []
        wanted = {
            "memory.max": None if memory is None else str(memory),
            "pids.max": None if pids is None else str(pids),
            "cpu.max": None if cpus is None else f"{int(cpus * 100_000)} 100000",
        }
        for file, value in wanted.items():
            if value is None:
                continue
            try:
                (self.path / file).write_text(value)
            except OSError:
                lacking.append(file.partition(".")[0])
        return lacking

    def add(self, pid: int) -> None:
        """Move process ``pid`` (0: the caller) into the group."""
        (self.path / "cgroup.procs").write_text(str(pid))

    def children(self) -> list[Cgroup]:
        """Return the groups right beneath this one."""
        return [Cgroup(path) for path in sorted(self.path.iterdir()) if path.is_dir()]

    def pids(self) -> list[int]:
        """Return the host pids of the members."""
        return [int(line) for line in self._read(self.path / "cgroup.procs").split()]

    def freeze(self, frozen: bool, timeout: float = 5.0) -> None:
        """Freeze or thaw all members and wait until it is done.  Raises CgroupError in time."""
        (self.path / "cgroup.freeze").write_text("1" if frozen else "0")
        deadline = time.monotonic() + timeout
        wanted = f"frozen {int(frozen)}"
        while wanted not in self._read(self.path / "cgroup.events"):
            if time.monotonic() > deadline:
                if frozen:
                    (self.path / "cgroup.freeze").write_text("0")
                raise CgroupError(
                    f"the processes of {self.path.name} did not "
                    f"{'stop' if frozen else 'go on'} within {timeout:g} s",
                    operation="freeze",
                    subject=str(self.path),
                )
            time.sleep(0.0005)

    def kill(self) -> None:
        """Send SIGKILL to all members."""
        try:
            (self.path / "cgroup.kill").write_text("1")
        except OSError:  # before Linux 5.14
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)

    def retire(self) -> None:
        """Take the calling process back to the root group; remove this group and empty parents."""
        root = mount_point()
        if root is None:
            return
        with contextlib.suppress(OSError):  # somebody else's groups are beneath: they stay
            (root / "cgroup.procs").write_text(str(os.getpid()))
            path = self.path
            while path != root:
                path.rmdir()
                path = path.parent

    def remove(self, timeout: float = 5.0) -> None:
        """Remove the group once its members are gone.  Raises CgroupError when they stay."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.path.rmdir()
            except FileNotFoundError:
                return
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    raise CgroupError(
                        f"cannot remove the control group of {self.path.name}",
                        operation="remove cgroup",
                        subject=str(self.path),
                        errno=error.errno,
                    ) from error
                time.sleep(0.002)
            else:
                return
