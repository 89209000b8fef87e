"""Putting a victim into a desktop, and talking to it."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from livekit import victim

T = TypeVar("T")
_HOME = "home/user"
PROGRAM = f"/{_HOME}/victim.py"
SOCKET = f"/{_HOME}/victim.sock"
COMMAND = ["python3", PROGRAM, SOCKET]


def until(condition: Callable[[], T], timeout: float = 10.0, what: str = "it") -> T:
    """Wait at most ``timeout`` seconds for ``condition``; return what is true of it."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not happen within {timeout:g} s"
        time.sleep(0.02)
    return value


def lay_victim(root: Path) -> None:
    """Copy the program into the files of a branch (``root`` is its directory on the host)."""
    target = root / PROGRAM.lstrip("/")
    target.write_bytes(Path(victim.__file__).read_bytes())
    os.chown(target, 1000, 1000)


def ask(pid: int, timeout: float = 5.0, **request: Any) -> dict[str, Any]:
    """Ask the victim of the desktop whose pid 1 is host process ``pid``."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(timeout)
        sock.connect(f"/proc/{pid}/root{SOCKET}")
        with sock.makefile("rw") as stream:
            stream.write(json.dumps(request) + "\n")
            stream.flush()
            answer: dict[str, Any] = json.loads(stream.readline())
            return answer


def answers(pid: int) -> bool:
    """Whether the victim takes requests yet."""
    try:
        ask(pid)
    except OSError:
        return False
    return True


def await_victim(pid: int) -> None:
    """Wait until the victim has begun and its clock runs."""
    until(lambda: answers(pid), what="an answer of the victim")
    until(lambda: ask(pid)["echoes"] > 1, what="an echo")
