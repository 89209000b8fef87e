"""The diff from the send stream is what a walk of both trees finds, whatever has happened."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from history_trees import Step, btrfs, grow, happen, steps
from hypothesis import HealthCheck, example, given, settings

from tcvs_core.history.changes import changes, walk_changes
from tcvs_core.linux.btrfs import create_subvolume, delete_subvolume, send_changes, snapshot
from tcvs_core.model import Change

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="btrfs snapshots and loop devices need root"),
]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with btrfs(tmp_path_factory.mktemp("btrfs")) as point:
        yield point


_number = itertools.count()


@given(before=steps, after=steps)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@example(before=[], after=[("rename", 0, 1, 2), ("patch", 3, 0, 1), ("delete", 4, 0, 0)])
def test_stream_equals_walk(pool: Path, before: list[Step], after: list[Step]) -> None:
    def prepare(root: Path) -> None:
        grow(root)
        happen(root, before)

    _check(pool, prepare, lambda root: happen(root, after))


def _check(
    pool: Path, prepare: Callable[[Path], None], change: Callable[[Path], None]
) -> list[Change]:
    number = next(_number)
    live, old, new = (pool / f"{name}{number}" for name in ("live", "old", "new"))
    made: list[Path] = []
    try:
        create_subvolume(live)
        made.append(live)
        prepare(live)
        snapshot(live, old, read_only=True)
        made.append(old)
        change(live)
        snapshot(live, new, read_only=True)
        made.append(new)
        found = changes(send_changes(new, old), old, new)
        assert found == walk_changes(old, new)
        return found
    finally:
        for path in made:
            delete_subvolume(path)


def _show(found: list[Change]) -> list[str]:
    return [f"{c.kind} {c.old_path + ' -> ' if c.old_path else ''}{c.path} {c.type}" for c in found]


#: What is there before, what happens (shell), and what the diff says.
SCENARIOS = {
    "save as editors do": (
        "echo 1 > f",
        "echo 2 > f.tmp; mv f.tmp f",
        ["modified f file"],
    ),
    "the same contents anew, and a touch": (
        "echo 1 > f; echo 2 > g; mkdir d",
        "echo 1 > f.tmp; mv f.tmp f; touch -d 2001-01-01 g d; echo 2 > g",
        [],
    ),
    "a renamed directory is one record, what is in it keeps its place": (
        "mkdir -p d/e; echo 1 > d/a; echo 2 > d/e/b; echo 3 > d/c",
        "mv d D; echo x > D/new; rm D/c; echo y >> D/e/b; echo 1 > t; mv t D/a",
        [
            "renamed d -> D dir",
            "modified D/e/b file",
            "added D/new file",
            "deleted d/c file",
        ],
    ),
    "in and out of a renamed directory": (
        "mkdir d; echo 1 > d/a; echo 2 > b",
        "mv d D; mv D/a a; mv b D/b",
        ["renamed d -> D dir", "renamed b -> D/b file", "renamed d/a -> a file"],
    ),
    "a directory made anew in a renamed one": (
        "mkdir -p d/e; echo 1 > d/e/a; echo 2 > d/e/b",
        "mv d D; rm -r D/e; mkdir D/e; echo 1 > D/e/a; mkdir D/e/s",
        ["renamed d -> D dir", "added D/e/s dir", "deleted d/e/b file"],
    ),
    "another directory in the place of one that moved out of a renamed one": (
        "mkdir -p d/e f; echo 1 > d/e/a; echo 2 > f/b",
        "mv d D; mv D/e away; mv f D/e",
        ["renamed d -> D dir", "renamed f -> D/e dir", "renamed d/e -> away dir"],
    ),
    "another directory in the place of one deleted from a renamed one": (
        "mkdir -p d/e f; echo 1 > d/e/a; echo 2 > f/b",
        "mv d D; rm -r D/e; mv f D/e",
        ["renamed d -> D dir", "renamed f -> D/e dir", "deleted d/e dir", "deleted d/e/a file"],
    ),
    "a file in the place of a directory of a renamed one, and the other way round": (
        "mkdir -p d/e; echo 1 > d/e/a; echo 2 > d/f",
        "mv d D; rm -r D/e; echo 3 > D/e; rm D/f; mkdir D/f; echo 4 > D/f/x",
        [
            "renamed d -> D dir",
            "typechange D/e file",
            "typechange D/f dir",
            "added D/f/x file",
            "deleted d/e/a file",
        ],
    ),
    "parent and child change places": (
        "mkdir -p a/b; echo 1 > a/x; echo 2 > a/b/y",
        "mv a/b t; mv a t/a; mv t b",
        ["renamed a/b -> b dir", "renamed a -> b/a dir"],
    ),
    "two directories swap": (
        "mkdir a b; echo 1 > a/x; echo 2 > b/y; echo 3 > a/z; echo 4 > b/z",
        "mv a t; mv b a; mv t b",
        [
            "renamed b/y -> a/y file",
            "modified a/z file",
            "renamed a/x -> b/x file",
            "modified b/z file",
        ],
    ),
    "moved away and made anew": (
        "mkdir d; echo 1 > d/x; echo 2 > log",
        "mv d d.old; mkdir d; mv log log.1; : > log",
        ["added d.old dir", "renamed d/x -> d.old/x file", "modified log file", "added log.1 file"],
    ),
    "written through one of several hard links": (
        "mkdir d; echo 1 > a; ln a d/b; ln a c",
        "echo 2 >> a; mv d D; chmod 600 c",
        ["renamed d -> D dir", "modified D/b file", "modified a file", "modified c file"],
    ),
    "hard links come and go": (
        "echo 1 > a; ln a b; echo 2 > c",
        "rm a; ln b d; ln c e",
        ["renamed a -> d file", "added e file"],
    ),
    "metadata": (
        "echo 1 > f; mkdir d; ln -s t s; echo 2 > g",
        "chmod 4755 f; chown 1000 d; chown -h 1000 s; mv g h; chmod 600 h; chmod 700 .",
        [
            "metadata . dir",
            "metadata d dir",
            "metadata f file",
            "renamed g -> h file",
            "metadata h file",
            "metadata s symlink",
        ],
    ),
    "types": (
        "mkdir d; echo 1 > d/x; ln -s t s; mkfifo p; mknod n c 1 3",
        "rm -r d; ln -s t d; rm s; mkdir s; rm p; echo > p; rm n; mknod n c 1 5",
        [
            "typechange d symlink",
            "deleted d/x file",
            "modified n char",
            "typechange p file",
            "typechange s dir",
        ],
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(pool: Path, name: str) -> None:
    before, after, expected = SCENARIOS[name]

    def shell(script: str) -> Callable[[Path], None]:
        return lambda root: subprocess.run(["sh", "-ec", script], cwd=root, check=True) and None

    assert _show(_check(pool, shell(before), shell(after))) == expected
