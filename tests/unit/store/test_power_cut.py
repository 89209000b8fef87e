"""What is told durable is there after a power cut.

A pool whose image lies on another btrfs: a reflink of the image file at any moment is what its
disk would hold had the power failed then.  The same without the syncs does lose data, or this
would prove nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tcvs_core.ids import BranchName, CommitId, ImageName, StateId, new_state_id
from tcvs_core.linux import btrfs
from tcvs_core.model import State
from tcvs_core.store.files import Files
from tcvs_core.store.history import History
from tcvs_core.store.journal import Journal
from tcvs_core.store.memory import MemoryStore
from tcvs_core.store.objects import ObjectStore
from tcvs_core.store.pool import Pool

pytestmark = pytest.mark.live

MAIN = BranchName("main")
ROUNDS = 4


def _cut(inner: Pool, target: Path) -> None:
    """Keep what the disk of ``inner`` holds at this moment."""
    with open(inner.path / "pool.img", "rb") as old, open(target, "wb") as new:
        btrfs.reflink(old.fileno(), new.fileno())


def _as_after_the_cut(inner: Pool, image: Path) -> Pool:
    inner.unmount()
    os.rename(image, inner.path / "pool.img")
    return Pool.open(inner.path)


def test_what_is_durable_survives(
    pool: Pool, tmp_path: Path, make_state: Callable[..., State]
) -> None:
    inner = Pool.create(pool.br / "inner", 200 << 20)
    told: list[tuple[StateId, CommitId]] = []
    try:
        files = Files(inner)
        with files.new_image(ImageName("mini"), {}) as root:
            (root / "file").write_text("x")
        files.create_branch_from_image(ImageName("mini"), MAIN)
        objects = ObjectStore(inner.store / "objects")
        memory = MemoryStore(objects, inner.store / "manifests")
        journal = Journal(inner.store / "journal")
        history = History.create(inner.store / "git")
        pages = tmp_path / "pages"
        for number in range(ROUNDS):
            state = new_state_id()
            (files.branch_path(MAIN) / "file").write_text(state)
            files.snapshot_branch(MAIN, state)
            journal.put(state, {"number": number})
            pages.write_bytes(os.urandom(300_000))
            writer = memory.writer(state)
            writer.add_file("pages", pages)
            writer.commit()
            parent = told[-1][1] if told else None
            commit = history.commit(make_state(state=state), [parent] if parent else [], "m")
            history.set_branch(MAIN, commit, parent, "commit")
            told.append((state, commit))
            _cut(inner, pool.br / f"cut-{number}")
        history.close()
        objects.close()
        for number in range(ROUNDS):
            inner = _as_after_the_cut(inner, pool.br / f"cut-{number}")
            files = Files(inner)
            objects = ObjectStore(inner.store / "objects")
            memory = MemoryStore(objects, inner.store / "manifests")
            with History.open(inner.store / "git") as history:
                assert history.branches() == {"main": told[number][1]}
                assert [c.state.state for c in history.walk([told[number][1]])] == [
                    state for state, _ in reversed(told[: number + 1])
                ]
                assert len(history.reflog(MAIN)) == number + 1
            assert sorted(files.states()) == sorted(state for state, _ in told[: number + 1])
            for state, _ in told[: number + 1]:
                assert (files.snap_path(state) / "file").read_text() == state
                assert memory.verify(state) == 300_000
            assert len(Journal(inner.store / "journal").entries()) == number + 1
            objects.close()
    finally:
        inner.unmount()
        shutil.rmtree(inner.path)


def test_the_method_sees_what_was_not_synced(pool: Pool) -> None:
    inner = Pool.create(pool.br / "inner", 200 << 20)
    try:
        (inner.store / "unsynced").write_text("x")
        _cut(inner, pool.br / "cut")
        inner = _as_after_the_cut(inner, pool.br / "cut")
        assert not (inner.store / "unsynced").exists()
    finally:
        inner.unmount()
        shutil.rmtree(inner.path)
