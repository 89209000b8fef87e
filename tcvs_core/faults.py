"""Named points at which a test may make the product fail or die.

Product code calls ``hit(Fault.X)``; nothing happens unless a test has armed that point with
``arm``.  The keeper arms points that its command line names (``--fault NAME=kill|error[:N]``), so
that the tests can kill the real thing at every step and check what is left.
"""

from __future__ import annotations

import enum
import os
import signal


class Fault(enum.Enum):
    """Where.  The value is the name on the command line."""

    FORK_BEFORE_CAPTURE = "fork.before-capture"
    FORK_FROZEN = "fork.frozen"
    FORK_AFTER_CAPTURE = "fork.after-capture"
    FORK_RESTORED = "fork.restored"
    COMMIT_FROZEN = "commit.frozen"
    COMMIT_JOURNALED = "commit.journaled"
    COMMIT_PACKED = "commit.packed"
    COMMIT_MANIFEST = "commit.manifest"
    COMMIT_OBJECT = "commit.object"
    COMMIT_REF = "commit.ref"
    ROLLBACK_SAVED = "rollback.saved"
    ROLLBACK_STOPPED = "rollback.stopped"
    MERGE_STAGED = "merge.staged"
    MERGE_APPLYING = "merge.applying"
    IMAGE_BUILT = "image.built"


class FaultInjected(Exception):
    """Raised at a point armed with ``error``; never caught by name in product code."""


_armed: dict[Fault, tuple[str, int]] = {}


def arm(point: Fault, action: str = "kill", *, skip: int = 0) -> None:
    """Make ``point`` fail at its next hit after ``skip`` hits: ``kill`` is SIGKILL of us."""
    if action not in ("kill", "error"):
        raise ValueError(f"unknown fault action: {action!r}")
    _armed[point] = (action, skip)


def disarm() -> None:
    """Forget every armed point."""
    _armed.clear()


def parse(spec: str) -> tuple[Fault, str, int]:
    """Parse ``NAME=kill|error[:SKIP]``.  Raises ValueError."""
    name, _, action = spec.partition("=")
    action, _, skip = action.partition(":")
    return Fault(name), action or "kill", int(skip or 0)


def hit(point: Fault) -> None:
    """Do nothing, unless ``point`` is armed."""
    if not _armed or point not in _armed:
        return
    action, skip = _armed[point]
    if skip:
        _armed[point] = (action, skip - 1)
        return
    del _armed[point]
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise FaultInjected(point.value)
