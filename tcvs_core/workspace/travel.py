"""`checkout`, `rollback` and `undo`: going to another state of a desktop."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tcvs_core.errors import TcvsError, UsageError
from tcvs_core.faults import Fault, hit
from tcvs_core.ids import BranchName, CommitId, StateId, branch_name
from tcvs_core.model import Commit
from tcvs_core.workspace.commit import save
from tcvs_core.workspace.fork import born, new_names
from tcvs_core.workspace.life import boot, materialize, reset_files, revive, up
from tcvs_core.workspace.repository import Progress, Repository, silent


def checkout(
    repo: Repository,
    *,
    target: str,
    new_branch: str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Switch to a branch, starting it if need be, or bring a commit to life as a new branch."""
    begin = time.monotonic()
    if target in repo.tips() and new_branch is None:
        started = up(repo, branch=target, progress=progress)
        repo.history.set_head(BranchName(target))
        how = "switched" if started["how"] == "already" else started["how"]
        name, commit = BranchName(target), repo.tip(BranchName(target))
    else:
        commit = repo.resolve(target)
        with repo.locks.hold("checkout", ""):
            repo.scribe.wait(commit, lambda stage, done: progress(stage, done, commit[:10]))
            name = new_names(repo, new_branch, 1)[0] if new_branch else _free_name(repo, commit)
            found = repo.commit(commit)
            with (
                repo.loaded(StateId(found.state.state), progress) as image,
                repo.locks.hold("checkout", name),
            ):
                progress("restore", 0.5, name)
                born(repo, name, found, image)
                how = "restored" if image else "booted"
            repo.history.set_head(name)
    return {
        "branch": name,
        "commit": commit,
        "how": how,
        "seconds": time.monotonic() - begin,
    }


def _free_name(repo: Repository, commit: CommitId) -> BranchName:
    """Return a name for a branch that nobody named: ``at-`` and the commit's first digits."""
    known = repo.tips()
    name = f"at-{commit[:7]}"
    number = 1
    while name in known:
        number += 1
        name = f"at-{commit[:7]}-{number}"
    return branch_name(name)


def rollback(
    repo: Repository,
    *,
    target: str | None = None,
    branch: str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Put a branch back to a commit: files, memory and windows.

    What it was until then is committed first, so that `undo` brings it back.  The image of the
    target is read and checked before anything is stopped.  The branch's ref moves to the target
    when that runs: cut short, or if the target does not come to life, the branch is what it was,
    and the error says so.
    """
    begin = time.monotonic()
    name = repo.branch(branch)
    with repo.locks.hold("rollback", "", name):
        goal = repo.resolve(target) if target else repo.tip(name)
        repo.scribe.wait(goal, lambda stage, done: progress(stage, done, goal[:10]))
        commit = repo.commit(goal)
        was_running = repo.branches.live(name) is not None
        with repo.loaded(StateId(commit.state.state), progress) as image:
            progress("capture", 0.2, name)
            saved = save(repo, name, f"Save {name} before rollback to {goal[:10]}", repo.author)
            hit(Fault.ROLLBACK_SAVED)
            progress("stop", 0.4, name)
            repo.stop_container(name)
            repo.branches.change(name, running=False, resume=saved.state.state)
            hit(Fault.ROLLBACK_STOPPED)
            progress("restore", 0.5, name)
            try:
                how = _become(repo, name, commit, image, was_running)
            except TcvsError as error:
                raise _brought_back(repo, name, saved.commit, was_running, error) from error
            repo.scribe.move_later(saved, name, goal, f"rollback: to {goal[:10]}")
            repo.set_tip(name, goal)
    return {
        "branch": name,
        "commit": goal,
        "saved": saved.commit,
        "seconds": time.monotonic() - begin,
        "how": how,
    }


def _become(
    repo: Repository, name: BranchName, commit: Commit, image: Path | None, run: bool
) -> str:
    """Make ``name``, which is stopped, be ``commit``; return how."""
    reset_files(repo, name, StateId(commit.state.state))
    if image is not None:
        revive(repo, name, commit, image)
        return "restored"
    if run:
        boot(repo, name)
        return "booted"
    repo.branches.change(name, resume=None)
    return "files"


def _brought_back(
    repo: Repository, name: BranchName, saved: CommitId, run: bool, error: TcvsError
) -> TcvsError:
    """Make ``name`` what it was before a rollback that failed; return the error to be raised."""
    hint = f"{name} is what it was"
    try:
        repo.scribe.wait(saved)
        if run:
            materialize(repo, name, repo.commit(saved))
        else:
            reset_files(repo, name, StateId(repo.commit(saved).state.state))
    except TcvsError as again:
        hint = f"nor could it be brought back ({again}); it is kept as {saved[:10]}"
    return TcvsError(
        f"cannot roll {name} back: {error}", operation="rollback", subject=name, hint=hint
    )


#: Reflog messages of moves that `undo` can take back.
_UNDOABLE = ("rollback:", "merge:")


def undo(
    repo: Repository, *, branch: str | None = None, progress: Progress = silent
) -> dict[str, Any]:
    """Take back the last rollback or merge of a branch: it becomes what it was before."""
    name = repo.branch(branch)
    repo.scribe.drain()
    moves = repo.history.reflog(name)
    last = moves[0] if moves else None
    if last is None or last["old"] is None or not last["message"].startswith(_UNDOABLE):
        did = f"the last step of {name} was: {last['message']}" if last else "nothing was done yet"
        raise UsageError(
            f"nothing to undo on {name}",
            operation="undo",
            subject=name,
            hint=f"{did}; `tcvs reflog` lists states, `tcvs rollback STATE` goes to one",
        )
    result = rollback(repo, target=last["old"], branch=name, progress=progress)
    return result | {"undone": last["message"]}
