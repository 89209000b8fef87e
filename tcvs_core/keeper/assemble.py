"""Put a keeper together: the pool, the engine, the desktops, the viewer, the socket."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

from tcvs_core.keeper.place import run_directory, socket_path
from tcvs_core.keeper.server import Server
from tcvs_core.keeper.view.viewer import Viewer
from tcvs_core.keeper.viewers import Viewers
from tcvs_core.linux import proc
from tcvs_core.linux.cgroup import Cgroup
from tcvs_core.live.engines.criu import CriuEngine
from tcvs_core.live.runtime import KEEPER_GROUP, Runtime
from tcvs_core.live.tools import PREFIX, Tools
from tcvs_core.store.files import Files
from tcvs_core.store.marker import read_marker
from tcvs_core.store.pool import Pool
from tcvs_core.workspace.repository import Places, Repository

#: Memory images wait here for the store; a tmpfs on every Linux with glibc.
SHM = Path("/dev/shm")
#: Seconds that the CRIU of a keeper that was killed is given to end.
_CRIU_ENDS = 20.0


def assemble(path: Path) -> Server:
    """Open the repository at ``path`` and listen.  Raises TcvsError."""
    tools = Tools(PREFIX)
    pool = Pool.open(path)
    run = run_directory(path)
    _leave_cgroup(pool.id)
    runtime = Runtime(pool.id, CriuEngine(tools.criu))
    places = Places(store=pool.store, run=run, images=SHM / f"tcvs-{pool.id}")
    repo = Repository(places, Files(pool), runtime, make_room=pool.grow_if_needed)
    repo.open()
    viewers = Viewers(
        lambda directory: Viewer(tools.novnc(), tools.wayvnc(), directory), run / "view"
    )
    viewers.serve(repo)
    return Server(path, repo, viewers, listen(socket_path(path)))


def listen(path: Path) -> socket.socket:
    """Listen on ``path``, for our own user only."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(old)
    listener.listen(64)
    return listener


def leave(server: Server) -> None:
    """Give back what ``assemble`` took beside the repository: the keeper's control group."""
    group = Cgroup.make(read_marker(server.path).id, KEEPER_GROUP)
    if group is not None:
        group.retire()


def _leave_cgroup(scope: str) -> None:
    """Move to a control group of our own: desktops must not end with the user's login session.

    What an earlier keeper left there is ended.  Its CRIU is given time to end by itself: it does
    so once its script is gone, and lets the desktop that it holds go on.
    """
    group = Cgroup.make(scope, KEEPER_GROUP)
    if group is None:
        return
    deadline = time.monotonic() + _CRIU_ENDS
    while left := group.pids():
        late = time.monotonic() > deadline
        for pid in left:
            if late or "criu" not in proc.command(pid).partition(" dump ")[0]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    group.add(0)
