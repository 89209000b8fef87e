"""One suite for both kinds of trees: btrfs subvolumes and plain directories."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tcvs_core.errors import BusyError
from tcvs_core.ids import BranchName, ImageName, StateId, new_state_id
from tcvs_core.linux import btrfs
from tcvs_core.linux.mount import MS_BIND, mount, umount
from tcvs_core.store.files import (
    Files,
    ImageDamaged,
    PlainFiles,
    TreeExists,
    TreeMissing,
    Trees,
)
from tcvs_core.store.pool import Pool

MINI = ImageName("mini")
MAIN = BranchName("main")
OTHER = BranchName("other")


on_btrfs = pytest.mark.parametrize(
    "setting", [pytest.param("btrfs", marks=pytest.mark.live)], indirect=True
)


class Setting(NamedTuple):
    files: Trees
    reopen: Callable[[], Trees]
    root: Path
    kind: str


@pytest.fixture(params=["plain", pytest.param("btrfs", marks=pytest.mark.live)])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setting]:
    if request.param == "plain":
        root = tmp_path / "plain"
        yield Setting(PlainFiles(root), lambda: PlainFiles(root), root, "plain")
        return
    pool = Pool.create(tmp_path / "repo", 320 << 20)
    try:
        yield Setting(Files(pool), lambda: Files(pool), pool.root, "btrfs")
    finally:
        pool.unmount()


@pytest.fixture
def files(setting: Setting) -> Trees:
    with setting.files.new_image(MINI, {"recipe": "mini", "packages": 3}) as root:
        (root / "etc").mkdir()
        (root / "etc" / "passwd").write_text("root")
    return setting.files


def _write(files: Trees, branch: BranchName, text: str) -> None:
    (files.branch_path(branch) / "file").write_text(text)


def _read(root: Path) -> str:
    return (root / "file").read_text()


def test_an_image_is_there_when_it_is_whole(setting: Setting) -> None:
    files = setting.files
    metadata: dict[str, object] = {"recipe": "mini"}
    with files.new_image(MINI, metadata) as root:
        (root / "file").write_text("x")
        assert files.images() == []
        assert not files.has_image(MINI)
        metadata["size"] = 5
    assert files.images() == ["mini"]
    assert files.has_image(MINI)
    assert _read(files.base_path(MINI)) == "x"
    assert setting.reopen().image_metadata(MINI) == {"recipe": "mini", "size": 5}


def test_a_failed_image_leaves_nothing(setting: Setting) -> None:
    with contextlib.suppress(ZeroDivisionError), setting.files.new_image(MINI, {}) as root:
        (root / "file").write_text("x")
        raise ZeroDivisionError
    assert os.listdir(setting.root / "base") == []
    assert os.listdir(setting.root / "store" / "images") == []


def test_an_image_is_not_replaced(setting: Setting, files: Trees) -> None:
    with pytest.raises(TreeExists) as caught, files.new_image(MINI, {}):
        pytest.fail("should not begin")
    assert caught.value.exit_status == 2
    assert caught.value.subject == "mini"


def test_a_deleted_image_takes_no_branch_with_it(files: Trees) -> None:
    files.create_branch_from_image(MINI, MAIN)
    files.delete_image(MINI)
    assert files.images() == []
    assert (files.branch_path(MAIN) / "etc" / "passwd").read_text() == "root"
    with pytest.raises(TreeMissing):
        files.image_metadata(MINI)


def test_damaged_metadata_is_told(setting: Setting, files: Trees) -> None:
    path = setting.root / "store" / "images" / "mini.json"
    path.write_text("{")
    with pytest.raises(ImageDamaged) as caught:
        files.image_metadata(MINI)
    assert caught.value.subject == str(path)
    path.unlink()
    assert files.image_metadata(MINI) == {}


def test_branches_and_states_are_independent_copies(files: Trees) -> None:
    state = new_state_id()
    files.create_branch_from_image(MINI, MAIN)
    _write(files, MAIN, "one")
    files.presync(MAIN)
    files.snapshot_branch(MAIN, state)
    _write(files, MAIN, "two")
    files.create_branch_from_state(state, OTHER)
    assert _read(files.snap_path(state)) == "one"
    assert _read(files.branch_path(OTHER)) == "one"
    _write(files, OTHER, "three")
    assert _read(files.branch_path(MAIN)) == "two"
    assert _read(files.snap_path(state)) == "one"
    assert not (files.base_path(MINI) / "file").exists()
    assert files.has_branch(OTHER)
    assert files.has_state(state)
    assert files.branches() == ["main", "other"]
    assert files.states() == [state]
    files.delete_branch(MAIN)
    files.delete_branch(OTHER)
    assert files.branches() == []
    assert _read(files.snap_path(state)) == "one"
    files.delete_state(state)
    assert files.states() == []


def test_copies_keep_everything(setting: Setting, files: Trees) -> None:
    files.create_branch_from_image(MINI, MAIN)
    root = files.branch_path(MAIN)
    (root / "script").write_text("#!")
    (root / "script").chmod(0o4751)
    os.symlink("/etc/passwd", root / "link")
    os.link(root / "script", root / "hard")
    os.mkfifo(root / "fifo")
    (root / "nothing").mkdir(mode=0o700)
    os.utime(root / "script", ns=(1, 1_234_567_890_123_456_789))
    if os.geteuid() == 0:
        os.chown(root / "nothing", 1000, 1000)
    state = new_state_id()
    files.snapshot_branch(MAIN, state)
    copy = files.snap_path(state)
    for name in ("script", "link", "hard", "fifo", "nothing"):
        old, new = os.lstat(root / name), os.lstat(copy / name)
        assert (new.st_mode, new.st_uid, new.st_gid) == (old.st_mode, old.st_uid, old.st_gid)
        assert new.st_mtime_ns == old.st_mtime_ns
    assert os.readlink(copy / "link") == "/etc/passwd"
    assert os.lstat(copy / "script").st_ino == os.lstat(copy / "hard").st_ino


def test_renaming(files: Trees) -> None:
    files.create_branch_from_image(MINI, MAIN)
    _write(files, MAIN, "x")
    files.rename_branch(MAIN, OTHER)
    assert not files.has_branch(MAIN)
    assert _read(files.branch_path(OTHER)) == "x"
    files.create_branch_from_image(MINI, MAIN)
    with pytest.raises(TreeExists):
        files.rename_branch(MAIN, OTHER)
    assert _read(files.branch_path(OTHER)) == "x"


def test_what_is_not_there(files: Trees) -> None:
    state = new_state_id()
    files.create_branch_from_image(MINI, MAIN)
    calls: list[Callable[[], object]] = [
        lambda: files.create_branch_from_image(ImageName("nope"), OTHER),
        lambda: files.create_branch_from_state(state, OTHER),
        lambda: files.snapshot_branch(OTHER, state),
        lambda: files.presync(OTHER),
        lambda: files.delete_branch(OTHER),
        lambda: files.delete_state(state),
        lambda: files.delete_image(ImageName("nope")),
        lambda: files.rename_branch(OTHER, BranchName("third")),
        lambda: files.temporary_snapshot(OTHER).__enter__(),
    ]
    for call in calls:
        with pytest.raises(TreeMissing) as caught:
            call()
        assert caught.value.hint
        assert caught.value.exit_status == 2
    assert files.branches() == ["main"]
    assert files.states() == []


def test_what_is_there_already(files: Trees) -> None:
    state = new_state_id()
    files.create_branch_from_image(MINI, MAIN)
    _write(files, MAIN, "x")
    files.snapshot_branch(MAIN, state)
    for call in (
        lambda: files.create_branch_from_image(MINI, MAIN),
        lambda: files.create_branch_from_state(state, MAIN),
        lambda: files.snapshot_branch(MAIN, state),
    ):
        with pytest.raises(TreeExists):
            call()
    assert _read(files.branch_path(MAIN)) == "x"
    assert sorted(os.listdir(files.snap_path(state))) == ["etc", "file"]


def test_a_temporary_snapshot_goes_away(setting: Setting, files: Trees) -> None:
    files.create_branch_from_image(MINI, MAIN)
    _write(files, MAIN, "one")
    with contextlib.suppress(ZeroDivisionError), files.temporary_snapshot(MAIN) as root:
        _write(files, MAIN, "two")
        assert _read(root) == "one"
        assert files.states() == []
        assert setting.reopen().recover() == 0, "one in use must not be cleaned away"
        assert _read(root) == "one"
        raise ZeroDivisionError
    assert os.listdir(setting.root / "snap") == []


def test_what_a_killed_process_left_is_cleaned(setting: Setting, files: Trees) -> None:
    files.create_branch_from_image(MINI, MAIN)
    child = os.fork()
    if child == 0:
        try:
            with files.temporary_snapshot(MAIN), files.new_image(ImageName("half"), {}) as root:
                (root / "x").touch()
                os._exit(9)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert len(os.listdir(setting.root / "snap")) == 1
    files = setting.reopen()
    assert os.listdir(setting.root / "snap") == []
    assert os.listdir(setting.root / "base") == ["mini"]
    assert files.branches() == ["main"]


@on_btrfs
def test_snapshots_of_a_branch_being_written_are_of_one_moment(files: Trees) -> None:
    """A writer that always writes a, then b: no snapshot may have b ahead of a."""
    files.create_branch_from_image(MINI, MAIN)
    root = files.branch_path(MAIN)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            for name in ("a", "b"):
                (root / "new").write_text(str(number))
                os.rename(root / "new", root / name)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not (root / "b").exists():
            pass
        states = [StateId(f"20260101T000000-{n:012x}") for n in range(20)]
        for state in states:
            files.snapshot_branch(MAIN, state)
    finally:
        stop.set()
        writer.join()
    for state in states:
        snap = files.snap_path(state)
        a, b = int((snap / "a").read_text()), int((snap / "b").read_text())
        assert a - b in (0, 1)


@on_btrfs
def test_states_and_images_are_read_only_on_btrfs(files: Trees) -> None:
    state = new_state_id()
    files.create_branch_from_image(MINI, MAIN)
    files.snapshot_branch(MAIN, state)
    for path in (files.base_path(MINI), files.snap_path(state)):
        assert btrfs.is_read_only(path)
        with pytest.raises(OSError, match="Read-only"):
            (path / "x").touch()
    _write(files, MAIN, "writable")
    with files.temporary_snapshot(MAIN) as root:
        assert b"file" in btrfs.send_changes(root, files.snap_path(state))


@on_btrfs
def test_a_branch_that_is_mounted_is_busy(files: Trees) -> None:
    files.create_branch_from_image(MINI, MAIN)
    _write(files, MAIN, "x")
    place = files.branch_path(MAIN) / "etc"
    mount(files.base_path(MINI), place, None, MS_BIND)
    try:
        with pytest.raises(BusyError) as caught:
            files.delete_branch(MAIN)
        assert caught.value.hint
        assert _read(files.branch_path(MAIN)) == "x"
    finally:
        umount(place)
    files.delete_branch(MAIN)


@on_btrfs
def test_a_branch_that_a_process_lives_in_is_busy(files: Trees) -> None:
    files.create_branch_from_image(MINI, MAIN)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chroot(files.branch_path(MAIN))
            os.write(writing, b"x")
            signal.pause()
        finally:
            os._exit(1)
    try:
        assert os.read(reading, 1) == b"x"
        with pytest.raises(BusyError, match=f"process {child}"):
            files.delete_branch(MAIN)
        assert files.has_branch(MAIN)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)
    files.delete_branch(MAIN)


@on_btrfs
def test_a_snapshot_is_fast(files: Trees) -> None:
    """The call inside the pause.  Generous: the machine may be busy; a copy would take longer."""
    files.create_branch_from_image(MINI, MAIN)
    subprocess.run(
        ["dd", "if=/dev/urandom", f"of={files.branch_path(MAIN)}/big", "bs=1M", "count=64"],
        check=True,
        capture_output=True,
    )
    files.presync(MAIN)
    times = []
    for _ in range(9):
        began = time.monotonic()
        files.snapshot_branch(MAIN, new_state_id())
        times.append(time.monotonic() - began)
    assert sorted(times)[4] < 0.05
