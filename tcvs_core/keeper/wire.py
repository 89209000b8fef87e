"""The keeper's socket protocol, version 1.

A ``SOCK_STREAM`` Unix socket carries frames: a big-endian u32 length, then that many bytes of
canonical CBOR (``tcvs_core.codec``).  Descriptors travel as ``SCM_RIGHTS`` with the first byte of
their frame.

* client -> keeper, once: ``{"v": 1, "method": str, "params": {str: any}}`` (+ descriptors)
* client -> keeper, while it waits: ``{"signal": int}`` for the process that ``exec`` runs
* keeper -> client, any number: ``{"event": str, ...}`` (+ descriptors for the event ``pty``)
* keeper -> client, once, last: ``{"result": any}`` or ``{"error": TcvsError.to_dict()}``

A frame is at most 64 MiB: a screenshot of an 8K screen fits, a runaway peer does not.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

from tcvs_core.codec import decode, encode
from tcvs_core.errors import TcvsError

VERSION = 1
MAX_FRAME = 64 << 20
MAX_FDS = 8


class WireError(TcvsError):
    """The peer broke the protocol or went away in the middle of a frame."""

    code = "wire"


def send(sock: socket.socket, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
    """Send one frame; raises OSError where the peer is gone, WireError for too large a one."""
    body = encode(message)
    if len(body) > MAX_FRAME:
        raise WireError(f"message of {len(body)} bytes is over the limit of {MAX_FRAME}")
    data = memoryview(struct.pack(">I", len(body)) + body)
    sent = socket.send_fds(sock, [data], list(fds)) if fds else sock.send(data)
    while sent < len(data):
        sent += sock.send(data[sent:])


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next frame and its descriptors, or None when the peer closed between frames.

    The caller closes the descriptors.  Raises WireError, CodecError, OSError.
    """
    fds: list[int] = []
    try:
        head = _exactly(sock, 4, fds)
        if head is None:
            return None
        (length,) = struct.unpack(">I", head)
        if length > MAX_FRAME:
            raise WireError(f"frame of {length} bytes is over the limit of {MAX_FRAME}")
        body = _exactly(sock, length, fds)
        if body is None:
            raise WireError("the peer went away in the middle of a message")
        message = decode(body)
        if not isinstance(message, dict):
            raise WireError(f"a message is a map, not {type(message).__name__}")
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return message, fds


def _exactly(sock: socket.socket, count: int, fds: list[int]) -> bytes | None:
    """Read ``count`` bytes; None for a clean end before the first one."""
    buffer = bytearray()
    while len(buffer) < count:
        data, got, _flags, _address = socket.recv_fds(sock, count - len(buffer), MAX_FDS)
        fds.extend(got)
        if not data:
            if buffer:
                raise WireError("the peer went away in the middle of a message")
            return None
        buffer += data
    return bytes(buffer)
