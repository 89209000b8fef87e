"""Merges one by one: what becomes of a file when both sides have done something to it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tcvs_core import faults
from tcvs_core.history import (
    MergeConflicts,
    MergeHalfDone,
    MergePlan,
    Selection,
    TargetChanged,
    apply,
    plan,
    recover,
    stage,
    walk_changes,
)
from tcvs_core.history.mergeplan import MergeError
from tcvs_core.history.metadata import Metadata, merge_metadata
from tcvs_core.model import Change


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


TEXT = "seq 1 9 > f"
NINE = "1\n2\n3\n4\n5\n6\n7\n8\n9\n"

#: base, ours, theirs, renames of ours and theirs -> target
MERGES = {
    "edits of different lines": (
        TEXT, "sed -i s/2/two/ f", "sed -i s/8/eight/ f", {}, {},
        {"f": NINE.replace("2", "two").replace("8", "eight")},
    ),
    "theirs only": (TEXT, "", "echo x > f; echo n > new; mkdir -p d/e; ln -s f l", {}, {},
                    {"d/": "", "d/e/": "", "f": "x\n", "l": "-> f", "new": "n\n"}),
    "ours only": (TEXT, "echo x > f", "", {}, {}, {"f": "x\n"}),
    "the same on both sides": (TEXT, "echo x > f; echo n > g", "echo x > f; echo n > g", {}, {},
                               {"f": "x\n", "g": "n\n"}),
    "deleted there": (f"{TEXT}; mkdir d; echo 1 > d/a", "", "rm -r f d", {}, {}, {}),
    "deleted on both sides": (TEXT, "rm f", "rm f", {}, {}, {}),
    "a directory deleted there in which we have made a file": (
        "mkdir d; echo 1 > d/a", "echo 2 > d/mine", "rm -r d", {}, {},
        {"d/": "", "d/mine": "2\n"},
    ),
    "a file made there in a directory that we deleted": (
        "mkdir -p d/e; echo 1 > d/e/a", "rm -r d", "echo 2 > d/e/new", {}, {},
        {"d/": "", "d/e/": "", "d/e/new": "2\n"},
    ),
    "renamed there, edited here": (
        TEXT, "sed -i s/2/two/ f", "mv f g", {}, {"f": "g"}, {"g": NINE.replace("2", "two")},
    ),
    "edited there, renamed here": (
        TEXT, "mv f g", "sed -i s/2/two/ f", {"f": "g"}, {}, {"g": NINE.replace("2", "two")},
    ),
    "renamed and edited there, edited here": (
        TEXT, "sed -i s/2/two/ f", "sed s/8/eight/ f > g; rm f", {}, {"f": "g"},
        {"g": NINE.replace("2", "two").replace("8", "eight")},
    ),
    "renamed alike": (TEXT, "mv f g", "mv f g", {"f": "g"}, {"f": "g"}, {"g": NINE}),
    "a directory renamed there, a file in it edited here": (
        "mkdir d; seq 1 9 > d/f; echo 1 > d/g", "sed -i s/2/two/ d/f", "mv d e; echo 2 > e/new",
        {}, {"d": "e"},
        {"e/": "", "e/f": NINE.replace("2", "two"), "e/g": "1\n", "e/new": "2\n"},
    ),
    "a directory renamed here, a file in it edited and one made there": (
        "mkdir d; seq 1 9 > d/f", "mv d e", "sed -i s/2/two/ d/f; echo 2 > d/new",
        {"d": "e"}, {}, {"e/": "", "e/f": NINE.replace("2", "two"), "e/new": "2\n"},
    ),
    "a directory renamed here, a file in it there": (
        "mkdir d; echo 1 > d/f", "mv d e", "mv d/f d/g", {"d": "e"}, {"d/f": "d/g"},
        {"e/": "", "e/g": "1\n"},
    ),
    "a directory renamed there, a file made in it here stays": (
        "mkdir d; echo 1 > d/f", "echo 2 > d/mine", "mv d e", {}, {"d": "e"},
        {"d/": "", "d/mine": "2\n", "e/": "", "e/f": "1\n"},
    ),
    "a directory becomes a file": ("mkdir d; echo 1 > d/f", "", "rm -r d; echo 2 > d", {}, {},
                                   {"d": "2\n"}),
    "a file becomes a directory": ("echo 1 > d", "", "rm d; mkdir d; echo 2 > d/f", {}, {},
                                   {"d/": "", "d/f": "2\n"}),
    "a file becomes a symlink": ("echo 1 > d", "", "rm d; ln -s /etc d", {}, {}, {"d": "-> /etc"}),
    "CRLF is kept": (
        r"printf '1\r\n2\r\n3\r\n' > f", r"printf '1\r\n2\r\n3\r\n4\r\n' > f",
        r"printf '0\r\n1\r\n2\r\n3\r\n' > f", {}, {}, {"f": "0\r\n1\r\n2\r\n3\r\n4\r\n"},
    ),
    "an empty new file here, a filled one there": (
        "", ": > f; echo o > g", "echo t > f; : > g", {}, {}, {"f": "t\n", "g": "o\n"},
    ),
    "two renames in a circle of places": (
        "echo 1 > a; mkdir d; echo 2 > d/b", "", "mv a t; mv d/b a2; mv t d/c", {},
        {"a": "d/c", "d/b": "a2"}, {"a2": "2\n", "d/": "", "d/c": "1\n"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MERGES)
def test_merge(trees: Make, name: str) -> None:
    base, ours, theirs, ours_renames, theirs_renames, expected = MERGES[name]
    case = trees(base, ours, theirs, ours_renames=ours_renames, theirs_renames=theirs_renames)
    merge = case.plan()
    assert merge.conflicts == []
    apply(merge, case.root / "ours")
    assert case.listing() == expected


#: base, ours, theirs, renames -> kind and path of the conflicts, target with markers
CONFLICTS = {
    "the same line": (
        "echo 1 > f", "echo o > f", "echo t > f", {}, {}, [("content", "f")],
        {"f": "<<<<<<< ours main\no\n=======\nt\n>>>>>>> theirs b\n"},
    ),
    "two new files": (
        "", "echo o > f", "echo t > f", {}, {}, [("add/add", "f")],
        {"f": "<<<<<<< ours main\no\n=======\nt\n>>>>>>> theirs b\n"},
    ),
    "modified here, deleted there": (
        "echo 1 > f", "echo o > f", "rm f", {}, {}, [("modify/delete", "f")], {"f": "o\n"},
    ),
    "deleted here, modified there": (
        "echo 1 > f", "rm f", "echo t > f", {}, {}, [("delete/modify", "f")], {},
    ),
    "binary": (
        r"printf '\0' > f", r"printf '\0o' > f", r"printf '\0t' > f", {}, {}, [("binary", "f")],
        {"f": "\0o"},
    ),
    "file here, directory there": (
        "", "echo o > f", "mkdir f; echo t > f/x", {}, {}, [("type", "f"), ("type", "f/x")],
        {"f": "o\n"},
    ),
    "directory here, file there": (
        "", "mkdir f; echo o > f/x", "echo t > f", {}, {}, [("type", "f")],
        {"f/": "", "f/x": "o\n"},
    ),
    "a directory that we filled becomes a file there": (
        "mkdir d", "echo o > d/x", "rmdir d; echo t > d", {}, {}, [("type", "d")],
        {"d/": "", "d/x": "o\n"},
    ),
    "symlinks": ("ln -s 1 f", "ln -sfn o f", "ln -sfn t f", {}, {}, [("content", "f")],
                 {"f": "-> o"}),
    "a symlink here where they made files": (
        "", "ln -s /etc d", "mkdir d; echo t > d/hosts", {}, {},
        [("type", "d"), ("type", "d/hosts")], {"d": "-> /etc"},
    ),
    "moved to two places": (
        "echo 1 > f", "mv f o", "mv f t", {"f": "o"}, {"f": "t"}, [("rename", "o")], {"o": "1\n"},
    ),
    "moved there to where we made a file": (
        "echo 1 > f", "echo o > g", "mv f g", {}, {"f": "g"}, [("add/add", "g")],
        {"f": "1\n", "g": "o\n"},
    ),
    "moved here, deleted there": (
        "echo 1 > f", "mv f o", "rm f", {"f": "o"}, {}, [("modify/delete", "o")], {"o": "1\n"},
    ),
    "moved there, deleted here": (
        "echo 1 > f", "rm f", "mv f t", {}, {"f": "t"}, [("delete/modify", "t")], {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFLICTS)
def test_conflict(trees: Make, name: str) -> None:
    base, ours, theirs, ours_renames, theirs_renames, kinds, expected = CONFLICTS[name]
    case = trees(base, ours, theirs, ours_renames=ours_renames, theirs_renames=theirs_renames)
    before = case.listing()
    merge = case.plan()
    assert sorted((c.kind, c.path) for c in merge.conflicts) == sorted(kinds)
    assert [c["kind"] for c in merge.to_dict()["conflicts"]] == [c.kind for c in merge.conflicts]
    with pytest.raises(MergeConflicts) as caught:
        apply(merge, case.root / "ours", conflicts="refuse")
    assert caught.value.exit_status == 4
    assert case.listing() == before
    apply(merge, case.root / "ours", conflicts="markers")
    assert case.listing() == expected


def test_metadata_is_merged_with_contents(trees: Make) -> None:
    case = trees(f"{TEXT}; chmod 644 f", "chmod 600 f; sed -i s/2/two/ f",
                 "chmod 755 f; sed -i s/8/eight/ f")  # fmt: skip
    apply(case.plan(), case.root / "ours")
    target = case.root / "ours/f"
    assert target.stat().st_mode & 0o777 == 0o711
    assert "two" in target.read_text() and "eight" in target.read_text()


def test_what_theirs_wrote_keeps_time_and_mode(trees: Make) -> None:
    case = trees(TEXT, "", "echo x > f; chmod 751 f; touch -d 2001-02-03 f")
    os.setxattr(case.root / "theirs/f", "user.note", b"kept")
    apply(case.plan(), case.root / "ours")
    status, wanted = (case.root / "ours/f").stat(), (case.root / "theirs/f").stat()
    assert (status.st_mode, status.st_mtime_ns) == (wanted.st_mode, wanted.st_mtime_ns)
    assert os.getxattr(case.root / "ours/f", "user.note") == b"kept"


def test_a_chmod_alone_keeps_the_inode(trees: Make) -> None:
    case = trees(TEXT, "sed -i s/2/two/ f", "chmod 700 f")
    before = (case.root / "ours/f").stat().st_ino
    apply(case.plan(), case.root / "ours")
    status = (case.root / "ours/f").stat()
    assert (status.st_ino, status.st_mode & 0o777) == (before, 0o700)


def test_a_chmod_there_of_one_of_our_hard_links_does_not_reach_the_other(trees: Make) -> None:
    case = trees(TEXT, "ln f g; sed -i s/x/x/ f; rm f; ln g f", "chmod 700 f")
    apply(case.plan(), case.root / "ours")
    modes = [(case.root / "ours" / name).stat().st_mode & 0o777 for name in "fg"]
    assert modes[0] == 0o700 != modes[1]
    assert case.listing() == {"f": NINE, "g": NINE}


def test_metadata_three_ways() -> None:
    base = Metadata(0o644, 0, 0, {"a": b"1", "b": b"1"})
    ours = Metadata(0o600, 1, 0, {"a": b"2", "b": b"1"})
    theirs = Metadata(0o4755, 0, 5, {"b": b"3", "c": b"4"})
    merged, conflict = merge_metadata(base, ours, theirs)
    assert merged == Metadata(0o4711, 1, 5, {"a": b"2", "b": b"3", "c": b"4"})
    assert conflict  # ours changed "a", theirs removed it
    assert merge_metadata(base, base, theirs) == (theirs, False)
    assert merge_metadata(base, ours, base) == (ours, False)


def test_only_what_is_selected(trees: Make) -> None:
    theirs = "echo 2 > etc/x; cd home/user/docs; echo 2 > a; echo 3 > a.tmp"
    case = trees("mkdir -p home/user/docs etc; echo 1 > etc/x", "", theirs)
    apply(case.plan(Selection.parse(["~/docs"], ["*.tmp"])), case.root / "ours")
    assert case.listing()["etc/x"] == "1\n"
    assert case.listing()["home/user/docs/a"] == "2\n"
    assert "home/user/docs/a.tmp" not in case.listing()


def test_planning_touches_nothing_and_counts(trees: Make) -> None:
    case = trees("echo 1 > f; echo 1 > g", "echo 2 > g", "echo 2 > f; echo 2 > g")
    before = case.listing()
    merge = case.plan()
    assert case.listing() == before
    assert merge.unchanged == 1
    assert merge.to_dict() == {
        "actions": [
            {"kind": "write", "path": "f", "type": "file", "from": "theirs", "old_path": None}
        ],
        "conflicts": [],
        "unchanged": 1,
    }


TOUCHES = {
    "written": "echo later > f",
    "deleted": "rm f",
    "replaced": "rm f; mkdir f",
    "chmod": "chmod 600 f",
    "in the way": "echo later > new",
    "a symlink in the way": "ln -s /etc new",
    "parent gone": "rm -r d",
    "parent a symlink": "mv d e; ln -s e d",
}


@pytest.mark.parametrize("name", TOUCHES)
@pytest.mark.parametrize("late", [False, True])
def test_a_target_that_has_changed_is_left_alone(trees: Make, name: str, late: bool) -> None:
    case = trees(f"{TEXT}; mkdir d; echo 1 > d/x", "", "echo t > f; echo t > new; echo t > d/x")
    shutil.copytree(case.root / "ours", case.root / "live", symlinks=True)
    merge = case.plan()
    os.rename(case.root / "ours", case.root / "planned")
    os.rename(case.root / "live", case.root / "ours")
    merge = MergePlan(merge.base, case.root / "planned", merge.theirs, merge.actions)
    staged = stage(merge, case.root / "ours") if late else None
    subprocess.run(["sh", "-euc", TOUCHES[name]], cwd=case.root / "ours", check=True)
    before = {k: v for k, v in case.listing().items() if not k.startswith(".tcvs-")}
    merging = staged.apply if staged is not None else lambda: apply(merge, case.root / "ours")
    with pytest.raises(TargetChanged):
        merging()
    if staged is not None:
        staged.close()
    assert case.listing() == before


def test_symlinks_in_the_target_lead_nowhere(trees: Make, tmp_path: Path) -> None:
    """Whoever runs in the workspace swaps a directory for a symlink to the host."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("host\n")
    case = trees("mkdir d; echo 1 > d/x", "", "echo t > d/x; echo t > d/y")
    merge = case.plan()
    shutil.rmtree(case.root / "ours/d")
    (case.root / "ours/d").symlink_to(outside)
    with pytest.raises(TargetChanged):
        apply(merge, case.root / "ours")
    assert [p.name for p in outside.iterdir()] == ["x"]
    assert (outside / "x").read_text() == "host\n"


def test_failing_half_way_undoes(trees: Make) -> None:
    case = trees("echo 1 > a; echo 1 > b; mkdir d; echo 1 > d/c", "",
                 "echo 2 > a; rm b; chmod 700 d; echo 2 > d/n; ln -s x l; chmod 711 d/c",
                 )  # fmt: skip
    before = case.listing()
    steps = 0
    for skip in range(20):
        merge = case.plan()  # anew: undoing a chmod leaves another time of change
        faults.arm(faults.Fault.MERGE_APPLYING, "error", skip=skip)
        try:
            apply(merge, case.root / "ours")
        except faults.FaultInjected:
            assert case.listing() == before
            assert (case.root / "ours/d").stat().st_mode & 0o777 != 0o700
            steps += 1
            continue
        finally:
            faults.disarm()
        break
    assert steps == len(merge.actions) == 6
    assert case.listing() == {"a": "2\n", "d/": "", "d/c": "1\n", "d/n": "2\n", "l": "-> x"}


@pytest.mark.parametrize("point", [faults.Fault.MERGE_STAGED, faults.Fault.MERGE_APPLYING])
def test_killed_half_way_recovers(trees: Make, point: faults.Fault) -> None:
    case = trees("echo 1 > a; echo 1 > b", "", "echo 2 > a; rm b; mkdir d; echo 2 > d/n")
    before = case.listing()
    merge = case.plan()
    child = os.fork()
    if child == 0:
        faults.arm(point, "kill", skip=2 if point is faults.Fault.MERGE_APPLYING else 0)
        try:
            apply(merge, case.root / "ours")
        finally:
            os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert any(name.startswith(".tcvs-merge-") for name in os.listdir(case.root / "ours"))
    assert recover(case.root / "ours") == 1
    assert case.listing() == before
    assert recover(case.root / "ours") == 0


def test_recovering_from_garbage_destroys_nothing(trees: Make) -> None:
    case = trees(TEXT)
    left = case.root / "ours/.tcvs-merge-00000000"
    left.mkdir(mode=0o700)
    (left / "journal").write_bytes(b"garbage")
    with pytest.raises(MergeError):
        recover(case.root / "ours")
    assert (left / "journal").exists()
    with pytest.raises(MergeError):
        recover(case.root / "nowhere")


def test_when_even_undoing_fails_recover_does_it_later(trees: Make) -> None:
    case = trees("mkdir d e; echo 1 > d/a; echo 1 > e/b", "", "echo 2 > d/a; rm e/b; echo 2 > z")
    before = case.listing()
    staged = stage(case.plan(), case.root / "ours")
    # The second step fails as something is in the way by then; and undoing the first (e/b was
    # taken away) fails as something is in its way too.
    made: list[str] = []

    def interfere(step: dict[str, object], wanted: object) -> None:
        if len(made) == 1:
            (case.root / "ours/e/b").mkdir()
            (case.root / "ours/z").mkdir()
        made.append(str(step["do"]))
        do(step, wanted)

    do: Callable[[object, object], None] = staged._do  # type: ignore[assignment]
    staged._do = interfere  # type: ignore[method-assign,assignment]
    with pytest.raises(MergeHalfDone):
        staged.apply()
    staged.close()
    (case.root / "ours/e/b").rmdir()
    (case.root / "ours/z").rmdir()
    assert recover(case.root / "ours") == 1
    assert case.listing() == before
