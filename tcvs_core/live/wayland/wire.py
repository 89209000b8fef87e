"""The Wayland wire format, and the errors of everything that speaks it.

A message is, in the byte order of the machine and in 32-bit words::

    object id | size in bytes << 16 | opcode | arguments...

Arguments, by the letter that stands for them in a signature:

====  ==========================================================================
i u   signed and unsigned integer
f     signed 24.8 fixed point, here a float
o O   object id; ``O`` may be null (0, here None)
n     id of an object that this message makes
s S   length with the final NUL, bytes, NUL, padding; ``S`` may be null
a     length, bytes, padding
h     a file descriptor, beside the bytes (SCM_RIGHTS)
====  ==========================================================================

A message is at most 4096 bytes, as in libwayland.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from tcvs_core.errors import TcvsError

HEADER = struct.Struct("=II")
MAX_MESSAGE = 4096
_U32 = struct.Struct("=I")
_I32 = struct.Struct("=i")


class ScreenError(TcvsError):
    """The screen of a workspace cannot be seen or driven."""

    code = "screen"


class WireError(ScreenError):
    """Bytes that are no Wayland message, in either direction."""

    code = "screen-wire"


class ProtocolError(ScreenError):
    """The compositor refused a request; its message is kept, with the error's name."""

    code = "screen-protocol"


class Disconnected(ScreenError):
    """The compositor went away, or was never there."""

    code = "screen-disconnected"


class ScreenTimeout(ScreenError):
    """The compositor is connected but did not answer in time (frozen, stopped, overloaded)."""

    code = "screen-timeout"


def _padded(data: bytes) -> bytes:
    return _U32.pack(len(data)) + data + bytes(-len(data) % 4)


def _string(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise WireError("a string with a NUL cannot be sent", operation="encode")
    return _padded(data + b"\0")


def encode(
    object_id: int, opcode: int, signature: str, args: Sequence[Any]
) -> tuple[bytes, list[int]]:
    """Return the bytes of a message and the file descriptors that go with it.

    Objects may be given as objects or ids.  Raises WireError.
    """
    if len(args) != len(signature):
        raise WireError(f"{len(args)} arguments for {signature!r}", operation="encode")
    parts: list[bytes] = []
    fds: list[int] = []
    try:
        for letter, value in zip(signature, args, strict=True):
            if letter in "un":
                parts.append(_U32.pack(value))
            elif letter == "i":
                parts.append(_I32.pack(value))
            elif letter == "f":
                parts.append(_I32.pack(round(value * 256)))
            elif letter in "oO":
                if value is None and letter == "o":
                    raise WireError("an object is missing", operation="encode")
                number = 0 if value is None else getattr(value, "id", value)
                parts.append(_U32.pack(number))
            elif letter in "sS":
                if value is None and letter == "s":
                    raise WireError("a string is missing", operation="encode")
                parts.append(_U32.pack(0) if value is None else _string(value))
            elif letter == "a":
                parts.append(_padded(bytes(value)))
            elif letter == "h":
                fds.append(value)
            else:
                raise WireError(f"unknown signature {signature!r}", operation="encode")
    except (struct.error, TypeError, AttributeError) as error:
        raise WireError(f"{value!r} does not fit {letter!r}", operation="encode") from error
    body = b"".join(parts)
    size = HEADER.size + len(body)
    if size > MAX_MESSAGE:
        raise WireError(f"message of {size} bytes, at most {MAX_MESSAGE}", operation="encode")
    return HEADER.pack(object_id, size << 16 | opcode) + body, fds


def split_header(data: bytes | bytearray | memoryview, offset: int = 0) -> tuple[int, int, int]:
    """Return (object id, opcode, size with header) of the message at ``offset``.

    At least 8 bytes must be there.  Raises WireError where the size cannot be right.
    """
    object_id, word = HEADER.unpack_from(data, offset)
    size = word >> 16
    if size < HEADER.size or size % 4 or size > MAX_MESSAGE:
        raise WireError(f"message of {size} bytes from the compositor", operation="decode")
    return object_id, word & 0xFFFF, size


def _block(body: bytes, offset: int) -> tuple[bytes | None, int]:
    (length,) = _U32.unpack_from(body, offset)
    start = offset + 4
    end = start + length
    if end > len(body):
        raise WireError("an argument is longer than its message", operation="decode")
    return (body[start:end] if length else None), end + -length % 4


def decode(signature: str, body: bytes, take_fd: Callable[[], int | None]) -> list[Any]:
    """Return the arguments in ``body``; ``take_fd`` hands out received descriptors in order.

    Objects come back as ids (``O`` null as 0).  Text that is not UTF-8 is repaired.  Raises only
    WireError; descriptors already taken are then in the list that is lost, so the caller closes
    every descriptor it handed out.
    """
    args: list[Any] = []
    offset = 0
    try:
        for letter in signature:
            if letter in "unoO":
                args.append(_U32.unpack_from(body, offset)[0])
                offset += 4
            elif letter == "i":
                args.append(_I32.unpack_from(body, offset)[0])
                offset += 4
            elif letter == "f":
                args.append(_I32.unpack_from(body, offset)[0] / 256)
                offset += 4
            elif letter in "sS":
                data, offset = _block(body, offset)
                if data is None and letter == "s":
                    raise WireError("a string is missing", operation="decode")
                if data is not None and data[-1]:
                    raise WireError("a string does not end", operation="decode")
                args.append(None if data is None else data[:-1].decode("utf-8", "replace"))
            elif letter == "a":
                data, offset = _block(body, offset)
                args.append(data or b"")
            elif letter == "h":
                fd = take_fd()
                if fd is None:
                    raise WireError("a file descriptor is missing", operation="decode")
                args.append(fd)
            else:
                raise WireError(f"unknown signature {signature!r}", operation="decode")
    except struct.error as error:
        raise WireError("a message is too short", operation="decode") from error
    if offset != len(body):
        raise WireError("a message is too long", operation="decode")
    return args
