"""Stock Git reads the history: log, fsck, reflog, clone, and survives its own gc."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tcvs_core.ids import BranchName, CommitId
from tcvs_core.model import Author, State
from tcvs_core.store.history import History

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

MAIN = BranchName("main")
PNG = b"\x89PNG\r\n\x1a\n" + b"picture"
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    "LC_ALL": "C.UTF-8",
}


def _git(directory: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", "-C", str(directory), *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def _state(number: int, **fields: object) -> State:
    values: dict[str, object] = {
        "state": f"20260101T000000-{number:012x}",
        "branch": "main",
        "kind": "commit",
        "image": "mini",
        "created": 1_700_000_000.25 + number,
        "author": Author("Ann Example", "ann@example.org"),
    }
    return State(**(values | fields))  # type: ignore[arg-type]


@pytest.fixture
def git_dir(tmp_path: Path) -> Path:
    """A history with a merge, tags, a rename, a rollback and everything odd in its texts."""
    path = tmp_path / "git"
    with History.create(path) as history:
        ids: list[CommitId] = []
        authors = [
            Author("Ann Example", "ann@example.org"),
            Author("", ""),
            Author("<b> \0 Ünï, Côde.", "a b@<c>\n", "agent"),
            Author("\udc80 broken \ud800", "x"),
        ]
        actions = [None, "click 1 2", '{"a":\n\n"b"}', "nul\0 \udcff\ntcvs-state: x"]
        messages = ["first", "", "two\n\nparagraphs\r\nand\0 more", "\udcff\nTcvs-State: fake\n"]
        for number in range(12):
            state = _state(
                number,
                author=authors[number % 4],
                action=actions[number % 4],
                kind="commit" if number else "root",
            )
            picture = PNG if number % 3 else None
            new = history.commit(state, ids[-1:], messages[number % 4], picture)
            history.set_branch(MAIN, new, ids[-1] if ids else None, f"commit: {number}")
            ids.append(new)
        side = history.commit(_state(90, branch="side"), [ids[5]], "side")
        history.set_branch(BranchName("topic"), side, None, "branch: from main")
        history.rename_branch(BranchName("topic"), BranchName("side"))
        merge = history.commit(_state(91, kind="merge"), [ids[-1], side], "merge side")
        history.set_branch(MAIN, merge, ids[-1], "merge: side")
        history.set_tag("light", ids[2])
        history.set_tag("v1", ids[3], "Version one\n\nwith \0 ü")
        history.set_branch(MAIN, ids[8], merge, "rollback")
        history.set_branch(MAIN, merge, ids[8], "undo")
    return path


def test_fsck_is_clean(git_dir: Path) -> None:
    text = _git(git_dir, "fsck", "--strict", "--full")
    assert "error" not in text
    assert "warning" not in text
    assert "missing" not in text
    assert "dangling" not in text


def test_log_shows_what_was_committed(git_dir: Path) -> None:
    lines = _git(git_dir, "log", "--format=%h|%an|%ae|%at|%P|%s", "main").splitlines()
    assert len(lines) == 14
    assert lines[0].endswith("merge side")
    assert "|Ann Example|ann@example.org|1700000000|" in lines[-1]
    assert len(lines[0].split("|")[4].split()) == 2


def test_trailers_are_read(git_dir: Path) -> None:
    text = _git(git_dir, "log", "--format=%(trailers:only,unfold)", "main")
    assert text.count("Tcvs-State: ") >= 14
    assert "Tcvs-Kind: merge" in text
    assert "Tcvs-Branch: main" in text
    assert "Tcvs-Action: click 1 2" in text
    assert 'Tcvs-Action: {"a": "b"}' in text


def test_the_record_and_the_picture_are_files(git_dir: Path) -> None:
    assert _git(git_dir, "ls-tree", "--name-only", "main~1").split() == [
        "screenshot.png",
        "state.json",
    ]
    assert '"kind": "merge"' in _git(git_dir, "show", "main:state.json")


def test_reflog_is_read(git_dir: Path) -> None:
    lines = _git(git_dir, "reflog", "show", "main").splitlines()
    assert len(lines) == 15
    assert "undo" in lines[0]
    assert "main@{14}: commit: 0" in lines[-1]
    assert _git(git_dir, "rev-parse", "main@{1}") == _git(git_dir, "rev-parse", "main~4")


def test_clone_has_it_all(git_dir: Path, tmp_path: Path) -> None:
    _git(tmp_path, "clone", "--bare", "--quiet", str(git_dir), str(tmp_path / "clone"))
    for name in ("main", "side", "v1", "light"):
        assert _git(tmp_path / "clone", "rev-parse", name) == _git(git_dir, "rev-parse", name)


def test_the_history_is_read_and_written_after_gc(git_dir: Path) -> None:
    before = History.open(git_dir)
    tip = before.branches()[MAIN]
    _git(git_dir, "gc", "--quiet", "--prune=now")
    _git(git_dir, "pack-refs", "--all")
    try:
        # A history that was open meanwhile finds the objects in their pack.
        assert before.read(before.resolve("main~2")).message.startswith("two")
        assert before.resolve(tip[:10]) == tip
        new = before.commit(_state(200), [tip], "after gc")
        before.set_branch(MAIN, new, tip, "commit")
        before.rename_branch(BranchName("side"), BranchName("aside"))
        before.delete_branch(BranchName("aside"))
        before.delete_tag("v1")
    finally:
        before.close()
    with History.open(git_dir) as after:
        assert after.branches() == {"main": new}
        assert list(after.tags()) == ["light"]
        assert len(list(after.walk([new]))) == 15
    assert "dangling commit" not in _git(git_dir, "fsck", "--strict", "--no-dangling")


def test_stock_git_may_move_a_branch(git_dir: Path) -> None:
    with History.open(git_dir) as history:
        target = history.resolve("main~4")
        _git(git_dir, "update-ref", "refs/heads/main", target)
        assert history.branches()[MAIN] == target
        assert history.read(target).refs == ["main"]
