"""Commit, branch, checkout, rollback, undo on fake desktops: what goes where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tcvs_core.errors import TcvsError, UsageError
from tcvs_core.ids import BranchName
from tcvs_core.live.engines.fake import FakeContainer, FakeDesktop, FakeRuntime
from tcvs_core.live.engines.protocol import CannotCapture, Obstacle
from tcvs_core.workspace import fork, inspect, life, roster, travel
from tcvs_core.workspace.commit import commit
from tcvs_core.workspace.repository import Repository

MAIN = BranchName("main")


def inside(repo: Repository, branch: str) -> FakeDesktop:
    container = repo.container(BranchName(branch))
    assert isinstance(container, FakeContainer)
    return container.desktop


def notes(repo: Repository, branch: str) -> Path:
    return repo.files.branch_path(BranchName(branch)) / "home/user/notes.txt"


def test_up_makes_the_first_branch_with_a_root_commit(repo: Repository) -> None:
    result = life.up(repo)
    assert result["branch"] == "main" and result["how"] == "booted"
    commits = inspect.log(repo)["commits"]
    assert [c["state"]["kind"] for c in commits] == ["root"]
    assert commits[0]["refs"] == ["main"]
    assert life.up(repo)["how"] == "already"


def test_up_names_the_images_when_there_are_none_or_many(repo: Repository) -> None:
    with pytest.raises(UsageError, match="no image 'nope'"):
        life.up(repo, image="nope")
    assert repo.tips() == {}
    with pytest.raises(UsageError, match="screen size"):
        life.up(repo, screen="big")
    assert repo.tips() == {} and repo.branches.names() == []


def test_up_with_other_settings_on_a_running_desktop_is_refused(repo: Repository) -> None:
    life.up(repo, screen="800x600")
    assert life.up(repo, screen="800x600")["how"] == "already"
    for other in ({"screen": "640x480"}, {"net": True}, {"fresh": True}):
        with pytest.raises(UsageError, match="running already, with other settings"):
            life.up(repo, **other)  # type: ignore[arg-type]
    life.down(repo)
    assert life.up(repo, screen="640x480")["screen"] == [640, 480]


def test_branches_are_isolated_both_ways(repo: Repository) -> None:
    life.up(repo)
    inside(repo, "main").memory["draft"] = "before"
    result = fork.branch_create(repo, name="a", count=2)
    assert [b["name"] for b in result["branches"]] == ["a-1", "a-2"]
    inside(repo, "a-1").memory["draft"] = "one"
    notes(repo, "a-1").write_text("changed in a-1\n")
    inside(repo, "main").memory["draft"] = "main"
    assert inside(repo, "a-2").memory["draft"] == "before"
    assert inside(repo, "main").memory["draft"] == "main"
    assert notes(repo, "main").read_text() == "one\ntwo\nthree\n"
    assert notes(repo, "a-2").read_text() == "one\ntwo\nthree\n"
    repo.scribe.drain()
    refs = repo.history.branches()
    assert refs[BranchName("a-1")] == refs[BranchName("a-2")] == refs[MAIN] == result["commit"]


def test_a_fork_goes_on_where_its_source_was(repo: Repository) -> None:
    life.up(repo)
    inside(repo, "main").ticks_before = 1000.0
    fork.branch_create(repo, name="a")
    assert inside(repo, "a").ticks() >= 1000.0


def test_rollback_restores_memory_and_files_and_undo_takes_it_back(repo: Repository) -> None:
    life.up(repo)
    inside(repo, "main").memory["draft"] = "good"
    first = commit(repo, message="good state")["id"]
    inside(repo, "main").memory["draft"] = "bad"
    notes(repo, "main").write_text("ruined\n")
    result = travel.rollback(repo, target=first[:8])
    assert result["how"] == "restored"
    assert inside(repo, "main").memory == {"draft": "good"}
    assert notes(repo, "main").read_text() == "one\ntwo\nthree\n"
    assert repo.tip(MAIN) == first
    undone = travel.undo(repo)
    assert undone["commit"] == result["saved"]
    assert inside(repo, "main").memory == {"draft": "bad"}
    assert notes(repo, "main").read_text() == "ruined\n"


def test_undo_refuses_what_it_cannot_take_back(repo: Repository) -> None:
    life.up(repo)
    commit(repo, message="only a commit")
    with pytest.raises(UsageError, match="nothing to undo") as caught:
        travel.undo(repo)
    assert "commit: only a commit" in str(caught.value.hint)


def test_checkout_of_a_commit_makes_a_branch_and_leaves_the_other_alone(repo: Repository) -> None:
    life.up(repo)
    inside(repo, "main").memory["draft"] = "then"
    then = commit(repo, message="then", wait=True)["id"]
    inside(repo, "main").memory["draft"] = "now"
    result = travel.checkout(repo, target=then)
    assert result["branch"] == f"at-{then[:7]}" and result["how"] == "restored"
    assert inside(repo, result["branch"]).memory["draft"] == "then"
    assert inside(repo, "main").memory["draft"] == "now"
    assert repo.current() == result["branch"]
    assert travel.checkout(repo, target="main")["how"] == "switched"
    assert repo.current() == "main"


def test_down_saves_and_up_brings_back(repo: Repository) -> None:
    life.up(repo)
    inside(repo, "main").memory["draft"] = "kept"
    life.down(repo)
    assert repo.branches.live(MAIN) is None
    assert life.up(repo)["how"] == "restored"
    assert inside(repo, "main").memory["draft"] == "kept"
    life.down(repo, commit=False)
    assert life.up(repo)["how"] == "booted"


def test_a_name_that_exists_changes_nothing(repo: Repository) -> None:
    life.up(repo)
    fork.branch_create(repo, name="a")
    before = repo.tips()
    with pytest.raises(UsageError, match="branch a exists"):
        fork.branch_create(repo, name="a")
    with pytest.raises(UsageError, match="not a valid branch name"):
        fork.branch_create(repo, name="../etc")
    with pytest.raises(UsageError, match="a count is 1 to"):
        fork.branch_create(repo, name="b", count=0)
    assert repo.tips() == before


def test_an_obstacle_is_refused_by_name_before_anything_happens(repo: Repository) -> None:
    life.up(repo)
    inside(repo, "main").blocked = [Obstacle(7, "vm", "runs a virtual machine (KVM)", "stop it")]
    states = repo.files.states()
    with pytest.raises(CannotCapture, match=r"process 7 \(vm\) runs a virtual machine") as caught:
        fork.branch_create(repo, name="a")
    assert caught.value.hint == "stop it"
    assert repo.files.states() == states and list(repo.places.images.iterdir()) == []
    assert not repo.files.has_branch(BranchName("a"))


def test_delete_refuses_unmerged_work(repo: Repository) -> None:
    life.up(repo)
    fork.branch_create(repo, name="a")
    commit(repo, branch="a", message="work of a", wait=True)
    with pytest.raises(UsageError, match="work that is in no other branch"):
        roster.branch_delete(repo, names=["a"])
    with pytest.raises(UsageError, match="is the current branch"):
        roster.branch_delete(repo, names=["main"], force=True)
    roster.branch_delete(repo, names=["a"], force=True)
    assert "a" not in repo.tips() and not repo.files.has_branch(BranchName("a"))
    fork.branch_create(repo, name="clean")
    roster.branch_delete(repo, names=["clean"])


def test_rename_of_a_stopped_branch(repo: Repository) -> None:
    life.up(repo)
    fork.branch_create(repo, name="a")
    with pytest.raises(UsageError, match="is running"):
        roster.branch_rename(repo, old="a", new="b")
    life.down(repo, branch="a")
    roster.branch_rename(repo, old="a", new="b")
    assert life.up(repo, branch="b")["how"] == "restored"
    assert sorted(repo.tips()) == ["b", "main"]


def test_a_crash_leaves_the_branch_at_its_last_durable_commit(
    repo: Repository, open_repository: Callable[[], Repository], runtime: FakeRuntime
) -> None:
    life.up(repo)
    inside(repo, "main").memory["draft"] = "durable"
    durable = commit(repo, message="durable", wait=True)["id"]
    notes(repo, "main").write_text("written after the commit\n")
    repo.close()
    runtime.desktops.clear()  # the machine stopped
    again = open_repository()
    assert again.tip(MAIN) == durable
    (notice,) = inspect.notices(again)
    assert "ended without `tcvs down`" in notice and durable[:10] in notice
    assert life.up(again)["how"] == "restored"
    assert inside(again, "main").memory["draft"] == "durable"
    again.scribe.drain()
    saved = again.history.reflog(MAIN)[1]["new"]
    with inspect.tree_of(again, saved) as tree:
        assert (tree / "home/user/notes.txt").read_text() == "written after the commit\n"


def test_another_keeper_finds_running_desktops(
    repo: Repository, open_repository: Callable[[], Repository]
) -> None:
    life.up(repo)
    inside(repo, "main").memory["draft"] = "alive"
    repo.close()
    again = open_repository()
    assert inside(again, "main").memory["draft"] == "alive"
    assert inspect.notices(again) == []


def test_unknown_names_are_usage_errors(repo: Repository) -> None:
    life.up(repo)
    for action in (
        lambda: travel.checkout(repo, target="nope"),
        lambda: travel.rollback(repo, target="deadbeef"),
        lambda: inspect.show(repo, revision="nope"),
        lambda: inspect.diff(repo, a="nope"),
        lambda: inspect.status(repo, branch="nope"),
        lambda: commit(repo, branch="nope", message="m"),
        lambda: commit(repo, message="  "),
        lambda: roster.branch_delete(repo, names=["nope"]),
    ):
        with pytest.raises(UsageError):
            action()


def test_status_lists_what_changed(repo: Repository) -> None:
    life.up(repo)
    notes(repo, "main").write_text("new text\n")
    (notes(repo, "main").parent / "more.txt").write_text("more")
    found = inspect.status(repo)
    assert [(c["kind"], c["path"]) for c in found["changes"] if c["type"] == "file"] == [
        ("added", "home/user/more.txt"),
        ("modified", "home/user/notes.txt"),
    ]


def test_a_damaged_memory_image_is_refused_and_the_desktop_runs_on(repo: Repository) -> None:
    life.up(repo)
    state = commit(repo, message="m", wait=True)["id"]
    for file in (repo.places.store / "objects").rglob("*"):
        if file.is_file():
            file.write_bytes(bytes(byte ^ 0xFF for byte in file.read_bytes()))
    inside(repo, "main").memory["draft"] = "alive"
    with pytest.raises(TcvsError):
        travel.rollback(repo, target=state)
    assert inside(repo, "main").memory["draft"] == "alive"
