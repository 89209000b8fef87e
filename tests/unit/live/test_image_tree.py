"""Writing into an image never leaves it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tcvs_core.live.image.errors import ImageBuildFailed
from tcvs_core.live.image.tree import Tree

ME = os.geteuid()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the host, with a file in it."""
    directory = tmp_path / "host"
    directory.mkdir()
    (directory / "passwd").write_text("host")
    return directory


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "root"
    directory.mkdir()
    return directory


def test_write_makes_parents_and_sets_modes(root: Path) -> None:
    old = os.umask(0o077)
    try:
        with Tree(root) as tree:
            tree.write("etc/a/b", b"text", 0o755, ME)
            tree.mkdir("tmp", 0o1777, ME)
            assert tree.read("etc/a/b") == b"text"
            assert tree.read("etc/a/none") is None
            assert tree.read("none/at/all") is None
            assert tree.has("etc/a")
            assert not tree.has("etc/c/d")
    finally:
        os.umask(old)
    assert stat.S_IMODE((root / "etc/a").stat().st_mode) == 0o755
    assert stat.S_IMODE((root / "etc/a/b").stat().st_mode) == 0o755
    assert stat.S_IMODE((root / "tmp").stat().st_mode) == 0o1777


@pytest.mark.parametrize("kind", ["absolute", "relative"])
def test_a_link_on_the_way_is_not_followed(root: Path, outside: Path, kind: str) -> None:
    (root / "etc").symlink_to(outside if kind == "absolute" else "../host")
    with Tree(root) as tree:
        for attempt in (
            lambda: tree.write("etc/passwd", b"image", owner=ME),
            lambda: tree.read("etc/passwd"),
            lambda: tree.clear("etc"),
            lambda: tree.mkdir("etc/new", owner=ME),
            lambda: tree.mkdir("etc", owner=ME),
            lambda: tree.symlink("etc/link", "x"),
        ):
            with pytest.raises(ImageBuildFailed) as caught:
                attempt()
            assert caught.value.errno is not None
    assert (outside / "passwd").read_text() == "host"
    assert os.listdir(outside) == ["passwd"]


def test_a_link_at_the_end_is_replaced(root: Path, outside: Path) -> None:
    (root / "resolv.conf").symlink_to(outside / "passwd")
    with Tree(root) as tree:
        assert tree.read("resolv.conf") is None
        tree.write("resolv.conf", b"image", owner=ME)
    assert (root / "resolv.conf").read_bytes() == b"image"
    assert not (root / "resolv.conf").is_symlink()
    assert (outside / "passwd").read_text() == "host"


def test_write_does_not_replace_a_directory(root: Path) -> None:
    (root / "keep/file").mkdir(parents=True)
    with Tree(root) as tree, pytest.raises(ImageBuildFailed):
        tree.write("keep", b"", owner=ME)
    assert (root / "keep/file").is_dir()


def test_clear_removes_links_and_not_what_they_name(root: Path, outside: Path) -> None:
    (root / "tmp/deep/er").mkdir(parents=True)
    (root / "tmp/deep/link").symlink_to(outside)
    (root / "tmp/link").symlink_to(outside)
    with Tree(root) as tree:
        tree.clear("tmp")
        tree.clear("no/such/directory")
    assert list((root / "tmp").iterdir()) == []
    assert (outside / "passwd").exists()


def test_a_path_upwards_is_refused(root: Path) -> None:
    with Tree(root) as tree, pytest.raises(ValueError, match="beneath"):
        tree.write("a/../../b", b"")


def test_size_counts_hard_links_once(root: Path) -> None:
    (root / "a").write_bytes(os.urandom(1 << 20))
    with Tree(root) as tree:
        before = tree.size()
        os.link(root / "a", root / "b")
        (root / "c").symlink_to("/")
        assert tree.size() - before < 1 << 16
    assert before >= 1 << 20


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ImageBuildFailed):
        Tree(tmp_path / "none")
