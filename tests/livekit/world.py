"""A repository of real desktops for tests: driven through its keeper, ended without mercy.

Everything goes through ``Keeper``, as for users; what a test does behind the keeper's back (kill
it, end its desktops, take the pool away) is done by pid and by descriptor, to this repository
only.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from livekit import leftovers
from livekit.inside import COMMAND, ask, await_victim, lay_victim, until
from tcvs_core.keeper.client import Keeper, KeeperUnavailable, start_keeper
from tcvs_core.linux import proc
from tcvs_core.live.network import Network
from tcvs_core.live.runtime import KEEPER_GROUP
from tcvs_core.store.pool import Pool

IMAGE = "mini"
SCREEN = "640x480"


@dataclass(frozen=True)
class Ran:
    """A program that ran inside: its exit status and what it printed, both streams."""

    status: int
    output: str


class World:
    """One repository."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.pool = Pool.create(path, size)
        self.id = self.pool.id
        self._names = 0
        self._armed = False

    # -- the keeper

    def start(self, *faults: str) -> None:
        """Start the keeper; one that runs is stopped before, so that ``faults`` are armed."""
        if faults:
            self.stop_keeper()
        self._armed = bool(faults)
        start_keeper(self.path, faults)

    def disarm(self) -> None:
        """End a keeper that still has faults armed."""
        if self._armed and self.keeper() is not None:
            self.kill_keeper()
        self._armed = False

    def call(self, method: str, **params: Any) -> Any:
        """Call the keeper, which is started if need be.  Raises as ``Keeper.call``."""
        return Keeper.connect(self.path).call(method, **params)

    def keeper(self) -> int | None:
        """Return the keeper's pid, or None."""
        try:
            return int(Keeper.connect(self.path, start=False).call("ping")["pid"])
        except KeeperUnavailable:
            return None

    def stop_keeper(self) -> None:
        """Let the keeper finish and end."""
        pid = self.keeper()
        if pid is not None:
            Keeper.connect(self.path, start=False).call("stop")
            _await_end(pid)

    def kill_keeper(self) -> None:
        """SIGKILL the keeper."""
        pid = self.keeper()
        assert pid is not None, "no keeper runs"
        os.kill(pid, signal.SIGKILL)
        _await_end(pid)

    def dies_in(self, method: str, fault: str, **params: Any) -> None:
        """Start a keeper that is killed at ``fault``, and call ``method``, which must reach it."""
        self.start(f"{fault}=kill")
        pid = self.keeper()
        assert pid is not None
        with contextlib.suppress(KeeperUnavailable):
            self.call(method, **params)
        _await_end(pid)

    # -- branches

    def name(self, stem: str = "b") -> str:
        """Return a branch name that was not used before."""
        self._names += 1
        return f"{stem}{self._names}"

    def boot(self, *, victim: bool = True, **settings: Any) -> str:
        """Start a desktop of its own on a new branch, with a victim in it; return its name."""
        name = self.name()
        self.call("up", branch=name, image=IMAGE, **({"screen": SCREEN} | settings))
        if victim:
            self.plant(name)
        return name

    def plant(self, branch: str) -> None:
        """Start a victim in ``branch``."""
        lay_victim(self.files(branch))
        self.call("exec", branch=branch, argv=COMMAND, detach=True)
        await_victim(self.pid(branch))

    def fork(self, source: str, count: int = 1) -> list[str]:
        """Fork ``source``; return the names of the new branches."""
        stem = self.name("f")
        made = self.call("branch_create", name=stem, count=count, source=source)
        assert [b["error"] for b in made["branches"]] == [None] * count, made
        return [b["name"] for b in made["branches"]]

    def row(self, branch: str) -> dict[str, Any]:
        """Return the line of ``branch`` in ``tcvs ps``."""
        rows: list[dict[str, Any]] = self.call("ps")
        return next(row for row in rows if row["branch"] == branch)

    def branches(self) -> list[str]:
        """Return the names of all branches."""
        return [row["branch"] for row in self.call("ps")]

    def pid(self, branch: str) -> int:
        """Return the host pid of the branch's pid 1."""
        pid = self.row(branch)["pid"]
        assert pid is not None, f"{branch} does not run"
        return int(pid)

    def files(self, branch: str) -> Path:
        """Return the directory of the branch's files on the host."""
        return self.pool.br / branch

    def ask(self, branch: str, **request: Any) -> dict[str, Any]:
        """Ask the victim in ``branch``."""
        return ask(self.pid(branch), **request)

    def remember(self, branch: str, **values: Any) -> None:
        """Put values into the memory of the victim in ``branch``."""
        self.ask(branch, set=values)

    def lives(self, branch: str) -> dict[str, Any]:
        """Check that the victim of ``branch`` answers and its clock and loopback go on."""
        first = self.ask(branch)
        second = until(
            lambda: (
                (a := self.ask(branch))["ticks"] > first["ticks"] + 3
                and a["echoes"] > first["echoes"]
                and a
            ),
            what=f"a tick in {branch}",
        )
        assert isinstance(second, dict)
        assert second["loopback"] == "open"
        return second

    def tree(self, branch: str) -> set[tuple[int, int, str]]:
        """Return (pid, parent, name) of the processes of ``branch`` as seen inside."""
        found = self.call("status", branch=branch)["processes"]
        return {(p["pid"], p["ppid"], p["name"]) for p in found}

    def run(self, branch: str, *argv: str, **options: Any) -> Ran:
        """Run a program inside and wait for it."""
        with tempfile.TemporaryFile() as out, open(os.devnull, "rb") as null:
            fds = (null.fileno(), out.fileno(), out.fileno())
            done = self.call("exec", branch=branch, argv=list(argv), fds=fds, **options)
            out.seek(0)
            return Ran(done["exit_status"], out.read().decode(errors="replace"))

    # -- what is on a screen

    def open(self, branch: str, *argv: str, app_id: str) -> None:
        """Start a program with a window, and wait until it has the focus."""
        self.call("exec", branch=branch, argv=list(argv), detach=True)
        until(lambda: app_id in self.windows(branch), 20, f"a window of {app_id} in {branch}")
        until(lambda: self.windows(branch)[app_id]["active"], what=f"focus on {app_id}")
        self.act(branch, do="wait_stable", timeout=5)

    def open_notepad(self, branch: str) -> None:
        """Start a terminal that writes what is typed, line by line, to ``~/typed.txt``."""
        self.open(branch, "foot", "sh", "-c", "exec cat > /home/user/typed.txt", app_id="foot")

    def windows(self, branch: str) -> dict[str, dict[str, Any]]:
        """Return the windows of ``branch`` by app id."""
        return {w["app_id"]: w for w in self.call("windows", branch=branch)}

    def act(self, branch: str, **action: Any) -> dict[str, Any]:
        """Do one action on the screen of ``branch``."""
        done: dict[str, Any] = self.call("input", branch=branch, actions=[action])["results"][0]
        return done

    def type(self, branch: str, line: str) -> None:
        """Type a line on the screen of ``branch``."""
        self.act(branch, do="type", text=line + "\n")

    def typed(self, branch: str) -> str:
        """Return what the notepad of ``branch`` has written."""
        return (self.files(branch) / "home/user/typed.txt").read_text()

    def picture(self, branch: str) -> bytes:
        """Return the pixels of the screen of ``branch``, once they have come to rest."""
        self.act(branch, do="wait_stable", timeout=5)
        data = self.call("screenshot", branch=branch)["data"]
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB").tobytes()

    # -- the rest

    def current(self) -> str:
        """Return the name of the current branch."""
        return str(self.call("log", limit=1)["head"])

    def drop(self, *branches: str) -> None:
        """Delete branches, whatever is in them."""
        known, current = set(self.branches()), self.current()
        names = [b for b in branches if b in known and b != current]
        if names:
            self.call("branch_delete", names=names, force=True)

    # -- the end

    def kill_desktops(self) -> None:
        """SIGKILL every process of every desktop, by pid."""
        for pids in leftovers.members(self.id).values():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        until(lambda: not any(leftovers.members(self.id).values()), what="the desktops' end")

    def crash(self) -> None:
        """Be what a power cut and a reboot are: no process, no run directory, no mount is left."""
        pid = self.keeper()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            _await_end(pid)
        self.kill_desktops()
        top = leftovers.groups(self.id)
        if top is not None:  # what the keeper had started
            for child in _members(top / KEEPER_GROUP):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        for name in leftovers.links(self.id):
            subprocess.run(["ip", "link", "delete", name], check=False)
        Network(self.id).remove_rules()
        for place in (Path(f"/run/tcvs/{self.id}"), Path(f"/dev/shm/tcvs-{self.id}")):
            shutil.rmtree(place, ignore_errors=True)
        if top is not None:
            for path in sorted(top.rglob("*"), reverse=True):
                if path.is_dir():
                    _remove_group(path)
            _remove_group(top)
        self.pool.unmount()

    def remove(self) -> None:
        """End everything and delete the repository; say what the product left behind."""
        self.crash()
        left = leftovers.everything(self.id, self.path)
        assert not left, f"the repository's end left behind: {left}"
        shutil.rmtree(self.path)


def _members(group: Path) -> list[int]:
    try:
        return [int(line) for line in (group / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def _remove_group(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        until(lambda: _gone(path), what=f"the end of {path}")


def _gone(path: Path) -> bool:
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def ended(pid: int) -> bool:
    """Whether no thread of process ``pid`` is left; somebody may still have to wait for it.

    A process of many threads looks dead when its first one is, and holds its descriptors longer.
    """
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return True
    found = proc.stat(pid)
    return found is None or (found.state in "ZX" and len(threads) == 1)


def _await_end(pid: int) -> None:
    until(lambda: ended(pid), 30, f"the end of process {pid}")
