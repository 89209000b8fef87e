"""The shape of the history: who descends from whom.

Commits never change, so what was read once is kept: parents and time, about 300 bytes a commit.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import islice

from tcvs_core.ids import CommitId
from tcvs_core.store.gitdir import GitDir


class Graph:
    """Questions about ancestry.  All raise HistoryDamaged where a commit is missing."""

    def __init__(self, git: GitDir) -> None:
        self._git = git
        self._known: dict[CommitId, tuple[tuple[CommitId, ...], int]] = {}

    def parents(self, commit: CommitId) -> tuple[CommitId, ...]:
        """Return a commit's parents, first parent first."""
        return self._node(commit)[0]

    def _node(self, commit: CommitId) -> tuple[tuple[CommitId, ...], int]:
        known = self._known.get(commit)
        if known is None:
            item = self._git.commit(commit)
            parents = tuple(CommitId(parent.decode("ascii")) for parent in item.parents)
            known = self._known[commit] = (parents, int(item.commit_time))
        return known

    def reachable(self, starts: Iterable[CommitId]) -> set[CommitId]:
        """Return ``starts`` and all their ancestors."""
        found: set[CommitId] = set()
        waiting = list(starts)
        while waiting:
            commit = waiting.pop()
            if commit not in found:
                found.add(commit)
                waiting.extend(self.parents(commit))
        return found

    def is_ancestor(self, old: CommitId, new: CommitId) -> bool:
        """Tell whether ``old`` is ``new`` or an ancestor of it."""
        return old in self.reachable([new])

    def merge_base(self, one: CommitId, two: CommitId) -> CommitId | None:
        """Return the best common ancestor, or None.

        Best: not an ancestor of another common ancestor.  Where several are (after merges both
        ways), the newest, and of equally new ones the greatest id, so that the answer is one.
        """
        common = self.reachable([one]) & self.reachable([two])
        behind: set[CommitId] = set()
        for commit in common:
            behind.update(self.parents(commit))
        best = common - behind
        return max(best, key=lambda commit: (self._node(commit)[1], commit), default=None)

    def walk(
        self,
        starts: Iterable[CommitId],
        limit: int | None = None,
        first_parent: bool = False,
    ) -> Iterator[CommitId]:
        """Give commits newest first, never a parent before all of its children."""
        return islice(self._walk(list(starts), first_parent), limit)

    def _walk(self, starts: list[CommitId], first_parent: bool) -> Iterator[CommitId]:
        def followed(commit: CommitId) -> tuple[CommitId, ...]:
            return self.parents(commit)[:1] if first_parent else self.parents(commit)

        children: dict[CommitId, int] = {}
        waiting = list(starts)
        while waiting:
            commit = waiting.pop()
            if commit not in children:
                children[commit] = 0
                waiting.extend(followed(commit))
        for commit in children:
            for parent in followed(commit):
                children[parent] += 1
        # Among equally new commits the order of `starts` and then the id decides.
        order = {commit: number for number, commit in enumerate(reversed(starts))}

        def entry(commit: CommitId) -> tuple[int, int, CommitId]:
            return (-self._node(commit)[1], -order.get(commit, -1), commit)

        heap = [entry(commit) for commit, count in children.items() if count == 0]
        heapq.heapify(heap)
        while heap:
            commit = heapq.heappop(heap)[2]
            yield commit
            for parent in followed(commit):
                children[parent] -= 1
                if children[parent] == 0:
                    heapq.heappush(heap, entry(parent))
