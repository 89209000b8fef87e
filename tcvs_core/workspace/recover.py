"""What the keeper does first: find what an earlier one, a crash or a reboot left behind."""

from __future__ import annotations

import shutil

from tcvs_core.errors import TcvsError
from tcvs_core.history import recover as recover_merge
from tcvs_core.ids import BranchName, StateId
from tcvs_core.workspace.commit import files_only, submit
from tcvs_core.workspace.repository import Repository, tidying


def recover(repo: Repository) -> None:
    """Bring the repository back to what is true, and say what was lost."""
    repo.runtime.sweep({container.branch for container in repo.branches.all_live()})
    repo.files.recover()
    dropped = repo.scribe.recover()
    for job in dropped:
        branch = job.moves[0][0] if job.moves else job.state.branch
        tip = repo.history.branches().get(BranchName(branch))
        repo.notice(
            f"commit {job.commit[:10]} of {branch} was not yet durable when the machine stopped, "
            f"and is lost; {branch} is at {tip[:10] if tip else 'nothing'}"
        )
        with tidying():
            repo.files.delete_state(StateId(job.state.state))
    jobs = repo.scribe.pending().values()
    for job in jobs:
        for branch, commit, _why in job.moves:
            repo.set_tip(branch, commit)
    _sweep_images(repo, {job.image.name for job in jobs if job.image})
    _sweep_states(repo, {job.state.state for job in jobs})
    _sweep_branches(repo)
    _finish_merges(repo)
    _note_crashed(repo)


def _sweep_images(repo: Repository, wanted: set[str]) -> None:
    """Remove memory images that no job waits for."""
    for image in repo.places.images.iterdir():
        if image.name not in wanted:
            shutil.rmtree(image, ignore_errors=True)


def _sweep_states(repo: Repository, wanted: set[str]) -> None:
    """Remove snapshots that were made for a commit that never came to be."""
    known = set(wanted)
    starts = list(repo.history.branches().values()) + [
        info.commit for info in repo.history.tags().values()
    ]
    for branch in repo.history.branches():
        for move in repo.history.reflog(branch):
            starts += [c for c in (move["old"], move["new"]) if c]
    for commit in repo.history.walk(starts):
        known.add(commit.state.state)
    for state in repo.files.states():
        if state not in known:
            with tidying():
                repo.files.delete_state(state)


def _sweep_branches(repo: Repository) -> None:
    """Remove what a fork that was cut short left: files or facts of a branch without a ref."""
    refs = repo.history.branches()
    for container in repo.branches.all_live():
        if container.branch not in refs:
            with tidying():
                repo.runtime.stop(container)
            repo.branches.forget(container.branch)
    for name in repo.branches.names():
        if name not in refs:
            repo.branches.forget(name)
    for branch in repo.files.branches():
        if branch not in refs:
            with tidying():
                repo.files.delete_branch(branch)


def _finish_merges(repo: Repository) -> None:
    """Undo a merge that was cut short, then let the desktop that stood still for it go on."""
    for branch in repo.files.branches():
        try:
            if recover_merge(repo.files.branch_path(branch)):
                repo.notice(f"a merge into {branch} was cut short; {branch} is as before it")
        except TcvsError as error:
            repo.notice(f"{branch}: {error}")
    for container in repo.branches.all_live():
        if container.group is not None:
            container.group.freeze(False)


def _note_crashed(repo: Repository) -> None:
    """A branch that ought to run and does not: keep its files, go back to its last commit."""
    for name in repo.branches.names():
        branch = BranchName(name)
        try:
            facts = repo.branches.facts(branch)
        except TcvsError as error:
            repo.notice(str(error))
            continue
        if not facts.running or repo.branches.live(branch) is not None:
            continue
        tip = repo.tip(branch)
        kept = ""
        if repo.files.has_branch(branch):
            job = submit(
                repo,
                branch,
                files_only(repo, branch),
                kind="save",
                message=f"Files of {branch} as a crash left them",
                author=repo.author,
                then=tip,
            )
            kept = f"; the files it had are kept as {job.commit[:10]}"
        repo.branches.change(branch, running=False, resume=repo.commit(tip).state.state)
        repo.notice(
            f"the desktop of {branch} ended without `tcvs down`; "
            f"`tcvs up {branch}` brings it back as of commit {tip[:10]}{kept}",
            about=branch,
        )
