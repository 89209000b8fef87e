"""One test a reason for which a pack is rejected."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tcvs_core.store.atomic import PoolFull
from tcvs_core.store.packs import PackDamaged, PackWriter, read_pack

FOOTER = 56


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    writer = PackWriter(tmp_path)
    for data in (b"one", b"two", b"three"):
        writer.append(hashlib.sha256(data).digest(), data, len(data))
    made = writer.finish()
    assert made is not None
    return made.path


def test_a_pack_is_read_as_it_was_written(pack: Path) -> None:
    places = read_pack(pack).places
    raw = pack.read_bytes()
    for data in (b"one", b"two", b"three"):
        place = places[hashlib.sha256(data).digest()]
        assert raw[place.offset : place.offset + place.stored] == data
        assert place.size == len(data)


def test_an_empty_pack_is_not_written(tmp_path: Path) -> None:
    assert PackWriter(tmp_path).finish() is None
    assert list(tmp_path.iterdir()) == []


def _magic(raw: bytearray) -> bytes:
    return b"X" + raw[1:]


def _cut(raw: bytearray) -> bytes:
    return bytes(raw[:-1])


def _longer(raw: bytearray) -> bytes:
    return bytes(raw) + b"x"


def _tail(raw: bytearray) -> bytes:
    return bytes(raw[:-1]) + b"X"


def _count(raw: bytearray) -> bytes:
    struct.pack_into("<Q", raw, len(raw) - FOOTER + 8, 2)
    return bytes(raw)


def _offset(raw: bytearray) -> bytes:
    struct.pack_into("<Q", raw, len(raw) - FOOTER, 1 << 60)
    return bytes(raw)


def _index(raw: bytearray) -> bytes:
    raw[len(raw) - FOOTER - 5] ^= 1
    return bytes(raw)


def _empty(raw: bytearray) -> bytes:
    return b""


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_magic, "is no pack"),
        (_empty, "is no pack"),
        (_cut, "footer"),
        (_longer, "footer"),
        (_tail, "footer"),
        (_count, "footer"),
        (_offset, "footer"),
        (_index, "damaged index"),
    ],
)
def test_damage_is_told(pack: Path, damage: Callable[[bytearray], bytes], reason: str) -> None:
    pack.write_bytes(damage(bytearray(pack.read_bytes())))
    with pytest.raises(PackDamaged, match=reason) as caught:
        read_pack(pack)
    assert caught.value.subject == str(pack)


def test_another_pack_under_this_name_is_told(pack: Path) -> None:
    other = pack.with_name("0" * 64 + ".pack")
    pack.rename(other)
    with pytest.raises(PackDamaged, match="damaged index"):
        read_pack(other)


def test_after_a_failed_write_nothing_is_taken_and_nothing_finished(tmp_path: Path) -> None:
    """/dev/full stands in for the disk; the space is short for one write only."""
    writer = PackWriter(tmp_path)
    real = os.dup(writer._fd)
    full = os.open("/dev/full", os.O_WRONLY)
    data = os.urandom(1 << 20)
    try:
        os.dup2(full, writer._fd)
        with pytest.raises(PoolFull):
            writer.append(hashlib.sha256(data).digest(), data, len(data))
        os.dup2(real, writer._fd)
        with pytest.raises(PoolFull):
            writer.append(hashlib.sha256(data).digest(), data, len(data))
        with pytest.raises(PoolFull):
            writer.finish()
    finally:
        os.close(full)
        os.close(real)
        writer.abort()
    assert list(tmp_path.iterdir()) == []
