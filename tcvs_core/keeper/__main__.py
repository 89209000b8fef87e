"""``python -m tcvs_core.keeper --repo PATH``: the keeper's process.

Started by the first command that needs it; goes on until ``tcvs keeper stop``.  Exactly one runs a
repository: the holder of ``keeper.lock`` in its run directory, from before it opens the repository
until it has let go of it.  ``start.lock`` lets those who come at once wait for the first.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import socket
import sys
from pathlib import Path

from tcvs_core import faults
from tcvs_core.errors import TcvsError
from tcvs_core.keeper.place import run_directory, socket_path


def main(argv: list[str] | None = None) -> int:
    """Run the keeper; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="tcvs-keeper")
    parser.add_argument("--repo", type=Path, required=True)
    parser.add_argument("--ready-fd", type=int, help="told `ok` or an error, then closed")
    parser.add_argument("--fault", action="append", default=[], help="NAME=kill|error[:SKIP]")
    options = parser.parse_args(argv)
    if options.ready_fd is not None and os.fork():
        # Whoever started us is not the keeper's parent: it may live long and never wait for it,
        # and a keeper that was killed would then go on being there, as a zombie.
        os._exit(0)
    for spec in options.fault:
        point, action, skip = faults.parse(spec)
        faults.arm(point, action, skip=skip)
    try:
        return _run(options.repo.resolve(), options.ready_fd)
    except TcvsError as error:
        _tell(options.ready_fd, str(error))
        sys.stderr.write(f"{error}\n")
        return 1


def _tell(fd: int | None, text: str) -> None:
    if fd is not None:
        try:
            os.write(fd, text.encode())
            os.close(fd)
        except OSError:
            pass


def _run(path: Path, ready: int | None) -> int:
    run = run_directory(path)
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    start = _lock(run / "start.lock")
    if _answers(path):
        _tell(ready, "ok")
        return 0
    _lock(run / "keeper.lock")  # held for life; an earlier keeper may be about to end
    log = os.open(run / "keeper.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    os.dup2(log, 1)
    # Slow imports, after the quick answers.
    from tcvs_core.keeper.assemble import assemble, leave

    server = assemble(path)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.close(start)
    _tell(ready, "ok")
    try:
        server.serve()
    finally:
        socket_path(path).unlink(missing_ok=True)
        server.viewers.stop()
        server.repo.close()
        leave(server)
    return 0


def _lock(path: Path) -> int:
    """Wait for the lock ``path``; it is held until the descriptor is closed."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(str(socket_path(path)))
        except OSError:
            return False
        return True


if __name__ == "__main__":
    sys.exit(main())
