"""Merges of random trees: nothing is lost, disjoint changes arrive, failures leave no trace."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from history_trees import Step, btrfs, grow, happen, steps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcvs_core import faults
from tcvs_core.history import MergePlan, apply, changes, plan, recover, walk_changes
from tcvs_core.linux.btrfs import create_subvolume, delete_subvolume, send_changes, snapshot
from tcvs_core.model import Change

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="btrfs snapshots and loop devices need root"),
]
slow = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with btrfs(tmp_path_factory.mktemp("btrfs")) as point:
        yield point


@dataclass
class Case:
    base: Path
    ours: Path
    theirs: Path
    live: Path

    def plan(self) -> MergePlan:
        return plan(
            self.base,
            self.ours,
            self.theirs,
            changes(send_changes(self.ours, self.base), self.base, self.ours),
            changes(send_changes(self.theirs, self.base), self.base, self.theirs),
            ours_name="main",
            theirs_name="b",
        )


_number = itertools.count()


@contextlib.contextmanager
def case(
    pool: Path, before: list[Step], ours: list[Step], theirs: list[Step], where: tuple[str, str]
) -> Iterator[Case]:
    """Three snapshots and the live tree of ours; steps happen beneath ``where`` of each side."""
    directory = pool / f"case{next(_number)}"
    directory.mkdir()
    made: list[Path] = []

    def keep(source: Path | None, name: str, read_only: bool = True) -> Path:
        path = directory / name
        if source is None:
            create_subvolume(path)
        else:
            snapshot(source, path, read_only=read_only)
        made.append(path)
        return path

    try:
        root = keep(None, "root")
        for name in ("left", "right"):
            (root / name).mkdir()
            grow(root / name)
            happen(root / name, before)
        base = keep(root, "base")
        live, other = keep(base, "live", False), keep(base, "other", False)
        happen(live / where[0], ours)
        happen(other / where[1], theirs)
        yield Case(base, keep(live, "ours"), keep(other, "theirs"), live)
    finally:
        for path in made:
            delete_subvolume(path)
        directory.rmdir()


def contents(root: Path) -> dict[str, bytes]:
    """What every file and symlink beneath ``root`` holds, by path."""
    found = {}
    for where, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(where, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode):
                found[os.path.relpath(path, root)] = Path(path).read_bytes()
            elif stat.S_ISLNK(mode):
                found[os.path.relpath(path, root)] = os.fsencode(os.readlink(path))
    return found


def listing(root: Path) -> list[tuple[object, ...]]:
    """Everything that a failed merge must leave as it was."""
    found: list[tuple[object, ...]] = []
    for where, names, files in os.walk(root):
        for name in sorted(names + files):
            path = os.path.join(where, name)
            s = os.lstat(path)
            attributes = {
                k: os.getxattr(path, k, follow_symlinks=False)
                for k in os.listxattr(path, follow_symlinks=False)
            }
            mtime = None if stat.S_ISDIR(s.st_mode) else s.st_mtime_ns
            found.append(
                (
                    os.path.relpath(path, root),
                    s.st_ino,
                    s.st_mode,
                    s.st_uid,
                    s.st_gid,
                    s.st_size,
                    s.st_nlink,
                    mtime,
                    attributes,
                )
            )
    return sorted(found, key=lambda entry: os.fsencode(str(entry[0])))


@given(before=steps, theirs=steps)
@slow
def test_ours_unchanged_becomes_theirs(pool: Path, before: list[Step], theirs: list[Step]) -> None:
    with case(pool, before, [], theirs, ("left", "left")) as c:
        merge = c.plan()
        assert merge.conflicts == []
        apply(merge, c.live)
        assert _but_renames(walk_changes(c.theirs, c.live)) == []


def _but_renames(found: list[Change]) -> list[Change]:
    return [change for change in found if change.kind != "renamed"]


@given(before=steps, ours=steps)
@slow
def test_theirs_unchanged_does_nothing(pool: Path, before: list[Step], ours: list[Step]) -> None:
    with case(pool, before, ours, [], ("left", "left")) as c:
        assert c.plan().empty


@given(before=steps, both=steps)
@slow
def test_the_same_on_both_sides_does_nothing_to_files(
    pool: Path, before: list[Step], both: list[Step]
) -> None:
    with case(pool, before, both, both, ("left", "left")) as c:
        merge = c.plan()
        assert merge.conflicts == []
        apply(merge, c.live)
        assert _but_renames(walk_changes(c.theirs, c.live)) == []


@given(before=steps, ours=steps, theirs=steps)
@slow
def test_disjoint_changes_both_arrive(
    pool: Path, before: list[Step], ours: list[Step], theirs: list[Step]
) -> None:
    with case(pool, before, ours, theirs, ("left", "right")) as c:
        merge = c.plan()
        assert merge.conflicts == []
        apply(merge, c.live)
        assert _but_renames(walk_changes(c.ours / "left", c.live / "left")) == []
        assert _but_renames(walk_changes(c.theirs / "right", c.live / "right")) == []


@given(before=steps, ours=steps, theirs=steps)
@settings(slow, max_examples=150)
def test_no_version_is_lost(
    pool: Path, before: list[Step], ours: list[Step], theirs: list[Step]
) -> None:
    with case(pool, before, ours, theirs, ("left", "left")) as c:
        merge = c.plan()
        apply(merge, c.live, conflicts="markers")
        before_all = set(contents(c.base).values())
        result = set(contents(c.live).values())
        merged = {a.source for a in merge.actions if a.data is not None}
        told = {x.theirs for x in merge.conflicts} | merged
        for path, data in contents(c.theirs).items():
            assert not data or data in result or data in before_all or path in told, path
        changed = {a.path for a in merge.actions if a.data is not None}
        told = {x.ours for x in merge.conflicts} | changed
        for path, data in contents(c.ours).items():
            assert not data or data in result or data in before_all or path in told, path
        for conflict in merge.conflicts:  # with markers or as it was
            if conflict.ours is None:
                continue
            data = contents(c.ours).get(conflict.ours)
            if conflict.marked is not None:
                assert conflict.marked in result
            elif data is not None:
                assert data in result
        assert not [name for name in os.listdir(c.live) if name.startswith(".tcvs-")]


@given(before=steps, ours=steps, theirs=steps, at=st.integers(0, 30), crash=st.booleans())
@settings(slow, max_examples=80)
def test_a_failure_leaves_the_target_as_it_was(
    pool: Path, before: list[Step], ours: list[Step], theirs: list[Step], at: int, crash: bool
) -> None:
    with case(pool, before, ours, theirs, ("left", "left")) as c:
        merge = c.plan()
        was = listing(c.live)
        faults.arm(faults.Fault.MERGE_APPLYING, "kill" if crash else "error", skip=at)
        try:
            if crash:
                child = os.fork()
                if child == 0:
                    with contextlib.suppress(BaseException):
                        apply(merge, c.live, conflicts="markers")
                    os._exit(0)
                _, status = os.waitpid(child, 0)
                failed = os.WIFSIGNALED(status)
                assert recover(c.live) == int(failed)
            else:
                failed = False
                try:
                    apply(merge, c.live, conflicts="markers")
                except faults.FaultInjected:
                    failed = True
        finally:
            faults.disarm()
        if failed:
            assert listing(c.live) == was
        assert recover(c.live) == 0
        assert not [name for name in os.listdir(c.live) if name.startswith(".tcvs-")]
