"""Things that fail in the middle: the branch is where it was, says so, and goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tcvs_core import faults
from tcvs_core.errors import TcvsError
from tcvs_core.faults import Fault
from tcvs_core.ids import BranchName, StateId
from tcvs_core.live.engines.fake import FakeContainer, FakeDesktop, FakeEngine
from tcvs_core.live.engines.protocol import EngineError
from tcvs_core.workspace import fork, inspect, life, travel
from tcvs_core.workspace.commit import commit
from tcvs_core.workspace.repository import Repository
from tcvs_core.workspace.scribe import CommitLost, Job

MAIN = BranchName("main")


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    faults.disarm()


def inside(repo: Repository, branch: str = "main") -> FakeDesktop:
    container = repo.container(BranchName(branch))
    assert isinstance(container, FakeContainer)
    return container.desktop


def test_a_commit_that_cannot_be_written_is_lost_and_the_branch_where_it_was(
    repo: Repository, open_repository: Callable[[], Repository]
) -> None:
    life.up(repo)
    before = commit(repo, message="before", wait=True)["id"]
    states = set(repo.files.states())
    faults.arm(Fault.COMMIT_OBJECT, "error")
    with pytest.raises(CommitLost, match="cannot write commit"):
        commit(repo, message="lost", wait=True)
    assert repo.tip(MAIN) == before and set(repo.files.states()) == states
    assert any("it is lost" in notice for notice in inspect.notices(repo))
    assert list(repo.places.images.iterdir()) == []
    after = commit(repo, message="after", wait=True)["id"]
    assert repo.history.branches()[MAIN] == after
    assert [c["message"] for c in inspect.log(repo)["commits"][:2]] == ["after", "before"]
    repo.close()
    assert open_repository().tip(MAIN) == after  # nothing comes back from the journal


def test_what_descends_from_a_lost_commit_is_lost_with_it(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.up(repo)
    before = commit(repo, message="before", wait=True)["id"]
    both = threading.Event()
    write = repo.scribe.write

    def later(job: Job) -> None:
        both.wait(10)
        write(job)

    monkeypatch.setattr(repo.scribe, "write", later)
    faults.arm(Fault.COMMIT_OBJECT, "error")
    lost = commit(repo, message="lost")["id"]
    built = commit(repo, message="built on it")["id"]
    assert repo.commit(built).parents == [lost]
    both.set()
    repo.scribe.drain()
    assert repo.tip(MAIN) == before
    assert commit(repo, message="after", wait=True)["id"] == repo.tip(MAIN)
    assert [c["message"] for c in inspect.log(repo)["commits"][:2]] == ["after", "before"]


def test_a_commit_without_room_for_its_memory_keeps_its_files(repo: Repository) -> None:
    life.up(repo)
    faults.arm(Fault.COMMIT_PACKED, "error")
    with pytest.raises(CommitLost):
        commit(repo, message="files only", wait=True)
    newest = inspect.log(repo)["commits"][0]
    assert (newest["message"], newest["memory"]) == ("files only", "none")
    assert repo.files.has_state(StateId(newest["state"]["state"]))
    assert any("has no memory half" in notice for notice in inspect.notices(repo))


def test_a_rollback_whose_target_does_not_come_to_life_changes_nothing(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.up(repo)
    inside(repo).memory["draft"] = "good"
    goal = commit(repo, message="goal", wait=True)["id"]
    inside(repo).memory["draft"] = "newer"
    notes = repo.files.branch_path(MAIN) / "home/user/notes.txt"
    notes.write_text("newer\n")
    real = FakeEngine.restore
    calls: list[Path] = []

    def restore(engine: FakeEngine, image: Path, target: object) -> object:
        calls.append(image)
        if len(calls) == 1:
            raise EngineError("it does not come to life", operation="restore")
        return real(engine, image, target)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeEngine, "restore", restore)
    with pytest.raises(TcvsError, match="it does not come to life") as caught:
        travel.rollback(repo, target=goal)
    assert caught.value.hint == "main is what it was"
    assert inside(repo).memory == {"draft": "newer"} and notes.read_text() == "newer\n"
    assert repo.tip(MAIN) != goal
    assert travel.rollback(repo, target=goal)["how"] == "restored"
    assert inside(repo).memory == {"draft": "good"}
    travel.undo(repo)
    assert inside(repo).memory == {"draft": "newer"}


def test_a_fork_that_cannot_be_noted_leaves_nothing(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.up(repo)

    def refuse(*_arguments: object) -> None:
        raise TcvsError("no room for the ref")

    monkeypatch.setattr(repo.history, "set_branch", refuse)
    with pytest.raises(TcvsError, match="no room for the ref"):
        fork.branch_create(repo, name="a")
    monkeypatch.undo()
    assert repo.branches.live("a") is None and repo.branches.names() == ["main"]
    assert not repo.files.has_branch(BranchName("a"))
    assert fork.branch_create(repo, name="a")["branches"][0]["error"] is None
