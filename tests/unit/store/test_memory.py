from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tcvs_core import faults
from tcvs_core.errors import TcvsError, UsageError
from tcvs_core.ids import StateId, new_state_id
from tcvs_core.store.memory import MemoryCorrupt, MemoryMissing, MemoryStore
from tcvs_core.store.objects import ObjectStore

CHUNK = 64 << 10


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return _reopened(tmp_path)


def _reopened(tmp_path: Path) -> MemoryStore:
    return MemoryStore(ObjectStore(tmp_path / "objects"), tmp_path / "manifests")


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    """Files with edges: empty, short, exact chunks, holes, long, last chunk of zeros."""
    rng = random.Random(7)
    contents = {
        "empty": b"",
        "short": b"abc",
        "exact": rng.randbytes(CHUNK * 2),
        "zeros": bytes(CHUNK * 3 + 17),
        "pages-1.img": rng.randbytes(CHUNK * 70) + bytes(CHUNK * 40) + rng.randbytes(5),
        "zero-end": rng.randbytes(CHUNK) + bytes(100),
        "name with ü": b"x" * 100,
    }
    directory = tmp_path / "images"
    directory.mkdir()
    for name, data in contents.items():
        (directory / name).write_bytes(data)
    return {name: directory / name for name in contents}


def _write(store: MemoryStore, images: dict[str, Path]) -> tuple[StateId, dict[str, float]]:
    state = new_state_id()
    writer = store.writer(state)
    for name, path in images.items():
        writer.add_file(name, path)
    return state, writer.commit()


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    faults.disarm()


def _same(images: dict[str, Path], directory: Path) -> bool:
    return sorted(os.listdir(directory)) == sorted(images) and all(
        (directory / name).read_bytes() == path.read_bytes() for name, path in images.items()
    )


def test_an_image_comes_back_as_it_was(
    store: MemoryStore, images: dict[str, Path], tmp_path: Path
) -> None:
    state, result = _write(store, images)
    assert result["bytes"] == sum(path.stat().st_size for path in images.values())
    assert result["chunks"] == 0 + 1 + 2 + 4 + 111 + 2 + 1
    assert result["new_chunks"] == 1 + 2 + 0 + 71 + 1 + 1
    again = _reopened(tmp_path)
    assert again.has(state)
    assert again.states() == [state]
    assert again.files(state) == {name: path.stat().st_size for name, path in images.items()}
    target = tmp_path / "back"
    target.mkdir()
    told: list[float] = []
    again.restore(state, target, lambda stage, fraction, detail: told.append(fraction))
    assert _same(images, target)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert again.verify(state) == result["bytes"]


def test_restored_zeros_take_no_room(
    store: MemoryStore, images: dict[str, Path], tmp_path: Path
) -> None:
    state, _ = _write(store, images)
    target = tmp_path / "back"
    target.mkdir()
    store.restore(state, target)
    assert (target / "zeros").stat().st_blocks == 0


def test_a_similar_image_costs_only_what_changed(
    store: MemoryStore, images: dict[str, Path]
) -> None:
    _write(store, images)
    _, same = _write(store, images)
    assert same["new_chunks"] == 0
    assert same["stored"] < 10_000
    raw = bytearray(images["pages-1.img"].read_bytes())
    raw[CHUNK * 9 + 5] ^= 1
    images["pages-1.img"].write_bytes(raw)
    _, changed = _write(store, images)
    assert changed["new_chunks"] == 1


def test_progress_goes_up_to_one(store: MemoryStore, images: dict[str, Path]) -> None:
    told: list[float] = []
    writer = store.writer(new_state_id())
    writer.add_file(
        "pages-1.img", images["pages-1.img"], lambda stage, part, detail: told.append(part)
    )
    writer.abort()
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_an_aborted_image_leaves_nothing(
    store: MemoryStore, images: dict[str, Path], tmp_path: Path
) -> None:
    state = new_state_id()
    with store.writer(state) as writer:
        writer.add_file("exact", images["exact"])
    assert not store.has(state)
    assert list((tmp_path / "objects" / "packs").iterdir()) == []
    assert list((tmp_path / "manifests").iterdir()) == []


def test_a_state_has_one_image(store: MemoryStore, images: dict[str, Path]) -> None:
    state, _ = _write(store, images)
    with pytest.raises(UsageError, match="already"):
        store.writer(state)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "nul\0"])
def test_names_that_lead_elsewhere_are_refused(
    store: MemoryStore, images: dict[str, Path], name: str
) -> None:
    with store.writer(new_state_id()) as writer, pytest.raises(UsageError):
        writer.add_file(name, images["short"])


def test_a_name_is_taken_once(store: MemoryStore, images: dict[str, Path]) -> None:
    with store.writer(new_state_id()) as writer:
        writer.add_file("one", images["short"])
        with pytest.raises(UsageError):
            writer.add_file("one", images["exact"])


def test_a_missing_image_is_told(store: MemoryStore, tmp_path: Path) -> None:
    state = new_state_id()
    for ask in (store.files, store.verify, store.delete, lambda s: store.restore(s, tmp_path)):
        with pytest.raises(MemoryMissing) as caught:
            ask(state)
        assert caught.value.subject == state
        assert caught.value.exit_status == 2


def _damage(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def test_a_damaged_chunk_names_state_and_object_and_nothing_half_restored_stays(
    store: MemoryStore, images: dict[str, Path], tmp_path: Path
) -> None:
    state, _ = _write(store, images)
    (pack,) = (tmp_path / "objects" / "packs").iterdir()
    _damage(pack, pack.stat().st_size // 2)
    target = tmp_path / "back"
    target.mkdir()
    with pytest.raises(MemoryCorrupt) as caught:
        store.restore(state, target)
    assert caught.value.subject == state
    assert str(pack) in str(caught.value)
    assert caught.value.details["file"] == str(pack)
    assert len(caught.value.details["object"]) == 64
    assert os.listdir(target) == []
    with pytest.raises(MemoryCorrupt):
        _reopened(tmp_path).verify(state)


def test_any_damage_of_a_manifest_is_told(store: MemoryStore, tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"data")
    state, _ = _write(store, {"file": source})
    (path,) = (tmp_path / "manifests").iterdir()
    good = path.read_bytes()
    for at in range(len(good)):
        _damage(path, at)
        with pytest.raises(MemoryCorrupt) as caught:
            store.files(state)
        assert caught.value.details["file"] == str(path)
        path.write_bytes(good)
    for length in range(len(good)):
        path.write_bytes(good[:length])
        with pytest.raises(MemoryCorrupt):
            store.files(state)


def test_a_manifest_under_another_name_is_told(store: MemoryStore, tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"data")
    state, _ = _write(store, {"file": source})
    other = new_state_id()
    (tmp_path / "manifests" / f"{state}.manifest").rename(
        tmp_path / "manifests" / f"{other}.manifest"
    )
    with pytest.raises(MemoryCorrupt, match=state):
        store.files(other)


def test_deleting_frees_what_no_other_image_needs(
    store: MemoryStore, images: dict[str, Path], tmp_path: Path
) -> None:
    first, _ = _write(store, images)
    extra = tmp_path / "extra"
    extra.write_bytes(random.Random(1).randbytes(CHUNK * 10))
    second, _ = _write(store, {**images, "extra": extra})
    assert store.delete(second) >= CHUNK * 10
    assert store.verify(first) > 0
    assert store.delete(first) > CHUNK * 70
    assert list((tmp_path / "objects" / "packs").iterdir()) == []


def test_deleting_spares_an_image_under_way(
    store: MemoryStore, images: dict[str, Path], tmp_path: Path
) -> None:
    first, _ = _write(store, images)
    state = new_state_id()
    writer = store.writer(state)
    for name, path in images.items():
        writer.add_file(name, path)
    assert store.delete(first) == 0
    writer.commit()
    assert store.verify(state) > 0


def test_nothing_is_dropped_while_a_manifest_cannot_be_read(
    store: MemoryStore, images: dict[str, Path], tmp_path: Path
) -> None:
    first, _ = _write(store, images)
    second, _ = _write(store, {"short": images["short"]})
    path = tmp_path / "manifests" / f"{first}.manifest"
    good = path.read_bytes()
    _damage(path, 20)
    with pytest.raises(MemoryCorrupt):
        store.delete(second)
    path.write_bytes(good)
    assert store.verify(first) > 0


@pytest.mark.parametrize("point", [faults.Fault.COMMIT_PACKED, faults.Fault.COMMIT_MANIFEST])
def test_named_faults_leave_all_or_nothing(
    store: MemoryStore, images: dict[str, Path], tmp_path: Path, point: faults.Fault
) -> None:
    faults.arm(point, "error")
    state = new_state_id()
    writer = store.writer(state)
    writer.add_file("exact", images["exact"])
    with pytest.raises(faults.FaultInjected):
        writer.commit()
    again = _reopened(tmp_path)
    assert again.has(state) == (point is faults.Fault.COMMIT_MANIFEST)
    if again.has(state):
        assert again.verify(state) == CHUNK * 2
    else:
        again.collect()
        assert list((tmp_path / "objects" / "packs").iterdir()) == []


def test_a_crash_at_any_step_leaves_all_or_nothing(
    tmp_path: Path, images: dict[str, Path], die_at_each_step: Callable[..., int]
) -> None:
    source = {name: images[name] for name in ("exact", "short", "zero-end")}
    size = sum(path.stat().st_size for path in source.values())
    ends = set()

    def check(_: int) -> None:
        again = _reopened(tmp_path)
        for state in again.states():
            assert again.verify(state) == size
        ends.add(len(again.states()))
        for state in again.states():
            again.delete(state)
        again.collect()
        for part in ("objects/packs", "manifests"):
            assert list((tmp_path / part).iterdir()) == []

    assert die_at_each_step(lambda: (_write(_reopened(tmp_path), source), None)[1], check) > 12
    assert ends == {0, 1}


def test_a_file_that_shrinks_is_told(store: MemoryStore, tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(os.urandom(CHUNK * 200))
    writer = store.writer(new_state_id())

    def shrink(stage: str, fraction: float, detail: str) -> None:
        os.truncate(source, 10)

    with writer, pytest.raises(TcvsError, match="became shorter"):
        writer.add_file("file", source, shrink)
