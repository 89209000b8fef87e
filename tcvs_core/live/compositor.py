"""A connection to a compositor inside a container, opened from outside.

The socket is reached as ``/proc/<pid1>/root/run/user/1000/wayland-0``.  What lies behind ``root``
belongs to the container's user, who could put a symbolic link there; an absolute link would be
followed in *our* file system, to the host's own compositor or another service.  So the path is
walked one component at a time without following links, and the connection goes to the file that
was found, not to a path.
"""

from __future__ import annotations

import os
import re
import socket
import stat
from pathlib import Path

from tcvs_core.errors import TcvsError

_CONTAINER = re.compile(r"(/proc/[0-9]+/root)/(.+)\Z")


class CompositorUnreachable(TcvsError):
    """The Wayland socket of a branch cannot be connected to."""

    code = "compositor-unreachable"


def connect(path: Path) -> socket.socket:
    """Connect to the Wayland socket ``path``; the result is blocking and close-on-exec.

    Raises CompositorUnreachable, also when the path leads over a symbolic link.
    """
    try:
        handle = _open(str(path))
        try:
            if not stat.S_ISSOCK(os.fstat(handle).st_mode):
                raise CompositorUnreachable(
                    f"{path} is not a socket",
                    operation="connect to the compositor",
                    subject=str(path),
                )
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            try:
                # A full backlog must be an error: the keeper waits for no compositor.
                connection.setblocking(False)
                connection.connect(f"/proc/self/fd/{handle}")
                connection.setblocking(True)
            except BaseException:
                connection.close()
                raise
            return connection
        finally:
            os.close(handle)
    except OSError as error:
        raise CompositorUnreachable(
            f"cannot reach the desktop's Wayland socket {path}",
            operation="connect to the compositor",
            subject=str(path),
            errno=error.errno,
            hint="is the branch running?",
        ) from error


def _open(path: str) -> int:
    """Open ``path`` with O_PATH, following no link but the ``/proc/<pid>/root`` in front."""
    container = _CONTAINER.match(path)
    if container is None:
        return os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    parts = [part for part in container[2].split("/") if part not in ("", ".")]
    if ".." in parts or not parts:
        raise CompositorUnreachable(
            f"{path} is not a plain path", operation="connect to the compositor", subject=path
        )
    handle = os.open(container[1], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for index, part in enumerate(parts):
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        if index < len(parts) - 1:
            flags |= os.O_DIRECTORY
        try:
            deeper = os.open(part, flags, dir_fd=handle)
        finally:
            os.close(handle)
        handle = deeper
    return handle
