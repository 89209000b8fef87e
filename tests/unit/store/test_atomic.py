from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tcvs_core.store.atomic import (
    PoolFull,
    StoreError,
    clean,
    create_temporary,
    disk_errors,
    remove_file,
    write_file,
)


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_file(target, b"old")
    write_file(target, b"new and longer")
    assert target.read_bytes() == b"new and longer"
    assert target.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_a_crash_at_any_step_leaves_the_old_or_the_new(
    tmp_path: Path, die_at_each_step: Callable[..., int]
) -> None:
    target = tmp_path / "file"
    write_file(target, b"old")
    seen = set()

    def check(_: int) -> None:
        seen.add(target.read_bytes())
        clean(tmp_path)
        assert os.listdir(tmp_path) == ["file"]
        write_file(target, b"old")

    assert die_at_each_step(lambda: write_file(target, b"new"), check) >= 4
    assert seen == {b"old", b"new"}


def test_clean_spares_the_file_of_a_living_writer(tmp_path: Path) -> None:
    dead = tmp_path / ".tmp-1-dead"
    dead.write_bytes(b"x")
    living, fd = create_temporary(tmp_path)
    try:
        assert clean(tmp_path) == 1
        assert living.exists()
        assert not dead.exists()
    finally:
        os.close(fd)
    assert clean(tmp_path) == 1


def test_removing_twice_is_told(tmp_path: Path) -> None:
    write_file(tmp_path / "file", b"")
    assert remove_file(tmp_path / "file")
    assert not remove_file(tmp_path / "file")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_is_pool_full_with_a_hint(code: int) -> None:
    with pytest.raises(PoolFull) as caught, disk_errors("write", "/some/file"):
        raise OSError(code, "no room")
    assert caught.value.errno == code
    assert caught.value.subject == "/some/file"
    assert caught.value.hint


def test_other_errors_name_operation_and_subject(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        write_file(tmp_path / "missing" / "file", b"")
    assert caught.value.operation == "write"
    assert caught.value.errno == errno.ENOENT
    assert str(tmp_path / "missing" / "file") in str(caught.value)
