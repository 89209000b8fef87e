"""A tree that leads nobody out of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tcvs_core.linux.beneath import RENAME_EXCHANGE, RENAME_NOREPLACE, Beneath, rename_between


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").write_text("secret")
    inside = tmp_path / "root"
    (inside / "d/e").mkdir(parents=True)
    (inside / "d/f").write_text("text")
    (inside / "abs").symlink_to(tmp_path)
    (inside / "up").symlink_to("..")
    (inside / "d/self").symlink_to("f")
    return inside


OUT = ["abs/outside", "up/outside", "../outside", "d/../../outside", "/etc/passwd", "d/self", "up"]


@pytest.mark.parametrize("path", OUT)
def test_no_way_out(root: Path, path: str) -> None:
    with Beneath(root) as tree:
        with pytest.raises(OSError), tree.open(path):
            pass
        with pytest.raises(OSError):
            tree.read(path)


def test_looking_at_links_themselves(root: Path) -> None:
    with Beneath(root) as tree:
        assert tree.readlink("up") == ".."
        status = tree.lstat("abs")
        assert status is not None and os.path.samestat(status, os.lstat(root / "abs"))
        assert tree.xattrs("up") == {}
        assert tree.lstat("abs/outside") is None and tree.lstat("nothing") is None
        assert tree.lstat("d/f/x") is None


def test_reading(root: Path) -> None:
    os.setxattr(root / "d/f", "user.a", b"1")
    with Beneath(root) as tree:
        assert tree.read("d/f") == b"text" and tree.read("d/f", 2) == b"te"
        assert tree.xattrs("d/f") == {"user.a": b"1"}
        assert tree.listdir("d") == ["e", "f", "self"]
        assert [p for p, _ in tree.walk()] == ["abs", "d", "d/e", "d/f", "d/self", "up"]
        assert [p for p, _ in tree.walk("d")] == ["d/e", "d/f", "d/self"]
        assert tree.birth_time("d/f")[0] == pytest.approx(os.stat(root / "d/f").st_ctime, abs=5)
        with pytest.raises(OSError):
            tree.read("d")
        os.mkfifo(root / "fifo")
        with pytest.raises(OSError):
            tree.read("fifo")  # and does not wait for a writer


def test_names_that_are_not_text(root: Path) -> None:
    raw = os.fsencode(root) + b"/\xff\n"
    with open(raw, "wb") as file:
        file.write(b"x")
    with Beneath(root) as tree:
        assert tree.read("\udcff\n") == b"x"
        assert "\udcff\n" in tree.listdir(".")


def test_a_kept_directory_sees_what_is_made_later(root: Path) -> None:
    with Beneath(root) as tree:
        (root / "later").touch()
        assert "later" in tree.listdir(".")


def test_rename_between(root: Path) -> None:
    with Beneath(root) as tree, tree.parent("d/f") as (fd, name):
        assert name == "f"
        with pytest.raises(FileExistsError):
            rename_between(fd, "f", tree.fd, "d", RENAME_NOREPLACE)
        rename_between(fd, "f", tree.fd, "up", RENAME_EXCHANGE)
    assert (root / "up").read_text() == "text" and os.readlink(root / "d/f") == ".."


@pytest.mark.parametrize("path", ["", ".", "..", "d/.."])
def test_no_parent(root: Path, path: str) -> None:
    with Beneath(root) as tree, pytest.raises(OSError), tree.parent(path):
        pass
