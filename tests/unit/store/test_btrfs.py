from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tcvs_core.linux import btrfs, loop
from tcvs_core.store.pool import Pool

pytestmark = pytest.mark.live


def test_what_is_a_subvolume(pool: Pool, tmp_path: Path) -> None:
    btrfs.create_subvolume(pool.br / "one")
    (pool.br / "directory").mkdir()
    (pool.br / "link").symlink_to("one")
    assert btrfs.is_subvolume(pool.br / "one")
    assert not btrfs.is_subvolume(pool.br / "directory")
    assert not btrfs.is_subvolume(pool.br / "link")
    assert not btrfs.is_subvolume(pool.br / "missing")
    assert btrfs.is_btrfs(pool.br)
    assert not btrfs.is_btrfs("/proc")


def test_a_snapshot_shares_nothing_that_is_written_later(pool: Pool) -> None:
    source, copy, frozen = pool.br / "one", pool.br / "two", pool.snap / "three"
    btrfs.create_subvolume(source)
    (source / "file").write_text("first")
    btrfs.snapshot(source, copy)
    btrfs.snapshot(source, frozen, read_only=True)
    (source / "file").write_text("source")
    (copy / "file").write_text("copy")
    assert (frozen / "file").read_text() == "first"
    assert (copy / "file").read_text() == "copy"
    assert btrfs.is_read_only(frozen)
    assert not btrfs.is_read_only(copy)
    with pytest.raises(OSError) as caught:
        (frozen / "file").write_text("no")
    assert caught.value.errno == errno.EROFS
    btrfs.set_read_only(frozen, False)
    (frozen / "file").write_text("yes")


def test_an_existing_target_is_refused(pool: Pool) -> None:
    btrfs.create_subvolume(pool.br / "one")
    btrfs.create_subvolume(pool.br / "two")
    with pytest.raises(OSError) as caught:
        btrfs.snapshot(pool.br / "one", pool.br / "two")
    assert caught.value.errno == errno.EEXIST
    assert str(pool.br / "two") in str(caught.value)
    assert os.listdir(pool.br / "two") == []


@pytest.mark.parametrize("read_only", [False, True])
def test_nested_subvolumes_go_with_their_parent(pool: Pool, read_only: bool) -> None:
    outer = pool.br / "one"
    btrfs.create_subvolume(outer)
    (outer / "deep").mkdir()
    btrfs.create_subvolume(outer / "deep" / "inner")
    btrfs.create_subvolume(outer / "deep" / "inner" / "innermost")
    (outer / "deep" / "inner" / "innermost" / "file").write_text("x")
    btrfs.set_read_only(outer, read_only)
    btrfs.delete_subvolume(outer)
    assert os.listdir(pool.br) == []


def test_deleting_follows_no_link_and_takes_no_directory(pool: Pool) -> None:
    btrfs.create_subvolume(pool.br / "one")
    (pool.br / "link").symlink_to("one")
    (pool.br / "directory").mkdir()
    for name, code in (
        ("link", errno.EINVAL),
        ("directory", errno.EINVAL),
        ("missing", errno.ENOENT),
    ):
        with pytest.raises(OSError) as caught:
            btrfs.delete_subvolume(pool.br / name)
        assert caught.value.errno == code
    assert btrfs.is_subvolume(pool.br / "one")


def test_send_names_what_changed_and_no_content(pool: Pool) -> None:
    work = pool.br / "one"
    btrfs.create_subvolume(work)
    (work / "kept").write_bytes(b"k" * 100_000)
    (work / "edited").write_bytes(b"e" * 100_000)
    btrfs.snapshot(work, pool.snap / "old", read_only=True)
    (work / "edited").write_bytes(b"SECRET" * 20_000)
    os.rename(work / "kept", work / "moved")
    btrfs.snapshot(work, pool.snap / "new", read_only=True)
    stream = btrfs.send_changes(pool.snap / "new", pool.snap / "old")
    assert stream.startswith(b"btrfs-stream\0")
    assert b"edited" in stream
    assert b"moved" in stream
    assert b"SECRET" not in stream


def test_a_long_send_stream_does_not_block(pool: Pool) -> None:
    """More than a pipe holds."""
    work = pool.br / "one"
    btrfs.create_subvolume(work)
    btrfs.snapshot(work, pool.snap / "old", read_only=True)
    for number in range(2000):
        (work / f"a-file-with-a-rather-long-name-{number:04}").touch()
    btrfs.snapshot(work, pool.snap / "new", read_only=True)
    stream = btrfs.send_changes(pool.snap / "new", pool.snap / "old")
    assert len(stream) > 1 << 16
    assert b"name-1999" in stream


def test_send_of_a_writable_subvolume_is_an_error(pool: Pool) -> None:
    btrfs.create_subvolume(pool.br / "one")
    btrfs.snapshot(pool.br / "one", pool.snap / "old", read_only=True)
    with pytest.raises(OSError, match="send"):
        btrfs.send_changes(pool.br / "one", pool.snap / "old")


def test_reflink_copies_across_subvolumes(pool: Pool) -> None:
    for name in ("one", "two"):
        btrfs.create_subvolume(pool.br / name)
    (pool.br / "one" / "file").write_bytes(b"data" * 10_000)
    with open(pool.br / "one" / "file", "rb") as old, open(pool.br / "two" / "file", "wb") as new:
        btrfs.reflink(old.fileno(), new.fileno())
    assert (pool.br / "two" / "file").read_bytes() == b"data" * 10_000


def test_a_loop_device_is_found_by_its_image(tmp_path: Path) -> None:
    image, other = tmp_path / "image", tmp_path / "other"
    for path in (image, other):
        path.write_bytes(bytes(1 << 20))
    device = loop.attach(image)
    try:
        os.rename(image, tmp_path / "renamed")
        assert loop.find(tmp_path / "renamed") == device
        assert loop.find(other) is None
        os.truncate(tmp_path / "renamed", 2 << 20)
        loop.set_capacity(device)
        with open(device, "rb") as file:
            assert file.seek(0, os.SEEK_END) == 2 << 20
    finally:
        loop.detach(device)
    assert loop.find(tmp_path / "renamed") is None


def test_buffered_loop_devices_say_so(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(1 << 20))
    device = loop.attach(image, direct_io=False)
    try:
        assert not loop.is_direct(device)
    finally:
        loop.detach(device)
