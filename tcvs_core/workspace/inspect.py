"""Verbs that only look: status, log, show, diff, reflog, ps, and tags."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tcvs_core.errors import TcvsError, UsageError
from tcvs_core.history.paths import Selection
from tcvs_core.history.textdiff import unified
from tcvs_core.ids import BranchName, CommitId, tag_name
from tcvs_core.linux import proc
from tcvs_core.model import Commit
from tcvs_core.workspace.repository import Progress, Repository, silent
from tcvs_core.workspace.trees import live_changes, quiet, tree_changes, tree_of


def notices(repo: Repository) -> list[str]:
    """Return the sentences kept for the user, oldest first."""
    return [notice.text for notice in repo.notices]


def ps(repo: Repository) -> list[dict[str, Any]]:
    """Return all branches with what runs of them."""
    current = repo.current()
    result = []
    for name, tip in sorted(repo.tips().items()):
        facts = repo.branches.facts(name)
        live = repo.branches.live(name)
        row: dict[str, Any] = {
            "branch": name,
            "current": name == current,
            "state": "running" if live else "stopped",
            "processes": 0,
            "memory": 0,
            "screen": list(facts.settings.screen),
            "started": None,
            "age": None,
            "commit": tip,
            "pid": None,
            "net": facts.settings.net,
            "address": None,
            "engine": repo.runtime.engine.name,
        }
        if live is not None:
            pids = live.host_pids()
            row |= {
                "processes": len(pids),
                "memory": sum(proc.pss(pid) for pid in pids),
                "started": live.started,
                "age": time.time() - live.started,
                "pid": live.pid,
                "address": live.address,
            }
        result.append(row)
    return result


def wait(repo: Repository, *, revision: str, progress: Progress = silent) -> dict[str, Any]:
    """Wait until a commit is durable."""
    commit = repo.resolve(revision)
    repo.scribe.wait(commit, lambda stage, done: progress(stage, done, commit[:10]))
    return {"id": commit, "memory": repo.commit(commit).memory}


def log(
    repo: Repository,
    *,
    revisions: Sequence[str] = (),
    limit: int | None = None,
    all: bool = False,
    first_parent: bool = False,
) -> dict[str, Any]:
    """Return commits newest first, those still being written included."""
    tips = repo.tips()
    if all:
        starts = list(tips.values())
    elif revisions:
        starts = [repo.resolve(r) for r in revisions]
    else:
        starts = [tips[repo.current()]] if repo.current() in tips else []
    commits = _walk(repo, starts, limit, first_parent)
    names: dict[str, list[str]] = {}
    for branch, commit in tips.items():
        names.setdefault(commit, []).append(branch)
    for tag, info in repo.history.tags().items():
        names.setdefault(info.commit, []).append(f"tag: {tag}")
    return {
        "head": repo.current(),
        "branches": {str(b): str(c) for b, c in tips.items()},
        "commits": [replace(c, refs=sorted(names.get(c.id, []))).to_dict() for c in commits],
        "notices": notices(repo),
    }


def _walk(
    repo: Repository, starts: Sequence[CommitId], limit: int | None, first_parent: bool
) -> list[Commit]:
    """Commits being written form a cap over those in Git: walk the cap, then Git below it."""
    pending = repo.scribe.pending()
    cap: list[Commit] = []
    below: list[CommitId] = []
    todo, seen = list(starts), set()
    while todo:
        commit = todo.pop(0)
        if commit in seen:
            continue
        seen.add(commit)
        job = pending.get(commit)
        if job is None:
            below.append(commit)
        else:
            cap.append(repo.commit(commit))
            todo += job.parents[:1] if first_parent else job.parents
    cap.sort(key=lambda c: c.state.created, reverse=True)
    rest = None if limit is None else max(0, limit - len(cap))
    found = cap[:limit] if limit is not None else cap
    for commit_read in repo.history.walk(below, rest, first_parent) if rest != 0 else ():
        found.append(repo.commit(CommitId(commit_read.id)))
    return found


def show(repo: Repository, *, revision: str = "HEAD") -> dict[str, Any]:
    """Return one commit, what it changed, and its picture."""
    commit = repo.resolve(revision)
    found = repo.commit(commit)
    job = repo.scribe.pending().get(commit)
    picture = job.screenshot if job else repo.history.screenshot(commit)
    changed = []
    if found.parents:
        with tree_of(repo, CommitId(found.parents[0])) as old, tree_of(repo, commit) as new:
            changed = quiet(tree_changes(repo, old, new))
    return {
        "commit": found.to_dict(),
        "changes": [c.to_dict() for c in changed],
        "screenshot": picture,
    }


def status(repo: Repository, *, branch: str | None = None, all: bool = False) -> dict[str, Any]:
    """Return what is going on in a branch."""
    name = repo.branch(branch)
    tip = repo.tip(name)
    commit = repo.commit(tip)
    live = repo.branches.live(name)
    windows = []
    if live is not None:
        try:
            windows = repo.screen(name).windows()
        except TcvsError as error:
            repo.notice(f"cannot see the windows of {name}: {error}")
    changes = live_changes(repo, name, everything=all) if repo.files.has_branch(name) else []
    return {
        "branch": name,
        "current": name == repo.current(),
        "state": "running" if live else "stopped",
        "commit": {
            "id": tip,
            "subject": (commit.message.splitlines() or [""])[0],
            "memory": commit.memory,
            "created": commit.state.created,
        },
        "changes": [c.to_dict() for c in changes],
        "processes": [p.to_dict() for p in live.processes()] if live else [],
        "windows": [w.to_dict() for w in windows],
        "pending": [
            {"id": j.commit, "stage": j.stage, "fraction": j.fraction, "branch": j.state.branch}
            for j in repo.scribe.pending().values()
        ],
        "conflicts": [],
        "notices": notices(repo),
    }


def diff(
    repo: Repository,
    *,
    a: str | None = None,
    b: str | None = None,
    paths: Sequence[str] = (),
    text: bool = True,
    all: bool = False,
) -> dict[str, Any]:
    """Compare two states: exact list of changed paths, and unified diffs of the text files.

    ``a`` defaults to the newest commit of the current branch, ``b`` to the current branch as it is
    now.  A branch's name means its live files, a revision means a commit.
    """
    selection = Selection(tuple(paths))
    current = repo.current()
    old_what = _side(repo, a) if a else repo.tip(repo.branch(None))
    new_what = _side(repo, b) if b else current
    with tree_of(repo, old_what) as old, tree_of(repo, new_what) as new:
        found = tree_changes(repo, old, new)
        if not all and not paths:
            found = quiet(found)
        found = [c for c in found if selection.takes(c)]
        files = unified(old, new, [c for c in found if c.type != "dir"]) if text else []
    return {
        "a": old_what,
        "b": new_what,
        "changes": [c.to_dict() for c in found],
        "files": files,
    }


def _side(repo: Repository, text: str) -> CommitId | BranchName:
    """A branch's name is its live state; anything else is a revision."""
    return BranchName(text) if text in repo.tips() else repo.resolve(text)


def reflog(repo: Repository, *, branch: str | None = None) -> list[dict[str, Any]]:
    """Return where a branch has been, newest first."""
    name = repo.branch(branch)
    return [{"index": i} | move for i, move in enumerate(repo.history.reflog(name))]


def tag_create(
    repo: Repository, *, name: str, revision: str | None = None, message: str | None = None
) -> dict[str, Any]:
    """Name a commit for good."""
    found = tag_name(name)
    if found in repo.history.tags():
        raise UsageError(
            f"tag {found} exists", operation="tag", subject=found, hint=f"`tcvs tag -d {found}`"
        )
    commit = repo.resolve(revision or "HEAD")
    repo.scribe.wait(commit)
    repo.history.set_tag(found, commit, message)
    return {"name": found, "commit": commit}


def tag_list(repo: Repository) -> list[dict[str, Any]]:
    """Return all tags."""
    return [
        {"name": name, "commit": info.commit, "message": info.message}
        for name, info in sorted(repo.history.tags().items())
    ]


def tag_delete(repo: Repository, *, name: str) -> dict[str, Any]:
    """Delete a tag; the commit stays."""
    repo.history.delete_tag(name)
    return {"name": name}
