"""The history: commits, branches, tags and the way back, in a real bare Git repository.

Stock ``git log``, ``git fsck``, ``git clone`` read it.  What a commit looks like is specified in
``record``; names in ``refs`` and ``reflog``; what users may type in ``revisions``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import EllipsisType, TracebackType
from typing import Any, Self

from dulwich.objects import Blob, Tree

from tcvs_core.ids import BranchName, CommitId, branch_name
from tcvs_core.model import Commit, State
from tcvs_core.store import record
from tcvs_core.store.gitdir import GitDir, HistoryDamaged
from tcvs_core.store.graph import Graph
from tcvs_core.store.reflog import Move
from tcvs_core.store.refs import NoSuchRef, RefChanged, RefExists, Refs, TagInfo
from tcvs_core.store.revisions import AmbiguousRevision, Resolver, UnknownRevision

__all__ = [
    "AmbiguousRevision",
    "History",
    "HistoryDamaged",
    "NoSuchRef",
    "RefChanged",
    "RefExists",
    "TagInfo",
    "UnknownRevision",
]

FIRST_BRANCH = BranchName("main")


class History:
    """An open history.  Threads may share it."""

    def __init__(self, git: GitDir) -> None:
        self._git = git
        self._graph = Graph(git)
        self._refs = Refs(git)
        self._states: dict[CommitId, Commit] = {}
        self._mutex = threading.Lock()

    @classmethod
    def create(cls, git_dir: Path, branch: BranchName = FIRST_BRANCH) -> History:
        """Make an empty history in ``git_dir``, empty or missing; HEAD names ``branch``."""
        return cls(GitDir.create(git_dir, branch_name(branch)))

    @classmethod
    def open(cls, git_dir: Path) -> History:
        """Open a history.  Raises HistoryDamaged."""
        return cls(GitDir.open(git_dir))

    def close(self) -> None:
        """Close open files; to be called before the pool is unmounted."""
        self._git.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Commits

    def commit(
        self,
        state: State,
        parents: Sequence[CommitId],
        message: str,
        screenshot: bytes | None = None,
    ) -> CommitId:
        """Write a commit durably and return its id; no branch moves.

        Raises BadRecord, PoolFull, StoreError.
        """
        objects = record.encode(state, parents, message, screenshot)
        self._git.write(objects)
        return CommitId(objects[-1].id.decode("ascii"))

    @staticmethod
    def commit_id_of(
        state: State,
        parents: Sequence[CommitId],
        message: str,
        screenshot: bytes | None = None,
    ) -> CommitId:
        """Return the id that ``commit`` would return, writing nothing.  Raises BadRecord."""
        return CommitId(record.encode(state, parents, message, screenshot)[-1].id.decode("ascii"))

    def has(self, commit: CommitId) -> bool:
        """Tell whether the commit is in the repository."""
        return self._git.has(commit)

    def read(self, commit: CommitId) -> Commit:
        """Return a commit; ``refs`` names the branches and tags that point to it.

        Raises HistoryDamaged, BadRecord.
        """
        return self._with_refs(self._read(commit), self._names_by_commit())

    def _read(self, commit: CommitId) -> Commit:
        known = self._states.get(commit)
        if known is None:
            item = self._git.commit(commit)
            state = record.decode_state(self._file(commit, "state.json") or b"")
            known = Commit(
                id=commit,
                parents=[parent.decode("ascii") for parent in item.parents],
                message=record.decode_message(item.message),
                state=state,
                memory=state.memory,
            )
            with self._mutex:
                if len(self._states) > 4096:
                    self._states.clear()
                self._states[commit] = known
        return known

    def _with_refs(self, commit: Commit, names: Mapping[CommitId, list[str]]) -> Commit:
        return Commit(
            id=commit.id,
            parents=list(commit.parents),
            message=commit.message,
            state=commit.state,
            memory=commit.memory,
            refs=list(names.get(CommitId(commit.id), [])),
        )

    def _names_by_commit(self) -> dict[CommitId, list[str]]:
        names: dict[CommitId, list[str]] = {}
        for branch, target in self.branches().items():
            names.setdefault(target, []).append(branch)
        for tag, info in self.tags().items():
            names.setdefault(info.commit, []).append(f"tag: {tag}")
        return names

    def screenshot(self, commit: CommitId) -> bytes | None:
        """Return the commit's picture, PNG or JPEG.  Raises HistoryDamaged."""
        for name in record.picture_names():
            data = self._file(commit, name)
            if data is not None:
                return data
        return None

    def _file(self, commit: CommitId, name: str) -> bytes | None:
        tree = self._git.load(self._git.commit(commit).tree.decode("ascii"))
        if isinstance(tree, Tree) and name.encode() in tree:
            item = self._git.load(tree[name.encode()][1].decode("ascii"))
            if isinstance(item, Blob):
                return item.data
        return None

    # Names

    def head(self) -> BranchName:
        """Return the current branch, which may have no commit yet.  Raises HistoryDamaged."""
        return self._refs.head()

    def set_head(self, branch: BranchName) -> None:
        """Make ``branch`` the current one, durably; it need not exist."""
        self._refs.set_head(branch_name(branch))

    def branches(self) -> dict[BranchName, CommitId]:
        """Return all branches that have a commit, by name."""
        return self._refs.branches()

    def set_branch(
        self,
        name: BranchName,
        new: CommitId,
        old: CommitId | EllipsisType | None = ...,
        message: str = "",
    ) -> None:
        """Move a branch from ``old`` (None: not there; ``...``: whatever) to ``new``, durably.

        Raises RefChanged, HistoryDamaged, PoolFull, StoreError.
        """
        self._refs.set_branch(branch_name(name), new, old, message)

    def delete_branch(self, name: BranchName) -> CommitId:
        """Delete a branch and its reflog; return what it pointed to.  Raises NoSuchRef."""
        return self._refs.delete_branch(name)

    def rename_branch(self, old: BranchName, new: BranchName) -> None:
        """Rename a branch; reflog and HEAD go with it.  Raises NoSuchRef, RefExists."""
        self._refs.rename_branch(old, branch_name(new))

    def tags(self) -> dict[str, TagInfo]:
        """Return all tags by name."""
        return self._refs.tags()

    def set_tag(self, name: str, commit: CommitId, message: str | None = None) -> None:
        """Make a tag.  Raises RefExists, HistoryDamaged."""
        self._refs.set_tag(name, commit, message)

    def delete_tag(self, name: str) -> None:
        """Delete a tag.  Raises NoSuchRef."""
        self._refs.delete_tag(name)

    def reflog(self, branch: BranchName) -> list[dict[str, Any]]:
        """Return the moves of a branch, newest first: ``time``, ``old``, ``new``, ``message``.

        ``old`` is None for the move that made the branch.
        """
        return [
            {
                "time": move.time,
                "old": None if move.old == "0" * 40 else move.old,
                "new": move.new,
                "message": move.message,
            }
            for move in self._refs.moves(branch)
        ]

    # Questions

    def resolve(
        self,
        text: str,
        *,
        pending: Mapping[str, CommitId] | None = None,
        pending_parents: Mapping[CommitId, Sequence[CommitId]] | None = None,
    ) -> CommitId:
        """Return the commit that a user means by ``text``.

        ``pending``: branches whose newest commit is still being written, and that commit;
        ``pending_parents``: the parents of such commits.  Raises UnknownRevision,
        AmbiguousRevision.
        """
        return Resolver(self, pending or {}, pending_parents or {}).resolve(text)

    def walk(
        self,
        starts: Iterable[CommitId],
        limit: int | None = None,
        first_parent: bool = False,
    ) -> Iterator[Commit]:
        """Give commits newest first, never a parent before all of its children."""
        names = self._names_by_commit()
        for commit in self._graph.walk(starts, limit, first_parent):
            yield self._with_refs(self._read(commit), names)

    def merge_base(self, one: CommitId, two: CommitId) -> CommitId | None:
        """Return the best common ancestor of two commits, or None."""
        return self._graph.merge_base(one, two)

    def is_ancestor(self, old: CommitId, new: CommitId) -> bool:
        """Tell whether ``old`` is ``new`` or an ancestor of it."""
        return self._graph.is_ancestor(old, new)

    def reachable(self, starts: Iterable[CommitId]) -> set[CommitId]:
        """Return ``starts`` and all their ancestors."""
        return self._graph.reachable(starts)

    def parents(self, commit: CommitId) -> Sequence[CommitId]:
        """Return a commit's parents."""
        return self._graph.parents(commit)

    def moves(self, branch: BranchName) -> list[Move]:
        """Return the reflog of a branch as records, newest first."""
        return self._refs.moves(branch)

    def commits_with_prefix(self, prefix: str) -> list[CommitId]:
        """Return the commits whose id begins with ``prefix``."""
        return self._git.commits_with_prefix(prefix)

    def subject(self, commit: CommitId) -> str:
        """Return the first line of a commit's message."""
        return self._read(commit).message.partition("\n")[0]
