"""What users type for a commit.

Grammar::

    revision = base [ "@{" N "}" ] { "~" [N] | "^" [N] }
    base     = "HEAD" | "@" | branch | tag | "heads/" branch | "tags/" tag | 4 to 40 hex digits | ""

``~N`` goes N first parents back, ``^N`` to the N-th parent, ``branch@{N}`` to where the branch was
N moves ago.  A name wins over hex digits; a name that is a branch and a tag is ambiguous.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from tcvs_core.errors import UsageError
from tcvs_core.ids import BranchName, CommitId
from tcvs_core.store.reflog import ZERO, Move
from tcvs_core.store.refs import TagInfo

_REVISION = re.compile(
    r"(?P<base>[^~^@{}\s]*|@)(?:@\{(?P<move>\d{1,9})\})?(?P<way>(?:[~^]\d{0,9})*)\Z"
)
_STEP = re.compile(r"([~^])(\d*)")
_HEX = re.compile(r"[0-9a-f]{4,40}\Z")
_SHOWN = 6


class UnknownRevision(UsageError):
    """Nothing is called that."""

    code = "unknown-revision"


class AmbiguousRevision(UsageError):
    """More than one thing is called that."""

    code = "ambiguous-revision"


class Names(Protocol):
    """What is asked to resolve a revision; ``History`` is one."""

    def head(self) -> BranchName: ...
    def branches(self) -> dict[BranchName, CommitId]: ...
    def tags(self) -> dict[str, TagInfo]: ...
    def moves(self, branch: BranchName) -> list[Move]: ...
    def parents(self, commit: CommitId) -> Sequence[CommitId]: ...
    def commits_with_prefix(self, prefix: str) -> list[CommitId]: ...
    def subject(self, commit: CommitId) -> str: ...


class Resolver:
    """Resolves revisions.  ``pending``: branches whose newest commit is not in Git yet."""

    def __init__(
        self,
        names: Names,
        pending: Mapping[str, CommitId],
        pending_parents: Mapping[CommitId, Sequence[CommitId]],
    ) -> None:
        self._names = names
        self._pending = pending
        self._pending_parents = pending_parents

    def resolve(self, text: str) -> CommitId:
        """Return the commit that ``text`` names.  Raises UnknownRevision, AmbiguousRevision."""
        found = _REVISION.match(text)
        if not found or not text:
            raise self._unknown(text, "is no revision", "see `tcvs log` for what can be named")
        if found["move"] is not None:
            commit = self._moved(text, found["base"], int(found["move"]))
        else:
            commit = self._base(text, found["base"])
        for sign, digits in _STEP.findall(found["way"]):
            commit = self._step(text, commit, sign, int(digits or 1))
        return commit

    def _branch_tip(self, name: str) -> CommitId | None:
        return self._pending.get(name) or self._names.branches().get(BranchName(name))

    def _base(self, text: str, base: str) -> CommitId:
        if base in ("HEAD", "@", ""):
            branch = self._names.head()
            tip = self._branch_tip(branch)
            if tip is None:
                raise self._unknown(
                    text,
                    f"names branch {branch}, which has no commit yet",
                    "`tcvs up` makes one",
                )
            return tip
        name = base.removeprefix("refs/")
        tip = None if name.startswith("tags/") else self._branch_tip(name.removeprefix("heads/"))
        tag = None
        if not name.startswith("heads/"):
            tag = self._names.tags().get(name.removeprefix("tags/"))
        if tip is not None and tag is not None and tip != tag.commit:
            raise AmbiguousRevision(
                f"{base!r} is a branch and a tag",
                operation="resolve",
                subject=text,
                hint=f"say heads/{base} or tags/{base}",
                details={"candidates": [f"heads/{base}", f"tags/{base}"]},
            )
        if tip is not None:
            return tip
        if tag is not None:
            return tag.commit
        return self._by_digits(text, base)

    def _by_digits(self, text: str, base: str) -> CommitId:
        digits = base.lower()
        if not _HEX.match(digits):
            raise self._unknown(text, "names no commit, branch or tag", self._similar(base))
        # A whole id too has to be of a commit that there is.
        waiting = {*self._pending.values(), *self._pending_parents}
        found = {commit for commit in waiting if commit.startswith(digits)}
        found.update(self._names.commits_with_prefix(digits))
        if not found:
            raise self._unknown(text, "names no commit, branch or tag", self._similar(base))
        if len(found) > 1:
            shown = [f"{c[:12]} {self._subject(c, waiting)}".rstrip() for c in sorted(found)]
            more = ", ..." if len(shown) > _SHOWN else ""
            raise AmbiguousRevision(
                f"{base!r} begins more than one commit id",
                operation="resolve",
                subject=text,
                hint="it could be " + ", ".join(shown[:_SHOWN]) + more,
                details={"candidates": sorted(found)},
            )
        return found.pop()

    def _subject(self, commit: CommitId, waiting: set[CommitId]) -> str:
        return "(being written)" if commit in waiting else self._names.subject(commit)

    def _moved(self, text: str, base: str, count: int) -> CommitId:
        name = base.removeprefix("refs/").removeprefix("heads/")
        branch = self._names.head() if name in ("HEAD", "@", "") else BranchName(name)
        moves = self._names.moves(branch)
        if not moves:
            raise self._unknown(text, f"asks for moves of {branch}, and there are none", None)
        points = [move.new for move in moves] + [moves[-1].old]
        if count >= len(points) or points[count] == ZERO:
            have = len(points) - (points[-1] == ZERO)
            raise self._unknown(
                text,
                f"goes too far back: {branch} has moved {have} times",
                "see `tcvs reflog`",
            )
        return CommitId(points[count])

    def _step(self, text: str, commit: CommitId, sign: str, count: int) -> CommitId:
        if sign == "^":
            parents = self._parents(commit)
            if count == 0:
                return commit
            if count > len(parents):
                raise self._unknown(
                    text,
                    f"asks for parent {count} of {commit[:12]}, which has {len(parents)}",
                    None,
                )
            return parents[count - 1]
        for done in range(count):
            parents = self._parents(commit)
            if not parents:
                raise self._unknown(
                    text,
                    f"goes too far back: the history ends after {done} steps",
                    None,
                )
            commit = parents[0]
        return commit

    def _parents(self, commit: CommitId) -> Sequence[CommitId]:
        waiting = self._pending_parents.get(commit)
        if waiting is None and commit in self._pending.values():
            raise UnknownRevision(
                f"commit {commit[:12]} is still being written",
                operation="resolve",
                subject=commit,
                hint=f"`tcvs wait {commit[:12]}` first",
            )
        return waiting if waiting is not None else self._names.parents(commit)

    def _similar(self, base: str) -> str:
        names = [*self._names.branches(), *self._names.tags(), *self._pending]
        near = difflib.get_close_matches(base, names, n=1, cutoff=0.6)
        return f"did you mean {near[0]}?" if near else "see `tcvs branch` and `tcvs log --all`"

    @staticmethod
    def _unknown(text: str, why: str, hint: str | None) -> UnknownRevision:
        return UnknownRevision(f"{text!r} {why}", operation="resolve", subject=text, hint=hint)
