"""The engine on top of stock CRIU (4.2 or newer): slow, well-trodden, and the peer to beat.

The recipe and its traps are measured facts, see ``docs/engines.md``:

* the network namespace is external: made and addressed by us, handed over by descriptor;
* the action script stops inside ``post-dump``, where all tasks are still frozen, until the files
  have been snapshotted;
* control groups are ignored by CRIU: ``criu restore`` runs in the branch's group and cgroup
  namespace, and so does all that it starts;
* clients from outside must have left the compositor before the freeze.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tcvs_core.errors import TcvsError
from tcvs_core.linux import proc
from tcvs_core.live.container import Container, adopt
from tcvs_core.live.engines import survey
from tcvs_core.live.engines.criu_log import failure, pause_times
from tcvs_core.live.engines.protocol import EngineError, Fork, Obstacle, Target, refuse

_COMMON = [
    "--manage-cgroups=ignore",
    "--tcp-established",
    "--file-locks",
    "--link-remap",
    "--ghost-limit",
    "200M",
    "--ext-unix-sk",
    "-v2",
]
#: Called by CRIU at every stage with CRTOOLS_SCRIPT_ACTION; asks us to snapshot at one of them.
#: It never waits for somebody who has died: a fifo opens at once for reading and writing, and read
#: ends when we, the only writer that is left, are gone.
_ACTION_SCRIPT = """#!/bin/sh
[ "$CRTOOLS_SCRIPT_ACTION" = post-dump ] || exit 0
cd "${0%/*}" && exec 3<>answer 4<answer 3<&- && echo frozen 1<>ask || exit 1
read -r answer <&4 && [ "$answer" = ok ]
"""
#: Runs in a mount namespace of its own: CRIU wants the new root to be a mount point.
_RESTORE_SCRIPT = (
    'root=$1 group=$2; shift 2; [ -z "$group" ] || echo 0 >"$group/cgroup.procs" || exit 1; '
    'mount --bind "$root" "$root" && exec unshare --cgroup "$@"'
)
_TIMEOUT = 120.0


class CriuEngine:
    """See the module's docstring.  ``command`` gives the argv prefix that runs criu, or raises."""

    name = "criu"

    def __init__(self, command: Callable[[], list[str]]) -> None:
        self._command = command

    def obstacles(self, source: Container) -> list[Obstacle]:
        return survey.obstacles(source)

    def capture(
        self, source: Container, image: Path, at_freeze: Callable[[], None]
    ) -> dict[str, float]:
        found = self.obstacles(source)
        if found:
            raise refuse(source.branch, found)
        begin = time.monotonic()
        netns = proc.namespace(source.pid, "net")
        script = image / "action.sh"
        script.write_text(_ACTION_SCRIPT)
        script.chmod(0o700)
        argv = [*self._command(), "dump", "-t", str(source.pid), "-D", str(image), "-o", "dump.log"]
        argv += [
            *_COMMON,
            "--leave-running",
            "--network-lock",
            "skip",
            "--external",
            f"net[{netns}]:cnet",
        ]
        argv += ["--action-script", str(script)]
        ask, answer = _fifo(image / "ask"), _fifo(image / "answer")
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            frozen_error = self._attend(process, ask, answer, at_freeze)
            stderr = process.communicate()[1]
        except OSError as error:
            raise EngineError(
                f"cannot run CRIU: {error}", operation="capture", hint="`tcvs doctor`"
            ) from error
        finally:
            os.close(ask)
            os.close(answer)
            for name in ("ask", "answer", "action.sh"):
                (image / name).unlink(missing_ok=True)
        if frozen_error is not None:
            raise frozen_error
        if process.returncode:
            raise failure("capture", source.branch, image / "dump.log", stderr)
        times = {"dump": (time.monotonic() - begin) * 1000}
        return times | pause_times(image / "stats-dump")

    @staticmethod
    def _attend(
        process: subprocess.Popen[bytes], ask: int, answer: int, at_freeze: Callable[[], None]
    ) -> BaseException | None:
        """Wait for the freeze, do what is to be done in it, let CRIU go on."""
        ended = os.pidfd_open(process.pid)
        try:
            ready, _, _ = select.select([ask, ended], [], [], _TIMEOUT)
            if not ready:
                process.kill()  # its tasks are ptraced: the kernel lets them go on
                return EngineError("CRIU did not freeze the processes in time", operation="capture")
            if ask not in ready:
                return None  # it ended before: its exit status tells
            try:
                at_freeze()
            except BaseException as error:
                os.write(answer, b"no\n")
                return error
            os.write(answer, b"ok\n")
            return None
        finally:
            os.close(ended)

    def restore(self, image: Path, target: Target) -> tuple[Container, dict[str, float]]:
        begin = time.monotonic()
        work = image.parent / f"{image.name}.{target.branch}"
        work.mkdir(mode=0o700)
        pidfile = work / "pid"
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _RESTORE_SCRIPT, "sh"]
        argv += [str(target.root), target.cgroup or "", *self._command(), "restore"]
        argv += ["-D", str(image), "-W", str(work), "-o", "restore.log", "-d"]
        argv += ["--root", str(target.root), "--pidfile", str(pidfile), *_COMMON]
        argv += ["--inherit-fd", f"fd[{target.netns}]:cnet"]
        try:
            result = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(target.netns,),
                check=False,
                timeout=_TIMEOUT,
            )
            if result.returncode:
                raise failure("restore", target.branch, work / "restore.log", result.stderr)
            container = self._adopt(target, int(pidfile.read_text()))
        except BaseException as error:
            self._undo(target)
            if isinstance(error, subprocess.TimeoutExpired):
                raise EngineError(
                    f"CRIU did not restore {target.branch} within {_TIMEOUT:g} s",
                    operation="restore",
                    subject=target.branch,
                ) from error
            raise
        finally:
            os.close(target.netns)
            for file in work.iterdir():
                file.unlink()
            work.rmdir()
        return container, {"restore": (time.monotonic() - begin) * 1000}

    @staticmethod
    def _adopt(target: Target, pid: int) -> Container:
        container = Container(
            branch=target.branch,
            pid=pid,
            start_time=0,
            root=str(target.root),
            cgroup=target.cgroup,
            settings=target.settings,
            address=target.address,
        )
        container = adopt(container, pid)
        survey.set_hostname(container, target.hostname)
        return container

    @staticmethod
    def _undo(target: Target) -> None:
        """End what a failed restore left behind."""
        half = Container(target.branch, 0, 0, str(target.root), target.cgroup)
        if half.group is not None and half.group.path.exists():
            half.group.kill()
            with contextlib.suppress(TcvsError):
                half.group.remove()

    def fork(
        self,
        source: Container,
        image: Path,
        at_freeze: Callable[[], None],
        targets: Sequence[Callable[[], Target]],
    ) -> Fork:
        fork = Fork(self.capture(source, image, at_freeze))

        def one(make: Callable[[], Target]) -> tuple[Container, dict[str, float]] | TcvsError:
            try:
                return self.restore(image, make())
            except TcvsError as error:
                return error

        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="restore") as pool:
            fork.branches = list(pool.map(one, targets))
        return fork


def _fifo(path: Path) -> int:
    """Make a fifo; return a descriptor that can be read and written without blocking at open.

    CRIU closes the descriptors that it inherits, so that a pipe would not reach the script.
    """
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)
