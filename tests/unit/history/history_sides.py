"""Three trees and what shell scripts made of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tcvs_core.history import MergePlan, Selection, plan, walk_changes
from tcvs_core.model import Change

TEXT = "seq 1 9 > f"
NINE = "1\n2\n3\n4\n5\n6\n7\n8\n9\n"


@dataclass
class Trees:
    root: Path
    #: What a copy cannot tell: renames, as shell scripts would make them.
    ours_renames: dict[str, str]
    theirs_renames: dict[str, str]

    def changes(self, side: str, renames: dict[str, str]) -> list[Change]:
        """The exact list; copies share no inodes, so renames are told by the test."""
        found = walk_changes(self.root / "base", self.root / side)
        for old, new in renames.items():
            kind = "dir" if (self.root / side / new).is_dir() else "file"
            inside = [c for c in found if c.kind == "deleted" and _in(c.path, old)]
            arrived = {c.path: c for c in found if c.kind == "added" and _in(c.path, new)}
            found = [c for c in found if c not in inside and c.path not in arrived]
            found.append(Change("renamed", new, kind, old))  # type: ignore[arg-type]
            for change in inside:
                there = new + change.path[len(old) :]
                if arrived.pop(there, None) is None:
                    found.append(change)
                elif change.type == "file":
                    before = (self.root / "base" / change.path).read_bytes()
                    if before != (self.root / side / there).read_bytes():
                        found.append(Change("modified", there))
            found += arrived.values()
        return found

    def plan(self, select: Selection | None = None) -> MergePlan:
        return plan(
            self.root / "base",
            self.root / "ours",
            self.root / "theirs",
            self.changes("ours", self.ours_renames),
            self.changes("theirs", self.theirs_renames),
            select,
            ours_name="main",
            theirs_name="b",
        )

    def listing(self) -> dict[str, str]:
        """Path -> contents in the target; directories end with a slash."""
        found = {}
        for where, names, files in os.walk(self.root / "ours"):
            for name in names + files:
                path = Path(where, name)
                key = str(path.relative_to(self.root / "ours"))
                if path.is_symlink():
                    found[key] = f"-> {os.readlink(path)}"
                elif path.is_dir():
                    found[key + "/"] = ""
                else:
                    found[key] = path.read_bytes().decode("utf-8", "replace")
        return dict(sorted(found.items()))


def _in(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory + "/")


Make = Callable[..., Trees]


@pytest.fixture
def trees(tmp_path: Path) -> Make:
    def make(
        base: str,
        ours: str = "",
        theirs: str = "",
        *,
        ours_renames: dict[str, str] | None = None,
        theirs_renames: dict[str, str] | None = None,
    ) -> Trees:
        (tmp_path / "base").mkdir()
        subprocess.run(["sh", "-euc", base], cwd=tmp_path / "base", check=True)
        for side, script in (("ours", ours), ("theirs", theirs)):
            shutil.copytree(tmp_path / "base", tmp_path / side, symlinks=True)
            subprocess.run(["sh", "-euc", script], cwd=tmp_path / side, check=True)
        return Trees(tmp_path, ours_renames or {}, theirs_renames or {})

    return make
