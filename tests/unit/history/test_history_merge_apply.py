"""Applying a merge: metadata, selection, targets that change, failures, crashes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from history_sides import NINE, TEXT, Make, trees

from tcvs_core import faults
from tcvs_core.history import (
    MergeError,
    MergeHalfDone,
    MergePlan,
    Selection,
    TargetChanged,
    apply,
    recover,
    stage,
)
from tcvs_core.history.metadata import Metadata, merge_metadata

__all__ = ["trees"]


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
