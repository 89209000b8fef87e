"""`branch NAME`: fork a running desktop into siblings, or bring a commit to life."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tcvs_core.errors import TcvsError, UsageError
from tcvs_core.faults import Fault, hit
from tcvs_core.ids import BranchName, CommitId, StateId, branch_name
from tcvs_core.live.container import Container, Settings
from tcvs_core.live.engines.protocol import Target
from tcvs_core.model import Commit
from tcvs_core.workspace.branches import Facts
from tcvs_core.workspace.commit import Captured, capture, submit
from tcvs_core.workspace.life import boot, reset_files, revive
from tcvs_core.workspace.repository import Progress, Repository, silent, tidying

MAX_COUNT = 64


def new_names(repo: Repository, name: str, count: int) -> list[BranchName]:
    """Return the names of ``count`` new branches.  Raises UsageError where one exists."""
    if not 1 <= count <= MAX_COUNT:
        raise UsageError(f"a count is 1 to {MAX_COUNT}, not {count}", operation="branch")
    names = [branch_name(name if count == 1 else f"{name}-{i + 1}") for i in range(count)]
    known = repo.tips()
    for new in names:
        if new in known:
            raise UsageError(
                f"branch {new} exists",
                operation="branch",
                subject=new,
                hint=f"choose another name, or delete it with `tcvs branch -d {new}`",
            )
    return names


def branch_create(
    repo: Repository,
    *,
    name: str,
    count: int = 1,
    source: str | None = None,
    memory: bool = True,
    author: dict[str, Any] | None = None,
    action: str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Make ``count`` running siblings of a running branch, or bring a commit to life as branches.

    Returns {"source", "commit", "pause_ms", "total_ms", "branches": [{"name", "running_ms",
    "pid", "error"}], "times_ms"}.
    """
    begin = time.monotonic()
    origin = source or repo.current()
    with repo.locks.hold("branch", ""):
        names = new_names(repo, name, count)
        live = origin in repo.tips() and repo.branches.live(origin) is not None
        if live:
            result = _fork_live(
                repo, BranchName(origin), names, memory, author, action, progress, begin
            )
        else:
            result = _from_commit(repo, repo.commit(repo.resolve(origin)), origin, names, progress)
    result["total_ms"] = (time.monotonic() - begin) * 1000
    errors = [b["error"] for b in result["branches"] if b["error"]]
    if len(errors) == len(names):
        raise TcvsError(
            f"no branch could be made: {errors[0]}",
            operation="branch",
            subject=name,
            details=result,
        )
    return result


def _fork_live(
    repo: Repository,
    origin: BranchName,
    names: list[BranchName],
    memory: bool,
    author: dict[str, Any] | None,
    action: str | None,
    progress: Progress,
    begin: float,
) -> dict[str, Any]:
    with repo.locks.hold("branch", origin, *names):
        container = repo.container(origin)
        progress("fork", 0.0, origin)
        hit(Fault.FORK_BEFORE_CAPTURE)
        captured = _capture_into(repo, container, names)
        hit(Fault.FORK_AFTER_CAPTURE)
        assert captured.fork is not None
        branches = [
            _welcome(repo, container, new, outcome, captured.times_ms, begin)
            for new, outcome in zip(names, captured.fork.branches, strict=True)
        ]
        hit(Fault.FORK_RESTORED)
        if not memory and captured.image is not None:
            shutil.rmtree(captured.image, ignore_errors=True)
            captured.image = None
        alive = [BranchName(row["name"]) for row in branches if row["error"] is None]
        job = submit(
            repo,
            origin,
            captured,
            kind="fork",
            message=f"Fork {', '.join(names)} from {origin}",
            author=repo.author_of(author),
            action=action,
            also=[(new, f"branch: from {origin}") for new in alive],
        )
        for new in alive:
            repo.watchers.come_back(new)
    return {
        "source": origin,
        "commit": job.commit,
        "pause_ms": captured.times_ms.get("pause", 0.0),
        "branches": branches,
        "times_ms": captured.times_ms,
    }


def _capture_into(repo: Repository, source: Container, names: list[BranchName]) -> Captured:
    """Capture ``source`` and have the engine bring it to life as each of ``names``."""
    settings = repo.branches.facts(source.branch).settings

    def maker(new: BranchName) -> Callable[[StateId], Target]:
        def make(state: StateId) -> Target:
            repo.files.create_branch_from_state(state, new)
            root = repo.files.branch_path(new)
            return repo.runtime.target(new, root, settings, source.address)

        return make

    try:
        return capture(
            repo,
            BranchName(source.branch),
            targets=[maker(new) for new in names],
            frozen_fault=Fault.FORK_FROZEN,
        )
    except BaseException:
        for new in names:
            _drop_files(repo, new)
        raise


def _welcome(
    repo: Repository,
    source: Container,
    new: BranchName,
    outcome: tuple[Container, dict[str, float]] | TcvsError,
    times_ms: dict[str, float],
    begin: float,
) -> dict[str, Any]:
    """Enter what the engine made of ``new`` into the tables; its row of the result."""
    row: dict[str, Any] = {"name": new, "running_ms": None, "pid": None, "error": None}
    try:
        if isinstance(outcome, TcvsError):
            raise outcome
        container, times = outcome
        try:
            repo.runtime.settle(container, source.address)
            facts = repo.branches.facts(source.branch)
            repo.branches.set_facts(
                new, Facts(facts.image, facts.settings, forked=source.branch, running=True)
            )
            repo.branches.set_live(new, container)
            # Last: what has no ref is swept away by the next keeper.
            tip = repo.history.branches()[BranchName(source.branch)]
            repo.history.set_branch(new, tip, None, f"branch: from {source.branch}")
        except TcvsError:
            repo.runtime.stop(container)
            repo.branches.forget(new)
            raise
    except TcvsError as error:
        _drop_files(repo, new)
        return row | {"error": str(error)}
    times_ms |= {f"{stage}[{new}]": took for stage, took in times.items()}
    return row | {"running_ms": (time.monotonic() - begin) * 1000, "pid": container.pid}


def _drop_files(repo: Repository, name: BranchName) -> None:
    """Remove the files of a branch that did not come to be."""
    if repo.files.has_branch(name):
        with tidying():
            repo.files.delete_branch(name)


def _from_commit(
    repo: Repository,
    commit: Commit,
    origin: str,
    names: list[BranchName],
    progress: Progress,
) -> dict[str, Any]:
    """Bring ``commit`` to life as each of ``names``: one read of its memory for all of them."""
    repo.scribe.wait(CommitId(commit.id))
    begin = time.monotonic()
    with repo.loaded(StateId(commit.state.state), progress) as image:

        def one(new: BranchName) -> dict[str, Any]:
            row: dict[str, Any] = {"name": new, "running_ms": None, "pid": None, "error": None}
            try:
                container = born(repo, new, commit, image)
            except TcvsError as error:
                return row | {"error": str(error)}
            return row | {"running_ms": (time.monotonic() - begin) * 1000, "pid": container.pid}

        with repo.locks.hold("branch", *names), ThreadPoolExecutor(max_workers=2) as pool:
            branches = list(pool.map(one, names))
    return {
        "source": origin,
        "commit": commit.id,
        "pause_ms": 0.0,
        "branches": branches,
        "times_ms": {},
    }


def born(repo: Repository, new: BranchName, commit: Commit, image: Any) -> Container:
    """Make the branch ``new`` at ``commit`` and start it.  On failure nothing of it is left."""
    facts = Facts(
        commit.state.image, Settings.from_dict(commit.state.settings), forked=commit.state.branch
    )
    repo.branches.set_facts(new, facts)
    try:
        reset_files(repo, new, StateId(commit.state.state))
        repo.history.set_branch(new, CommitId(commit.id), None, f"branch: from {commit.id[:10]}")
        return boot(repo, new) if image is None else revive(repo, new, commit, image)
    except BaseException:
        remove(repo, new)
        raise


def remove(repo: Repository, name: BranchName) -> None:
    """Stop a branch and drop all of it: desktop, files, facts, ref."""
    with tidying():
        repo.stop_container(name)
    _drop_files(repo, name)
    repo.branches.forget(name)
    repo.set_tip(name, None)
    if name in repo.history.branches():
        repo.history.delete_branch(name)
    repo.watchers.come_back(name)
