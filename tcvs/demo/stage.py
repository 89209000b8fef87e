"""The demo's own branches: which names are free, and which earlier demo may be cleared away."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tcvs_core.errors import RemoteError
from tcvs_core.keeper.client import Keeper
from tcvs_core.store.marker import NotARepository, read_marker

AUTHOR = {"name": "tcvs demo", "email": "", "kind": "agent"}
IMAGE = "desktop"
#: The message of the commit that the demo puts its main desktop away with.
LAST = "As the demo leaves it"
_OURS = re.compile(r"(main|explore-[abc])(-[0-9]+)?")


@dataclass(frozen=True)
class Names:
    """The branches of one run: ``main`` and ``explore-a`` to ``-c``, numbered where taken."""

    suffix: str = ""

    @property
    def main(self) -> str:
        return f"main{self.suffix}"

    def explore(self, letter: str) -> str:
        """Return the name of the branch ``letter``."""
        return f"explore-{letter}{self.suffix}"

    @property
    def all(self) -> list[str]:
        return [self.main, *(self.explore(letter) for letter in "abc")]


def open_repository(path: Path) -> Keeper:
    """Return the keeper of the repository at ``path``, which is made when missing.

    Raises TcvsError.
    """
    from tcvs_core.store.pool import Pool

    try:
        read_marker(path)
    except NotARepository:
        Pool.create(path).close()
    return Keeper.connect(path)


def free_names(keeper: Keeper) -> Names:
    """Return names that no branch has."""
    taken = {branch["name"] for branch in keeper.call("branch_list")}
    number = 1
    while taken.intersection(Names(f"-{number}" if number > 1 else "").all):
        number += 1
    return Names(f"-{number}" if number > 1 else "")


def clear(keeper: Keeper, names: Names) -> list[str]:
    """Delete what earlier demos left; return the names.

    Only branches that bear our names, do not run, and end with a commit of the demo's: in the
    others somebody has worked since.  What is deleted stays in the reflog.
    """
    commits = {commit["id"]: commit for commit in keeper.call("log", all=True)["commits"]}
    cleared = []
    for branch in keeper.call("branch_list"):
        name = branch["name"]
        if not _OURS.fullmatch(name) or name in names.all or branch["running"]:
            continue
        if not _ours(commits, branch["commit"]):
            continue
        if branch["current"]:
            keeper.call("checkout", target=names.main)
        try:
            keeper.call("branch_delete", names=[name], force=True)
        except RemoteError:
            continue  # somebody uses it: it is none of ours then
        cleared.append(name)
    return cleared


def _ours(commits: dict[str, Any], tip: str) -> bool:
    """Whether the demo made ``tip``, or tcvs did when the demo put its desktop away."""
    commit = commits.get(tip)
    if commit is None:
        return False
    author: str = commit["state"]["author"]["name"]
    return author == AUTHOR["name"] or bool(commit["message"] == LAST)
