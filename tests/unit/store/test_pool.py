from __future__ import annotations

import json
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tcvs_core.errors import BusyError, TcvsError, UsageError
from tcvs_core.linux import loop
from tcvs_core.store.pool import NotARepository, Pool, PoolFull, PoolGone

pytestmark = pytest.mark.live

SMALL = 200 << 20


def _gone(path: Path) -> bool:
    """Whether nothing of a pool is mounted beneath ``path``."""
    return str(path) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def test_a_new_pool_has_its_layout_and_is_private(pool: Pool) -> None:
    for part in (pool.base, pool.br, pool.snap, pool.store / "git", pool.store / "objects"):
        assert stat.S_IMODE(part.stat().st_mode) == 0o700
    assert stat.S_IMODE(pool.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((pool.path / "pool.img").stat().st_mode) == 0o600
    assert (pool.path / "store").resolve() == pool.store.resolve()
    marker = json.loads((pool.path / "tcvs.json").read_text())
    assert marker == {"version": 1, "kind": "loop", "id": pool.id, "fixed": True}
    assert sorted(os.listdir(pool.path)) == [".lock", "pool", "pool.img", "store", "tcvs.json"]


def test_it_is_mounted_without_access_times_and_without_double_caching(pool: Pool) -> None:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    line = next(line for line in lines if f" {pool.root} " in line)
    assert "noatime" in line
    assert pool.usage()["direct_io"] is True


def test_an_image_takes_only_what_is_used(pool: Pool) -> None:
    assert (pool.path / "pool.img").stat().st_blocks * 512 < 64 << 20


def test_data_is_there_after_unmount_and_open(pool: Pool) -> None:
    (pool.store / "note").write_text("kept")
    pool.unmount()
    assert _gone(pool.path)
    assert loop.find(pool.path / "pool.img") is None
    again = Pool.open(pool.path)
    assert again.id == pool.id
    assert (again.store / "note").read_text() == "kept"
    assert Pool.open(pool.path).mounted


def test_a_device_that_a_killed_process_attached_is_used(pool: Pool) -> None:
    pool.unmount()
    device = loop.attach(pool.path / "pool.img")
    Pool.open(pool.path)
    assert loop.find(pool.path / "pool.img") == device
    pool.unmount()
    assert loop.find(pool.path / "pool.img") is None


def _open(path: Path) -> str:
    return Pool.open(path).id


def test_many_openers_at_once_mount_once(pool: Pool) -> None:
    pool.unmount()
    with multiprocessing.get_context("fork").Pool(6) as workers:
        assert workers.map(_open, [pool.path] * 6) == [pool.id] * 6
    table = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    assert table.count(f" {pool.root} ") == 1


def test_no_repository_is_told_with_the_way_to_make_one(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", tmp_path / "file" / "beneath"):
        (tmp_path / "file").touch()
        with pytest.raises(NotARepository) as caught:
            Pool.open(path)
        assert caught.value.exit_status == 2
        assert "tcvs init" in (caught.value.hint or "")


def test_a_repository_is_not_made_twice(pool: Pool) -> None:
    with pytest.raises(UsageError, match="already"):
        Pool.create(pool.path, SMALL)
    assert pool.mounted


def test_an_occupied_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    with pytest.raises(UsageError, match="precious"):
        Pool.create(tmp_path, SMALL)
    assert os.listdir(tmp_path) == ["precious"]
    with pytest.raises(UsageError, match="not a directory"):
        Pool.create(tmp_path / "precious", SMALL)


def test_too_small_a_pool_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too small"):
        Pool.create(tmp_path / "repo", 1 << 20)
    assert os.listdir(tmp_path) == []


def test_a_failed_create_leaves_nothing(tmp_path: Path) -> None:
    for stop_at in (0.2, 0.6):

        def stop(stage: str, fraction: float, detail: str, at: float = stop_at) -> None:
            if fraction == at:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            Pool.create(tmp_path / "repo", SMALL, stop)
        assert os.listdir(tmp_path) == []


def test_a_create_killed_at_any_point_can_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "repo"
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        limit = int(sys.argv[2])
        seen = 0
        def trace(name):
            real = getattr(os, name)
            def step(*args, **kwargs):
                global seen
                seen += 1
                if seen == limit:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)
            setattr(os, name, step)
        from tcvs_core.store.pool import Pool
        for name in ("open", "mkdir", "symlink", "chmod", "rename", "unlink", "fsync", "ftruncate"):
            trace(name)
        Pool.create(Path(sys.argv[1]), int(sys.argv[3]))
        """
    )
    killed = 0
    for limit in range(1, 400):
        command = [sys.executable, "-c", script, str(path), str(limit), str(SMALL)]
        status = subprocess.run(command, check=False, cwd=os.getcwd()).returncode
        complete = (path / "tcvs.json").exists()
        if not complete:
            Pool.create(path, SMALL)
        reopened = Pool.open(path)
        (reopened.store / "note").write_text("works")
        reopened.unmount()
        assert _gone(path)
        assert loop.find(path / "pool.img") is None
        expected = [".lock", "pool", "pool.img", "store", "tcvs.json"]
        assert sorted(os.listdir(path)) == expected
        for entry in (path / ".creating", path / "tcvs.json", path / "pool.img", path / "store"):
            entry.unlink(missing_ok=True)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        killed += 1
        (path / "pool").rmdir()
    assert killed > 20


def test_a_missing_image_is_told(pool: Pool) -> None:
    pool.unmount()
    os.rename(pool.path / "pool.img", pool.path / "elsewhere.img")
    with pytest.raises(PoolGone, match=r"pool\.img is missing") as caught:
        Pool.open(pool.path)
    assert caught.value.hint
    os.rename(pool.path / "elsewhere.img", pool.path / "pool.img")
    assert Pool.open(pool.path).mounted


def test_an_image_that_is_no_file_system_is_told_and_let_go(pool: Pool) -> None:
    pool.unmount()
    image = pool.path / "pool.img"
    with open(image, "r+b") as file:
        for copy in (64 << 10, 64 << 20):
            file.seek(copy)
            file.write(bytes(4096))
    with pytest.raises(TcvsError) as caught:
        Pool.open(pool.path)
    assert str(pool.path) in str(caught.value)
    assert loop.find(image) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', "\x00\xff"])
def test_a_damaged_marker_is_told(pool: Pool, text: str) -> None:
    marker = pool.path / "tcvs.json"
    good = marker.read_bytes()
    marker.write_text(text)
    with pytest.raises(PoolGone, match="damaged"):
        Pool.open(pool.path)
    marker.write_bytes(good)


def test_a_newer_repository_is_told(pool: Pool) -> None:
    marker = pool.path / "tcvs.json"
    marker.write_text('{"version": 2, "kind": "loop", "id": "00000000"}')
    with pytest.raises(PoolGone, match="newer"):
        Pool.open(pool.path)


def test_unmounting_while_in_use_is_busy(pool: Pool) -> None:
    with open(pool.store / "open", "w"), pytest.raises(BusyError) as caught:
        pool.unmount()
    assert caught.value.exit_status == 3
    assert pool.mounted


def test_a_pool_grows_while_the_host_has_room(tmp_path: Path) -> None:
    pool = Pool.create(tmp_path / "repo", SMALL)
    try:
        (pool.path / "tcvs.json").write_text(
            json.dumps({"version": 1, "kind": "loop", "id": pool.id, "fixed": False})
        )
        pool = Pool.open(pool.path)
        before = pool.usage()["size"]
        assert not pool.grow_if_needed(1 << 20)
        assert pool.grow_if_needed(1 << 30)
        assert pool.usage()["size"] > before + (1 << 30)
        assert pool.usage()["free"] > 1 << 30
        pool.require(1 << 30)
    finally:
        pool.unmount()


def test_a_pool_of_given_size_keeps_it_and_says_when_it_is_full(pool: Pool) -> None:
    before = pool.usage()["size"]
    assert not pool.grow_if_needed()
    with pytest.raises(PoolFull) as caught:
        pool.require(1 << 40)
    assert caught.value.hint
    assert pool.usage()["size"] == before


def test_the_default_size_is_sparse_and_large(tmp_path: Path) -> None:
    pool = Pool.create(tmp_path / "repo")
    try:
        assert pool.usage()["size"] >= 10 << 30
        assert (pool.path / "pool.img").stat().st_blocks * 512 < 256 << 20
    finally:
        pool.unmount()


def test_on_btrfs_a_repository_is_a_subvolume(pool: Pool) -> None:
    inner = Pool.create(pool.br / "repo")
    assert inner.kind == "subvolume"
    assert inner.mounted
    assert inner.usage()["host_free"] > 0
    inner.unmount()
    assert Pool.open(inner.path).id == inner.id
    assert not (inner.path / "pool.img").exists()
