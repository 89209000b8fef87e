"""Which files differ between two saved or live states."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tcvs_core.errors import TcvsError
from tcvs_core.history.changes import changes, walk_changes
from tcvs_core.ids import BranchName, CommitId, StateId
from tcvs_core.linux.btrfs import send_changes
from tcvs_core.model import Change
from tcvs_core.store.files import Files
from tcvs_core.workspace.repository import Repository

#: What a running system writes by itself all the time; left out of lists unless asked for.
NOISE = (
    "run/",
    "tmp/",
    "dev/",
    "proc/",
    "sys/",
    "var/log/",
    "var/cache/",
    "var/tmp/",
    "var/lib/dbus/",
)
NOISE_HOME = (
    ".cache/",
    ".local/share/recently-used.xbel",
    ".local/state/",
    ".dbus/",
    # Profiles, which their programs rewrite while nobody does anything.
    ".config/chromium/",
    ".config/libreoffice/",
    ".mozilla/",
)
HOME = "home/user/"


def tree_changes(repo: Repository, old: Path, new: Path) -> list[Change]:
    """Return the exact differences of two read-only trees; tens of milliseconds on btrfs."""
    if isinstance(repo.files, Files):
        return changes(send_changes(new, old), old, new)
    return walk_changes(old, new)


def noisy(path: str) -> bool:
    """Whether ``path`` is one that a running system writes by itself."""
    if path.startswith(NOISE):
        return True
    return path.startswith(HOME) and path.removeprefix(HOME).startswith(NOISE_HOME)


def noise_patterns() -> tuple[str, ...]:
    """Return the noise as patterns that a ``Selection`` excludes."""
    prefixes = (*NOISE, *(HOME + name for name in NOISE_HOME))
    return tuple(f"/{name}**" if name.endswith("/") else f"/{name}" for name in prefixes)


def quiet(found: list[Change]) -> list[Change]:
    """Leave out what a running system writes by itself, and directories that only changed dates."""
    return [
        change
        for change in found
        if not (noisy(change.path) and (change.old_path is None or noisy(change.old_path)))
        and not noisy(change.path + "/")
    ]


@contextlib.contextmanager
def tree_of(repo: Repository, what: CommitId | BranchName) -> Iterator[Path]:
    """Give a read-only tree of a commit's files, or of a branch's files as they are now."""
    if what in repo.tips():
        with repo.files.temporary_snapshot(BranchName(what)) as tree:
            yield tree
        return
    commit = repo.commit(CommitId(what))
    state = StateId(commit.state.state)
    if not repo.files.has_state(state):
        raise TcvsError(
            f"the files of commit {what[:10]} are gone", operation="read files", subject=what
        )
    yield repo.files.snap_path(state)


def live_changes(repo: Repository, branch: BranchName, *, everything: bool = False) -> list[Change]:
    """Return what changed in the files of ``branch`` since its newest commit."""
    with tree_of(repo, repo.tip(branch)) as old, tree_of(repo, branch) as new:
        found = tree_changes(repo, old, new)
    return found if everything else quiet(found)
