"""What the tests of the store share: a small real pool, states, and a way to die at every step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tcvs_core.ids import BranchName, CommitId
from tcvs_core.model import Author, State
from tcvs_core.store.history import History
from tcvs_core.store.pool import Pool

POOL_BYTES = 320 << 20


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    """A small pool of its own, unmounted afterwards whatever happens."""
    made = Pool.create(tmp_path / "repo", POOL_BYTES)
    yield made
    made.unmount()


@pytest.fixture
def make_state() -> Callable[..., State]:
    """Make a State; each call is a second later than the one before."""
    count = 0

    def make(**fields: object) -> State:
        nonlocal count
        count += 1
        values: dict[str, object] = {
            "state": f"20260101T000000-{count:012x}",
            "branch": "main",
            "kind": "commit",
            "image": "mini",
            "created": 1_700_000_000.0 + count,
            "author": Author("Ann Example", "ann@example.org"),
        }
        return State(**(values | fields))  # type: ignore[arg-type]

    return make


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    """An empty history, closed afterwards."""
    made = History.create(tmp_path / "git")
    yield made
    made.close()


@pytest.fixture
def chain(history: History, make_state: Callable[..., State]) -> Callable[..., list[CommitId]]:
    """Make ``count`` commits, each the child of the one before, and move a branch along."""

    def make(count: int, branch: str = "main") -> list[CommitId]:
        ids: list[CommitId] = []
        for number in range(count):
            parents = ids[-1:]
            ids.append(history.commit(make_state(), parents, f"number {number}"))
            old = parents[0] if parents else None
            history.set_branch(BranchName(branch), ids[-1], old, f"commit: number {number}")
        return ids

    return make


#: Whatever changes what is on disk.
_STEPS = (
    "open",
    "write",
    "pwrite",
    "fsync",
    "rename",
    "replace",
    "unlink",
    "remove",
    "mkdir",
    "ftruncate",
    "symlink",
)


@pytest.fixture
def die_at_each_step() -> Callable[[Callable[[], None], Callable[[int], None]], int]:
    """Run ``action`` in a child that dies before its N-th step, for every N, then ``check(N)``.

    Returns how many steps there were.  The last run dies at none.
    """

    def run(action: Callable[[], None], check: Callable[[int], None]) -> int:
        for limit in range(1, 1000):
            status = _in_child(action, limit)
            check(limit)
            if status == 0:
                return limit - 1
            assert status == _DIED, f"the action failed by itself, status {status}"
        raise AssertionError("no end of steps")

    return run


_DIED = 77


def _in_child(action: Callable[[], None], limit: int) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _arm(limit)
            action()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _arm(limit: int) -> None:
    seen = 0

    def wrap(real: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object, **kwargs: object) -> object:
            nonlocal seen
            seen += 1
            if seen == limit:
                os._exit(_DIED)
            return real(*args, **kwargs)

        return step

    for name in _STEPS:
        setattr(os, name, wrap(getattr(os, name)))
