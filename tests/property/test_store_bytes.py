"""Formats of the store: everything comes back, and damaged bytes raise the format's own error."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcvs_core.ids import StateId
from tcvs_core.store import manifest
from tcvs_core.store.manifest import FileEntry, Manifest, ManifestDamaged
from tcvs_core.store.memory import MemoryStore
from tcvs_core.store.objects import ObjectStore, frame, unframe
from tcvs_core.store.packs import PackDamaged, read_pack
from tcvs_core.store.reflog import ZERO, Reflog

SLOW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
CHUNK = 64 << 10

#: Runs of equal bytes and of noise, so that chunks repeat, are zero, compress or do not.
PIECES = st.lists(
    st.tuples(st.sampled_from([b"\0", b"a", None]), st.integers(1, 3 * CHUNK)), max_size=6
)


def _data(pieces: list[tuple[bytes | None, int]]) -> bytes:
    return b"".join(os.urandom(size) if byte is None else byte * size for byte, size in pieces)


@given(st.lists(PIECES, max_size=4))
@SLOW
def test_memory_images_come_back(files: list[list[tuple[bytes | None, int]]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        contents = {f"file-{n}": _data(pieces) for n, pieces in enumerate(files)}
        store = MemoryStore(ObjectStore(root / "objects"), root / "manifests")
        states = [StateId(f"20260101T000000-{n:012x}") for n in range(2)]
        for state in states:
            writer = store.writer(state)
            for file, data in contents.items():
                (root / "source").write_bytes(data)
                writer.add_file(file, root / "source")
            result = writer.commit()
        assert result["new_chunks"] == 0
        assert result["bytes"] == sum(map(len, contents.values()))
        store.delete(states[0])
        again = MemoryStore(ObjectStore(root / "objects"), root / "manifests")
        (root / "back").mkdir()
        again.restore(states[1], root / "back")
        assert {p.name: p.read_bytes() for p in (root / "back").iterdir()} == contents
        again.delete(states[1])
        assert list((root / "objects" / "packs").iterdir()) == []


@given(st.binary(max_size=5000))
def test_frames_come_back(data: bytes) -> None:
    stored = frame(data)
    assert len(stored) <= len(data)
    assert unframe(stored, len(data)) == data


@given(st.binary(max_size=300), st.integers(0, 1 << 20))
def test_any_frame_is_read_or_refused(data: bytes, size: int) -> None:
    with contextlib.suppress(ValueError):
        assert len(unframe(data, size)) == size


@given(st.binary(max_size=400))
def test_any_bytes_are_a_manifest_or_refused(data: bytes) -> None:
    with pytest.raises(ManifestDamaged):
        manifest.decode(data)
    signed = b"TCVSMAN1" + data
    with pytest.raises(ManifestDamaged):
        manifest.decode(signed + hashlib.sha256(signed).digest())


NAMES = st.text(max_size=20)


@given(st.text(max_size=20), st.lists(st.tuples(NAMES, st.integers(0, 9 * CHUNK)), max_size=4))
def test_a_manifest_comes_back_or_names_what_is_wrong(
    state: str, files: list[tuple[str, int]]
) -> None:
    entries = [
        FileEntry(name, size, os.urandom(32) * ((size + CHUNK - 1) // CHUNK))
        for name, size in files
    ]
    made = Manifest(state, CHUNK, entries)
    try:
        data = made.encode()
    except UnicodeEncodeError:
        return
    if all(manifest.plain_name(name) for name, _ in files):
        assert manifest.decode(data) == made
    else:
        with pytest.raises(ManifestDamaged, match="plain file name"):
            manifest.decode(data)


@given(st.binary(max_size=400), st.booleans())
@SLOW
def test_any_file_is_a_pack_or_refused(data: bytes, dressed: bool) -> None:
    if dressed:
        data = b"TCVSPAK1" + data + b"TCVSPEND"
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / ("0" * 64 + ".pack")
        path.write_bytes(data)
        with pytest.raises(PackDamaged):
            read_pack(path)


@given(st.binary(max_size=400))
@SLOW
def test_any_file_is_a_reflog(data: bytes) -> None:
    """A log is never a reason to fail: what is no line of it is skipped and lines stay whole."""
    with tempfile.TemporaryDirectory() as name:
        log = Reflog(Path(name) / "log")
        log.path.write_bytes(data)
        before = log.moves("1" * 40)
        log.append("1" * 40, "2" * 40, "moved")
        after = log.moves("2" * 40)
        assert (after[0].old, after[0].new, after[0].message) == ("1" * 40, "2" * 40, "moved")
        assert after[1:] == before
        assert log.moves("1" * 40) == before
        assert ZERO not in (after[0].old, after[0].new)
