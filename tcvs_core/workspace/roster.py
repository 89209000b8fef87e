"""The table of branches as users see it: list, delete and rename."""

from __future__ import annotations

from typing import Any

from tcvs_core.errors import UsageError
from tcvs_core.ids import BranchName, CommitId
from tcvs_core.workspace.fork import new_names, remove
from tcvs_core.workspace.repository import Repository
from tcvs_core.workspace.trees import HOME, live_changes


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
            remove(repo, name)
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
        repo.watchers.come_back(target)
    return {"old": source, "new": target}
