"""`branch`: fork a running desktop into siblings; list, delete and rename branches."""

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
from tcvs_core.workspace.commit import capture, submit
from tcvs_core.workspace.life import boot, reset_files, revive
from tcvs_core.workspace.repository import Progress, Repository, ignore_errors, silent
from tcvs_core.workspace.trees import HOME, live_changes

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
        facts = repo.branches.facts(origin)
        progress("fork", 0.0, origin)
        hit(Fault.FORK_BEFORE_CAPTURE)
        ready: dict[str, float] = {}

        def maker(new: BranchName) -> Callable[[StateId, Container], Target]:
            def make(state: StateId, _source: Container) -> Target:
                repo.files.create_branch_from_state(state, new)
                root = repo.files.branch_path(new)
                return repo.runtime.target(new, root, facts.settings, container.address)

            return make

        try:
            captured = capture(
                repo, origin, targets=[maker(n) for n in names], frozen_fault=Fault.FORK_FROZEN
            )
        except BaseException:
            for new in names:
                if repo.files.has_branch(new):
                    ignore_errors(lambda new=new: repo.files.delete_branch(new))  # type: ignore[misc]
            raise
        hit(Fault.FORK_AFTER_CAPTURE)
        assert captured.fork is not None
        branches: list[dict[str, Any]] = []
        born: list[BranchName] = []
        for new, outcome in zip(names, captured.fork.branches, strict=True):
            error: str | None = None
            pid = None
            if not isinstance(outcome, TcvsError):
                found, times = outcome
                try:
                    repo.runtime.settle(found, container.address)
                    repo.branches.set_facts(
                        new, Facts(facts.image, facts.settings, forked=origin, running=True)
                    )
                    repo.branches.set_live(new, found)
                    # Last: what has no ref is swept away by the next keeper.
                    repo.history.set_branch(
                        new, repo.history.branches()[origin], None, f"branch: from {origin}"
                    )
                    born.append(new)
                    pid = found.pid
                    ready[new] = (time.monotonic() - begin) * 1000
                    captured.times_ms |= {f"{k}[{new}]": v for k, v in times.items()}
                except TcvsError as failed:
                    repo.runtime.stop(found)
                    repo.branches.forget(new)
                    error = str(failed)
            else:
                error = str(outcome)
            if error is not None and repo.files.has_branch(new):
                ignore_errors(lambda new=new: repo.files.delete_branch(new))  # type: ignore[misc]
            branches.append({"name": new, "running_ms": ready.get(new), "pid": pid, "error": error})
        hit(Fault.FORK_RESTORED)
        if not memory:
            assert captured.image is not None
            shutil.rmtree(captured.image, ignore_errors=True)
            captured.image = None
        job = submit(
            repo,
            origin,
            captured,
            kind="fork",
            message=f"Fork {', '.join(names)} from {origin}",
            author=repo.author_of(author),
            action=action,
            also=[(new, f"branch: from {origin}") for new in born],
        )
        for new in born:
            repo.watchers.come_back(new)
    return {
        "source": origin,
        "commit": job.commit,
        "pause_ms": captured.times_ms.get("pause", 0.0),
        "branches": branches,
        "times_ms": captured.times_ms,
    }


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
    state = StateId(commit.state.state)
    image = repo.load_image(state, progress) if repo.memory.has(state) else None

    def one(new: BranchName) -> dict[str, Any]:
        try:
            container = born(repo, new, commit, image)
        except TcvsError as error:
            return {"name": new, "running_ms": None, "pid": None, "error": str(error)}
        took = (time.monotonic() - begin) * 1000
        return {"name": new, "running_ms": took, "pid": container.pid, "error": None}

    try:
        with repo.locks.hold("branch", *names), ThreadPoolExecutor(max_workers=2) as pool:
            branches = list(pool.map(one, names))
    finally:
        if image is not None:
            shutil.rmtree(image, ignore_errors=True)
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
        _remove(repo, new)
        raise


def _remove(repo: Repository, name: BranchName) -> None:
    ignore_errors(lambda: repo.stop_container(name))
    if repo.files.has_branch(name):
        ignore_errors(lambda: repo.files.delete_branch(name))
    repo.branches.forget(name)
    repo.set_tip(name, None)
    if name in repo.history.branches():
        repo.history.delete_branch(name)


def branch_list(repo: Repository) -> list[dict[str, Any]]:
    """Return all branches: name, current, commit, subject, state, memory, ahead, forked_from."""
    tips = repo.tips()
    current = repo.current()
    result = []
    for name, tip in sorted(tips.items()):
        commit = repo.commit(tip)
        facts = repo.branches.facts(name)
        running = repo.branches.live(name) is not None
        result.append(
            {
                "name": name,
                "current": name == current,
                "commit": tip,
                "subject": (commit.message.splitlines() or [""])[0],
                "state": "running" if running else "stopped",
                "running": running,
                "memory": commit.memory,
                "ahead": _ahead(repo, name, tips, current),
                "forked_from": facts.forked,
                "image": facts.image,
            }
        )
    return result


def _ahead(
    repo: Repository, name: BranchName, tips: dict[BranchName, CommitId], current: BranchName
) -> int:
    """Count the commits that ``name`` has and the current branch has not."""
    if name == current or current not in tips:
        return 0
    durable = repo.history.branches()
    if name not in durable or current not in durable:
        return 0
    return len(repo.history.reachable([durable[name]]) - repo.history.reachable([durable[current]]))


def branch_delete(
    repo: Repository, *, names: list[str], force: bool = False
) -> list[dict[str, Any]]:
    """Stop and delete branches; refuses what no other branch has, without ``force``."""
    with repo.locks.hold("delete branch", "", *names):
        repo.scribe.drain()
        tips = repo.tips()
        found = [repo.branch(name) for name in names]
        for name in found:
            if name == repo.current():
                raise UsageError(
                    f"{name} is the current branch",
                    operation="delete branch",
                    subject=name,
                    hint="`tcvs checkout` another one first",
                )
            others = [c for b, c in tips.items() if b not in found]
            others += [info.commit for info in repo.history.tags().values()]
            if not force and not _merged(repo, name, tips[name], others):
                raise UsageError(
                    f"{name} has work that is in no other branch",
                    operation="delete branch",
                    subject=name,
                    hint=f"merge it, or `tcvs branch -D {name}` to delete it all the same",
                )
        result = []
        for name in found:
            _remove(repo, name)
            result.append({"name": name, "commit": tips[name]})
        return result


def _merged(repo: Repository, name: BranchName, tip: CommitId, others: list[CommitId]) -> bool:
    """Whether another ref holds ``tip`` and nothing has changed in the files since."""
    if not any(repo.history.is_ancestor(tip, other) for other in others):
        return False
    return not repo.files.has_branch(name) or not any(
        change.path.startswith(HOME) and change.type != "dir" for change in live_changes(repo, name)
    )


def branch_rename(repo: Repository, *, old: str, new: str) -> dict[str, Any]:
    """Rename a branch; its desktop must be down, because its root is mounted by name."""
    with repo.locks.hold("rename branch", "", old):
        repo.scribe.drain()
        source = repo.branch(old)
        (target,) = new_names(repo, new, 1)
        if repo.branches.live(source) is not None:
            raise UsageError(
                f"{source} is running",
                operation="rename branch",
                subject=source,
                hint=f"`tcvs down -b {source}` first; `tcvs up` brings it back as it was",
            )
        facts = repo.branches.facts(source)
        repo.branches.set_facts(target, facts)
        if repo.files.has_branch(source):
            repo.files.rename_branch(source, target)
        repo.history.rename_branch(source, target)
        repo.branches.forget(source)
        repo.set_tip(source, None)
    return {"old": source, "new": target}
