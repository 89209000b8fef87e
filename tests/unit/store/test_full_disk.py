"""A pool that runs full, for real: PoolFull, nothing half-made, and it goes on after."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tcvs_core.errors import TcvsError
from tcvs_core.ids import BranchName, ImageName, new_state_id
from tcvs_core.model import State
from tcvs_core.store.atomic import PoolFull
from tcvs_core.store.files import Files
from tcvs_core.store.history import History
from tcvs_core.store.journal import Journal
from tcvs_core.store.memory import MemoryStore
from tcvs_core.store.objects import ObjectStore
from tcvs_core.store.pool import Pool

pytestmark = pytest.mark.live

MAIN = BranchName("main")


@pytest.fixture
def full(pool: Pool) -> Iterator[Callable[[], None]]:
    """Fill the pool to the last block when called."""

    def fill() -> None:
        for size in (1 << 20, 4096):
            with (
                contextlib.suppress(OSError),
                open(pool.br / f"filler-{size}", "wb", buffering=0) as file,
            ):
                while True:
                    file.write(os.urandom(size))
                    os.fsync(file.fileno())

    yield fill
    for filler in pool.br.glob("filler-*"):
        filler.unlink()


def _memory(pool: Pool) -> MemoryStore:
    return MemoryStore(ObjectStore(pool.store / "objects"), pool.store / "manifests")


def test_a_memory_image_that_does_not_fit(
    pool: Pool, full: Callable[[], None], tmp_path: Path
) -> None:
    source = tmp_path / "pages"
    source.write_bytes(os.urandom(8 << 20))
    memory = _memory(pool)
    kept = new_state_id()
    writer = memory.writer(kept)
    writer.add_file("pages", source)
    writer.commit()
    full()
    source.write_bytes(os.urandom(96 << 20))
    lost = new_state_id()

    def write() -> None:
        with memory.writer(lost) as writer:
            writer.add_file("pages", source)
            writer.commit()

    with pytest.raises(PoolFull) as caught:
        write()
    assert "free" in (caught.value.hint or "")
    assert memory.states() == [kept]
    names = os.listdir(pool.store / "objects" / "packs") + os.listdir(pool.store / "manifests")
    assert [name for name in names if name.startswith(".tmp")] == []
    assert memory.verify(kept) == 8 << 20
    for filler in pool.br.glob("filler-*"):
        filler.unlink()
    write()
    assert _memory(pool).verify(lost) == 96 << 20
    # Open packs would keep the pool busy.
    memory._objects.close()


def test_history_and_journal_on_a_full_disk(
    pool: Pool, full: Callable[[], None], make_state: Callable[..., State]
) -> None:
    """Small writes may still fit; what fails, fails as PoolFull, and what is told done is done."""
    journal = Journal(pool.store / "journal")
    with History.create(pool.store / "git") as history:
        tip = history.commit(make_state(), [], "first")
        history.set_branch(MAIN, tip, None)
        full()
        refused = 0
        for number in range(400):
            try:
                state = make_state(action=os.urandom(40_000).hex())
                new = history.commit(state, [tip], f"number {number}")
                history.set_branch(MAIN, new, tip, "commit")
                tip = new
                journal.put(new_state_id(), {"filler": os.urandom(100_000)})
            except PoolFull:
                refused += 1
                if refused == 3:
                    break
        assert refused
        assert history.branches() == {"main": tip}
    with History.open(pool.store / "git") as again:
        assert again.branches() == {"main": tip}
        assert all(commit.state for commit in again.walk([tip]))
    assert Journal(pool.store / "journal").damaged == []


def test_an_image_that_does_not_fit(pool: Pool) -> None:
    files = Files(pool)

    def build() -> None:
        with (
            files.new_image(ImageName("big"), {}) as root,
            open(root / "file", "wb", buffering=0) as file,
        ):
            while True:
                file.write(os.urandom(1 << 20))

    with pytest.raises((OSError, TcvsError)):
        build()
    assert files.images() == []
    assert os.listdir(pool.base) == []
