"""`merge`: bring chosen files of one branch home into another, which may be running."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tcvs_core.errors import EXIT_CONFLICT, TcvsError, UsageError
from tcvs_core.history import MergePlan, Selection, plan, stage
from tcvs_core.ids import BranchName, CommitId
from tcvs_core.workspace.commit import save, submit, take
from tcvs_core.workspace.repository import Progress, Repository, silent
from tcvs_core.workspace.trees import noise_patterns, tree_changes, tree_of


class MergeConflict(TcvsError):
    """Both sides changed the same thing; nothing was applied."""

    code = "conflict"
    exit_status = EXIT_CONFLICT


def merge(
    repo: Repository,
    *,
    branch: str,
    paths: Sequence[str] = (),
    exclude: Sequence[str] = (),
    dry_run: bool = False,
    conflicts: str = "refuse",
    message: str | None = None,
    into: str | None = None,
    author: dict[str, Any] | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Three-way merge of files of ``branch`` into ``into`` (default: the current branch).

    With ``conflicts`` ``refuse`` a conflict changes nothing; with ``markers`` conflicting text
    files get markers and other conflicting files stay as they are in the target.  Returns {"into",
    "from", "base", "plan", "conflicts", "applied", "commit", "pause_ms"}.
    """
    if conflicts not in ("refuse", "markers"):
        raise UsageError(f"unknown way to treat conflicts: {conflicts!r}", operation="merge")
    ours = repo.branch(into)
    theirs = repo.branch(branch)
    if ours == theirs:
        raise UsageError(f"cannot merge {ours} into itself", operation="merge", subject=ours)
    excluded = tuple(exclude) if paths else (*exclude, *noise_patterns())
    selection = Selection(tuple(paths), excluded)
    who = repo.author_of(author)
    with repo.locks.hold("merge", "", ours, theirs):
        progress("plan", 0.0, theirs)
        repo.scribe.drain()
        base = repo.history.merge_base(repo.tip(ours), repo.tip(theirs))
        if base is None:
            raise UsageError(
                f"{ours} and {theirs} have no common commit",
                operation="merge",
                subject=theirs,
                hint="they come from different images",
            )
        with _planned(repo, base, ours, theirs, selection) as made:
            result: dict[str, Any] = {
                "into": ours,
                "from": theirs,
                "base": base,
                "plan": made.to_dict(),
                "conflicts": [c.to_dict() for c in made.conflicts],
                "applied": False,
                "commit": None,
                "pause_ms": 0.0,
            }
            if dry_run or made.empty:
                return result
            if made.conflicts and conflicts == "refuse":
                raise _conflicting(made, theirs, result)
            saved_theirs = save(repo, theirs, f"Save {theirs} before merge into {ours}", who)
            saved_ours = save(repo, ours, f"Save {ours} before merge of {theirs}", who)
            progress("apply", 0.5, ours)
            how: Any = conflicts
            staged = stage(made, repo.files.branch_path(ours), conflicts=how)
            try:
                begin = time.monotonic()
                with _standing_still(repo, ours):
                    staged.apply()
                result["pause_ms"] = (time.monotonic() - begin) * 1000
            finally:
                staged.close()
        progress("commit", 0.8, ours)
        job = submit(
            repo,
            ours,
            take(repo, ours),
            kind="merge",
            message=message or f"Merge {_what(paths)} of {theirs} into {ours}",
            author=who,
            parents=[saved_ours.commit, saved_theirs.commit],
            merge={
                "from": theirs,
                "theirs": saved_theirs.commit,
                "base": base,
                "paths": list(paths),
                "exclude": list(exclude),
                "conflicts": [c.path for c in made.conflicts],
            },
        )
        for made_job in (saved_ours, job):  # the captures stop the target as well
            result["pause_ms"] += made_job.state.times_ms.get("pause", 0.0)
        return result | {"applied": True, "commit": job.commit}


def _conflicting(made: MergePlan, theirs: str, result: dict[str, Any]) -> MergeConflict:
    names = ", ".join(c.path for c in made.conflicts[:3])
    count = len(made.conflicts)
    return MergeConflict(
        f"{count} conflict{'s' if count > 1 else ''}: {names}; nothing was changed",
        operation="merge",
        subject=theirs,
        hint="choose other --paths, or --conflicts markers to settle them by hand",
        details=result,
    )


def _what(paths: Sequence[str]) -> str:
    return ", ".join(paths) if paths else "all files"


@contextlib.contextmanager
def _planned(
    repo: Repository,
    base: CommitId,
    ours: BranchName,
    theirs: BranchName,
    selection: Selection,
) -> Iterator[MergePlan]:
    """Give the plan; the trees that it refers to stay for as long as the block."""
    with (
        tree_of(repo, base) as base_tree,
        tree_of(repo, ours) as our_tree,
        tree_of(repo, theirs) as their_tree,
    ):
        yield plan(
            base_tree,
            our_tree,
            their_tree,
            tree_changes(repo, base_tree, our_tree),
            tree_changes(repo, base_tree, their_tree),
            selection,
        )


@contextlib.contextmanager
def _standing_still(repo: Repository, branch: BranchName) -> Iterator[None]:
    """No process of ``branch`` runs during the block, where it has a control group."""
    live = repo.branches.live(branch)
    group = live.group if live else None
    if group is None:
        yield
        return
    group.freeze(True)
    try:
        yield
    finally:
        group.freeze(False)
