from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tcvs_core.errors import TcvsError, UsageError
from tcvs_core.ids import BranchName, CommitId
from tcvs_core.model import Author, Process, State, Window
from tcvs_core.store.atomic import StoreError
from tcvs_core.store.history import (
    History,
    HistoryDamaged,
    NoSuchRef,
    RefChanged,
    RefExists,
    UnknownRevision,
)
from tcvs_core.store.record import BadRecord

Make = Callable[..., State]
Chain = Callable[..., list[CommitId]]
MAIN = BranchName("main")
PNG = b"\x89PNG\r\n\x1a\n" + b"picture"
JPEG = b"\xff\xd8\xff" + b"picture"


def test_a_commit_comes_back_as_it_was(history: History, make_state: Make) -> None:
    state = make_state(
        kind="merge",
        memory="durable",
        engine="criu",
        author=Author("Zoë <x> Agent", "zoe@example.org", "agent"),
        action='{"type": "click",\n\n "x": 5}',
        times_ms={"pause": 12.5},
        screen=(1280, 720),
        processes=[Process(1, 0, "init", "/init", host_pid=77)],
        windows=[Window("Notes", "org.notes", active=True)],
        merge={"from": "a", "paths": ["~/docs"]},
        settings={"net": False},
    )
    one = history.commit(make_state(), [], "one")
    two = history.commit(make_state(), [], "two")
    message = "Subject line\n\nBody.\n\nTcvs-State: not a trailer\nTcvs-Kind: nor this"
    commit = history.read(history.commit(state, [one, two], message, PNG))
    assert commit.message == message
    assert commit.parents == [one, two]
    assert commit.memory == "durable"
    assert commit.state == dataclasses.replace(state, screenshot="screenshot.png")


def test_the_id_is_known_before_anything_is_written(history: History, make_state: Make) -> None:
    state = make_state()
    args = (state, [], "message", JPEG)
    before = History.commit_id_of(*args)
    assert not history.has(before)
    assert history.commit(*args) == before
    assert history.has(before)
    assert history.commit(*args) == before


def test_screenshots(history: History, make_state: Make) -> None:
    for picture in (PNG, JPEG, None):
        assert history.screenshot(history.commit(make_state(), [], "m", picture)) == picture
    with pytest.raises(BadRecord):
        history.commit(make_state(), [], "m", b"GIF89a")


def test_a_branch_moves_by_compare_and_set(history: History, make_state: Make) -> None:
    one, two, three = (history.commit(make_state(), [], str(n)) for n in range(3))
    history.set_branch(MAIN, one, None)
    with pytest.raises(RefChanged):
        history.set_branch(MAIN, two, None)
    with pytest.raises(RefChanged) as caught:
        history.set_branch(MAIN, three, two)
    assert caught.value.details == {"current": one, "expected": two}
    assert history.branches() == {"main": one}
    history.set_branch(MAIN, two, one)
    history.set_branch(MAIN, three)
    assert history.branches() == {"main": three}
    assert len(history.reflog(MAIN)) == 3


def test_a_branch_points_only_to_what_is_there(history: History, make_state: Make) -> None:
    missing = History.commit_id_of(make_state(), [], "never written")
    with pytest.raises(HistoryDamaged):
        history.set_branch(MAIN, missing, None)
    assert history.branches() == {}
    assert history.reflog(MAIN) == []


@pytest.mark.parametrize("name", ["", "a/b", "../x", "-x", "x.lock", "a b", "HEAD"])
def test_bad_names_are_refused(history: History, make_state: Make, name: str) -> None:
    commit = history.commit(make_state(), [], "m")
    with pytest.raises(UsageError):
        history.set_branch(BranchName(name), commit)
    with pytest.raises(UsageError):
        history.set_head(BranchName(name))


def test_the_reflog_tells_every_move(history: History, make_state: Make, chain: Chain) -> None:
    ids = chain(3)
    history.set_branch(MAIN, ids[0], ids[2], "rollback: to\nnumber 0")
    log = history.reflog(MAIN)
    assert [entry["new"] for entry in log] == [ids[0], ids[2], ids[1], ids[0]]
    assert [entry["old"] for entry in log] == [ids[2], ids[1], ids[0], None]
    assert log[0]["message"] == "rollback: to number 0"
    assert log[0]["time"] > 1_700_000_000


def test_a_move_that_a_crash_prevented_is_not_in_the_reflog(
    history: History, make_state: Make, tmp_path: Path, chain: Chain
) -> None:
    ids = chain(2)
    other = history.commit(make_state(), ids[-1:], "never reached")
    path = tmp_path / "git" / "logs" / "refs" / "heads" / "main"
    good = path.read_bytes()
    phantom = f"{ids[1]} {other} tcvs <tcvs@localhost> 1700000000 +0000\tcommit: x\n".encode()
    for tail in (phantom, phantom[:50]):
        path.write_bytes(good + tail)
        assert [entry["new"] for entry in history.reflog(MAIN)] == [ids[1], ids[0]]
        history.set_branch(MAIN, ids[0], ids[1], "back")
        assert path.read_bytes().startswith(good)
        assert [entry["new"] for entry in history.reflog(MAIN)] == [ids[0], ids[1], ids[0]]
        history.set_branch(MAIN, ids[1], ids[0], "forth")
        path.write_bytes(good)


def test_a_crash_at_any_step_of_a_commit_leaves_the_old_or_the_new(
    history: History,
    make_state: Make,
    tmp_path: Path,
    die_at_each_step: Callable[..., int],
    chain: Chain,
) -> None:
    (base,) = chain(1)
    state = make_state()
    new = History.commit_id_of(state, [base], "next", PNG)
    ends = set()

    def act() -> None:
        inner = History.open(tmp_path / "git")
        inner.commit(state, [base], "next", PNG)
        inner.set_branch(MAIN, new, base, "commit: next")

    def check(_: int) -> None:
        with History.open(tmp_path / "git") as again:
            tip = again.branches()[MAIN]
            ends.add(tip)
            assert again.read(tip).id == tip
            log = again.reflog(MAIN)
            assert log[0]["new"] == tip
            # What was cut short can be done again at once, over whatever lay about.
            assert again.commit(state, [base], "next", PNG) == new
            again.set_branch(MAIN, new)
            again.set_branch(MAIN, base, new, "back")

    assert die_at_each_step(act, check) > 15
    assert ends == {base, new}


def test_a_history_is_made_whole_or_not_at_all(
    tmp_path: Path, die_at_each_step: Callable[..., int]
) -> None:
    path = tmp_path / "git"

    def check(_: int) -> None:
        if path.exists():
            History.open(path).close()
        else:
            History.create(path).close()
        with History.open(path) as made:
            assert made.head() == "main"
        assert [entry.name for entry in tmp_path.iterdir()] == ["git"]
        shutil.rmtree(path)

    assert die_at_each_step(lambda: History.create(path).close(), check) > 10


def test_a_history_is_not_made_over_another(history: History, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        History.create(tmp_path / "git")
    assert history.head() == "main"


def test_head(history: History, make_state: Make) -> None:
    assert history.head() == "main"
    history.set_head(BranchName("other"))
    assert history.head() == "other"
    with pytest.raises(UnknownRevision, match="no commit yet"):
        history.resolve("HEAD")


def test_deleting_and_renaming(history: History, make_state: Make, chain: Chain) -> None:
    ids = chain(2)
    history.set_branch(BranchName("other"), ids[0], None, "branch")
    with pytest.raises(RefExists):
        history.rename_branch(MAIN, BranchName("other"))
    history.rename_branch(MAIN, BranchName("trunk"))
    assert history.head() == "trunk"
    assert len(history.reflog(BranchName("trunk"))) == 2
    assert history.reflog(MAIN) == []
    assert history.delete_branch(BranchName("other")) == ids[0]
    assert history.branches() == {"trunk": ids[1]}
    for act in (
        lambda: history.delete_branch(MAIN),
        lambda: history.rename_branch(MAIN, BranchName("x")),
    ):
        with pytest.raises(NoSuchRef):
            act()


def test_a_new_branch_does_not_inherit_the_log_of_a_deleted_one(
    history: History, make_state: Make, tmp_path: Path, chain: Chain
) -> None:
    ids = chain(2)
    log = tmp_path / "git" / "logs" / "refs" / "heads" / "main"
    old = log.read_bytes()
    history.delete_branch(MAIN)
    log.write_bytes(old)  # as a crash between the two would leave it
    history.set_branch(MAIN, ids[0], None, "again")
    assert [entry["new"] for entry in history.reflog(MAIN)] == [ids[0]]


def test_tags(history: History, make_state: Make, chain: Chain) -> None:
    ids = chain(2)
    history.set_tag("light", ids[0])
    history.set_tag("v1", ids[1], "First\n\nrelease")
    assert history.tags() == {"light": (ids[0], None), "v1": (ids[1], "First\n\nrelease")}
    with pytest.raises(RefExists):
        history.set_tag("v1", ids[0])
    history.delete_tag("v1")
    with pytest.raises(NoSuchRef):
        history.delete_tag("v1")
    assert list(history.tags()) == ["light"]


def test_read_and_walk_name_the_refs(history: History, make_state: Make, chain: Chain) -> None:
    ids = chain(3)
    history.set_branch(BranchName("other"), ids[2], None)
    history.set_tag("v1", ids[1], "x")
    assert history.read(ids[2]).refs == ["main", "other"]
    walked = {commit.id: commit.refs for commit in history.walk([ids[2]])}
    assert walked == {ids[2]: ["main", "other"], ids[1]: ["tag: v1"], ids[0]: []}
    history.set_branch(MAIN, ids[0])
    assert history.read(ids[2]).refs == ["other"]


def test_a_lock_that_a_killed_process_left_is_broken(
    history: History, make_state: Make, tmp_path: Path, chain: Chain
) -> None:
    one, two = chain(2)
    (tmp_path / "git" / "refs" / "heads" / "main.lock").touch()
    history.set_branch(MAIN, one, two)
    assert history.branches() == {"main": one}
    (tmp_path / "git" / "HEAD.lock").touch()
    history.set_head(BranchName("other"))
    assert history.head() == "other"


def test_processes_that_move_a_branch_at_once_lose_no_move(
    history: History, make_state: Make, tmp_path: Path, chain: Chain
) -> None:
    base = chain(1)[0]
    commits = [history.commit(make_state(), [base], f"c{n}") for n in range(8)]
    children = []
    for commit in commits:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                inner = History.open(tmp_path / "git")
                inner.set_branch(MAIN, commit, base)
                status = 0
            except RefChanged:
                status = 3
            finally:
                os._exit(status)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sorted(codes) == [0] + [3] * 7
    assert history.branches()[MAIN] == commits[codes.index(0)]
    assert len(history.reflog(MAIN)) == 2


def _read_all(history: History, commit: CommitId) -> None:
    history.read(commit)
    history.screenshot(commit)


def _object_files(git: Path) -> list[Path]:
    return sorted(path for path in (git / "objects").glob("??/*") if len(path.name) == 38)


def test_any_damaged_object_is_told_by_name(
    history: History, make_state: Make, tmp_path: Path
) -> None:
    commit = history.commit(make_state(), [], "message", PNG)
    git = tmp_path / "git"
    files = _object_files(git)
    assert len(files) == 4
    for path in files:
        good = path.read_bytes()
        path.chmod(0o600)
        for bad in (good[: len(good) // 2], b"", good[:-6] + b"\0" * 6, os.urandom(len(good))):
            path.write_bytes(bad)
            with History.open(git) as again, pytest.raises(HistoryDamaged) as caught:
                _read_all(again, commit)
            assert str(path) in str(caught.value)
        path.write_bytes(good)
    with History.open(git) as again:
        assert again.read(commit).id == commit


def test_a_commit_of_something_else_is_told(history: History, tmp_path: Path) -> None:
    with pytest.raises(HistoryDamaged):
        History.open(tmp_path)
    with pytest.raises(TcvsError):
        history.read(CommitId("0" * 40))
