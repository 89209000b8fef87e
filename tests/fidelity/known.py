"""The rows of the inventory, and what each engine is known not to carry.

The rows are read from the C sources beside this file.  ``docs/fidelity.md`` holds ``table()``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SOURCES = sorted(Path(__file__).parent.glob("*.c"))
_ROW = re.compile(r"^(?:VICTIM|WAIT)\(\w+,\s*\"([\w-]+)\"", re.MULTILINE)


@dataclass(frozen=True)
class Lost:
    """What becomes of a row, and why.

    ``refused``: no branch comes into being while it is there.  Else the sides that notice the fork.
    """

    where: Literal["refused", "source", "branch", "both"]
    reason: str


#: Strict: a row named here that passes is a failure of the test as well.
KNOWN: dict[tuple[str, str], Lost] = {
    ("criu", "cpu-affinity"): Lost("branch", "CRIU does not save the set of processors"),
    ("criu", "io-priority"): Lost("branch", "CRIU does not save it"),
    ("criu", "timer-slack"): Lost("branch", "CRIU does not save it"),
    ("criu", "personality"): Lost("branch", "CRIU does not save it"),
    ("criu", "eventfd-semaphore"): Lost("branch", "EFD_SEMAPHORE is lost: a read takes all"),
    ("criu", "inotify-queued"): Lost("branch", "queued events are dropped; watches are kept"),
    ("criu", "file-directory"): Lost("branch", "F_GETFL no longer tells O_DIRECTORY"),
    ("criu", "file-tmpfile"): Lost("branch", "F_GETFL no longer tells O_TMPFILE; content is kept"),
    ("criu", "sysv-sem-undo"): Lost("branch", "SEM_UNDO of before the fork is forgotten"),
    ("criu", "posix-mq"): Lost("refused", "a message queue is no file that CRIU can find"),
    ("criu", "tcp-half-closed"): Lost("branch", "in the open direction the first data takes 3 s"),
    ("criu", "tcp-not-accepted"): Lost("refused", "CRIU does not save connections in flight"),
    ("criu", "udp-queued"): Lost("branch", "queued datagrams are dropped"),
    ("criu", "pipe-packets"): Lost("refused", "CRIU does not save pipes with O_DIRECT"),
    ("criu", "socket-passcred-queued"): Lost("refused", "data queued with SCM_CREDENTIALS"),
    ("criu", "unix-peercred"): Lost("branch", "SO_PEERCRED tells a process of the restore, root"),
    ("criu", "unix-peer-name"): Lost("branch", "getpeername of a client gives no name"),
    ("criu", "unix-not-accepted-queued"): Lost("refused", "data on a connection in flight"),
    ("criu", "stopped"): Lost("branch", "stopped anew: its parent gets a SIGCHLD"),
    ("criu", "session-dead-leader-subreaper"): Lost(
        "refused", "the restore finds no leader, unless the orphan is a child of pid 1"
    ),
    **{
        ("criu", f"wait-{call}"): Lost("both", "the wait ends with EINTR")
        for call in (
            "poll",
            "poll-limit",
            "epoll",
            "epoll-limit",
            "futex-limit",
            "signal",
            "signal-limit",
            "semop",
            "nanosleep",
        )
    },
}


def by_source() -> dict[str, list[str]]:
    """Return the rows by the stem of the source file that has them."""
    found = {path.stem: _ROW.findall(path.read_text()) for path in SOURCES}
    return {stem: rows for stem, rows in found.items() if rows}


def rows() -> list[str]:
    """Return all rows."""
    return [row for found in by_source().values() for row in found]


def refused(engine: str) -> list[str]:
    """Return the rows with which ``engine`` makes no branch."""
    return [r for (e, r), lost in KNOWN.items() if e == engine and lost.where == "refused"]


def _answer(row: str) -> str:
    lost = KNOWN.get(("criu", row))
    if lost is None:
        return "yes"
    places = {
        "refused": "no branch",
        "source": "not in the source",
        "branch": "not in the branch",
        "both": "not on either side",
    }
    return f"no ({places[lost.where]}): {lost.reason}"


def table() -> str:
    """Return the table of the documentation."""
    lines = ["| row | in | criu | native |", "|---|---|---|---|"]
    for stem, found in by_source().items():
        lines += [f"| {row} | {stem}.c | {_answer(row)} | not there yet |" for row in found]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
