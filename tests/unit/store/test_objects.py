from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tcvs_core.store.objects import ObjectCorrupt, ObjectMissing, ObjectStore


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path / "objects")


def _the_pack(store: ObjectStore) -> Path:
    (pack,) = (store._root / "packs").glob("*.pack")
    return pack


@pytest.mark.parametrize("data", [b"", b"x", b"text " * 1000, os.urandom(5000), bytes(100_000)])
def test_what_was_put_is_got(store: ObjectStore, data: bytes) -> None:
    digest = store.put(data)
    assert digest == hashlib.sha256(data).hexdigest()
    assert store.get(digest) == data
    assert store.has(digest)
    with store.batch() as batch:
        key, _ = batch.put(data[::-1])
    assert store.read(key) == data[::-1]
    again = ObjectStore(store._root)
    assert again.get(digest) == data
    assert again.read(key) == data[::-1]


def test_a_memoryview_is_taken_too(store: ObjectStore) -> None:
    digest = store.put(memoryview(b"abcdef")[2:4])
    assert store.get(digest) == b"cd"


def test_equal_objects_are_stored_once(store: ObjectStore) -> None:
    digest = store.put(b"one")
    assert store.put(b"one") == digest
    with store.batch() as batch:
        assert batch.put(b"two")[1]
        assert not batch.put(b"two")[1]
    with store.batch() as batch:
        assert not batch.put(b"two")[1]
    assert len(list((store._root / "packs").iterdir())) == 1
    assert len(list(store)) == 2


def test_files_are_private(store: ObjectStore) -> None:
    digest = store.put(b"secret")
    with store.batch() as batch:
        batch.put(b"more")
    for path in (store._loose(digest), _the_pack(store)):
        assert path.stat().st_mode & 0o777 == 0o600


def test_deleting(store: ObjectStore) -> None:
    digest = store.put(b"one")
    assert store.delete(digest)
    assert not store.delete(digest)
    assert not store.has(digest)
    with pytest.raises(ObjectMissing):
        store.get(digest)


def test_an_unfinished_batch_leaves_nothing(store: ObjectStore) -> None:
    batch = store.batch()
    key, _ = batch.put(b"x" * 3_000_000)
    assert not store.holds(key)
    batch.close()
    assert list((store._root / "packs").iterdir()) == []
    with contextlib.suppress(ZeroDivisionError), store.batch() as batch:
        batch.put(b"y")
        raise ZeroDivisionError
    assert list((store._root / "packs").iterdir()) == []


def test_what_a_dead_writer_left_is_cleaned_and_a_living_one_is_spared(store: ObjectStore) -> None:
    (store._packs / ".tmp-9-dead").write_bytes(b"TCVSPAK1...")
    with store.batch() as batch:
        batch.put(os.urandom(2_000_000))
        ObjectStore(store._root)
        key, _ = batch.put(b"after")
    assert ObjectStore(store._root).read(key) == b"after"
    assert [p for p in store._packs.iterdir() if p.name.startswith(".tmp")] == []


def test_threads_may_share_a_batch(store: ObjectStore) -> None:
    data = [os.urandom(3000) + bytes(i % 7) for i in range(300)]
    with store.batch() as batch:
        threads = [threading.Thread(target=lambda: [batch.put(d) for d in data]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    again = ObjectStore(store._root)
    assert all(again.read(hashlib.sha256(d).digest()) == d for d in data)
    assert len(list(again)) == 300


def _flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 0x40
    path.write_bytes(raw)


@pytest.mark.parametrize("data", [b"compressible " * 500, os.urandom(4000)])
def test_a_damaged_loose_object_names_its_file(store: ObjectStore, data: bytes) -> None:
    digest = store.put(data)
    path = store._loose(digest)
    good = path.read_bytes()
    for at in (0, 9, 17, len(good) // 2, len(good) - 1):
        path.write_bytes(good)
        _flip(path, at)
        with pytest.raises(ObjectCorrupt) as caught:
            store.get(digest)
        assert caught.value.subject == str(path)
    for length in (0, 5, 16, len(good) - 1):
        path.write_bytes(good[:length])
        with pytest.raises(ObjectCorrupt):
            store.get(digest)


@pytest.mark.parametrize("data", [b"compressible " * 500, os.urandom(4000)])
def test_a_damaged_packed_object_names_its_pack_and_is_stored_anew(
    store: ObjectStore, data: bytes
) -> None:
    with store.batch() as batch:
        key, _ = batch.put(data)
    pack = _the_pack(store)
    _flip(pack, 8 + 20)
    again = ObjectStore(store._root)
    with pytest.raises(ObjectCorrupt) as caught:
        again.read(key)
    assert caught.value.subject == str(pack)
    with again.batch() as batch:
        assert batch.put(data + b"-")[1]
        assert batch.put(data)[1]
    assert again.read(key) == data


def test_a_vanished_pack_is_named(store: ObjectStore) -> None:
    with store.batch() as batch:
        key, _ = batch.put(b"data")
    pack = _the_pack(store)
    pack.unlink()
    with pytest.raises(ObjectCorrupt, match="is gone") as caught:
        store.read(key)
    assert caught.value.subject == str(pack)


def test_a_pack_that_cannot_be_read_hides_only_itself(store: ObjectStore) -> None:
    with store.batch() as batch:
        lost, _ = batch.put(b"lost")
    bad = _the_pack(store)
    with store.batch() as batch:
        kept, _ = batch.put(b"kept")
    bad.write_bytes(bad.read_bytes()[:-3])
    again = ObjectStore(store._root)
    assert list(again.damaged) == [bad]
    assert again.read(kept) == b"kept"
    with pytest.raises(ObjectMissing) as caught:
        again.read(lost)
    assert str(bad) in (caught.value.hint or "")


def test_prune_keeps_what_is_live_and_frees_the_rest(store: ObjectStore) -> None:
    blobs = [os.urandom(10_000) for _ in range(10)]
    with store.batch() as batch:
        keys = [batch.put(blob)[0] for blob in blobs]
    with store.batch() as batch:
        other, _ = batch.put(os.urandom(10_000))
    loose = store.put(b"alone")
    assert store.prune({*keys, other}) == 0
    assert store.prune({*keys[:8], other}) == 0  # not worth a rewrite
    assert store.prune({keys[3]}) == 100_000
    assert store.read(keys[3]) == blobs[3]
    assert not store.holds(keys[0])
    assert not store.holds(other)
    assert store.get(loose) == b"alone"
    again = ObjectStore(store._root)
    assert again.read(keys[3]) == blobs[3]
    assert sorted(again) == sorted([keys[3].hex(), loose])


def test_prune_spares_what_a_batch_has_named(store: ObjectStore) -> None:
    with store.batch() as batch:
        key, _ = batch.put(b"old data")
    batch = store.batch()
    assert not batch.put(b"old data")[1]
    fresh, _ = batch.put(b"new data")
    batch.flush()
    assert store.prune(set()) == 0
    batch.close()
    assert store.read(key) == b"old data"
    assert store.read(fresh) == b"new data"
    assert store.prune(set()) > 0


def test_many_packs_need_few_open_files(store: ObjectStore) -> None:
    keys = []
    for number in range(100):
        with store.batch() as batch:
            keys.append(batch.put(b"%d" % number)[0])
    for number, key in enumerate(keys):
        assert store.read(key) == b"%d" % number
    assert len(store._open) <= 64
    store.close()
    assert store.read(keys[5]) == b"5"


def test_a_crash_at_any_step_of_a_batch_is_harmless(
    store: ObjectStore, die_at_each_step: Callable[..., int]
) -> None:
    with store.batch() as batch:
        old, _ = batch.put(b"old")
    new = hashlib.sha256(b"new").digest()
    states = set()

    def write() -> None:
        inner = ObjectStore(store._root)
        with inner.batch() as batch:
            batch.put(b"new")

    def check(_: int) -> None:
        again = ObjectStore(store._root)
        assert not again.damaged
        assert again.read(old) == b"old"
        states.add(again.holds(new))
        assert all(path.name.endswith(".pack") for path in again._packs.iterdir())
        again.prune({old})

    assert die_at_each_step(write, check) >= 5
    assert states == {True, False}


def test_a_crash_at_any_step_of_prune_loses_nothing_live(
    store: ObjectStore, die_at_each_step: Callable[..., int]
) -> None:
    blobs = [os.urandom(1000) for _ in range(9)]

    def fill() -> list[bytes]:
        inner = ObjectStore(store._root)
        with inner.batch() as batch:
            return [batch.put(blob)[0] for blob in blobs]

    keys = fill()

    def check(_: int) -> None:
        again = ObjectStore(store._root)
        assert not again.damaged
        assert again.read(keys[4]) == blobs[4]
        again.prune(set())
        fill()

    assert die_at_each_step(lambda: (ObjectStore(store._root).prune({keys[4]}), None)[1], check) > 5
