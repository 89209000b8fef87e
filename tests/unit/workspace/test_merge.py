"""Merging between fake desktops with real files."""

from __future__ import annotations

import pytest

from tcvs_core.errors import EXIT_CONFLICT, UsageError
from tcvs_core.ids import BranchName
from tcvs_core.workspace import fork, inspect, life, travel
from tcvs_core.workspace.merge import MergeConflict, merge
from tcvs_core.workspace.repository import Repository

from .test_versions import inside, notes


@pytest.fixture
def forked(repo: Repository) -> Repository:
    """Branches main and a, both running, at the same fork point."""
    life.up(repo)
    fork.branch_create(repo, name="a")
    return repo


def test_both_sides_changes_come_together(forked: Repository) -> None:
    notes(forked, "a").write_text("one\ntwo\nthree\nfour from a\n")
    notes(forked, "main").write_text("zero from main\none\ntwo\nthree\n")
    inside(forked, "main").memory["draft"] = "typed meanwhile"
    result = merge(forked, branch="a", paths=["~/notes.txt"])
    assert result["applied"] and result["conflicts"] == []
    assert notes(forked, "main").read_text() == "zero from main\none\ntwo\nthree\nfour from a\n"
    assert notes(forked, "a").read_text() == "one\ntwo\nthree\nfour from a\n"
    assert inside(forked, "main").memory["draft"] == "typed meanwhile"
    forked.scribe.drain()
    commit = forked.commit(forked.tip(BranchName("main")))
    assert commit.state.kind == "merge" and len(commit.parents) == 2
    assert commit.state.merge is not None and commit.state.merge["paths"] == ["~/notes.txt"]


def test_only_the_chosen_paths_come(forked: Repository) -> None:
    home = notes(forked, "a").parent
    (home / "docs").mkdir()
    (home / "docs/report.txt").write_text("report")
    (home / "junk.txt").write_text("junk")
    merge(forked, branch="a", paths=["~/docs"])
    ours = notes(forked, "main").parent
    assert (ours / "docs/report.txt").read_text() == "report"
    assert not (ours / "junk.txt").exists()


def test_without_paths_everything_comes_but_noise(forked: Repository) -> None:
    for name in ("a", "main"):
        home = notes(forked, name).parent
        (home / ".config/chromium").mkdir(parents=True)
        (home / ".config/chromium/Preferences").write_text(f"rewritten by the browser of {name}")
        (home / ".local/share").mkdir(parents=True)
        (home / ".local/share/recently-used.xbel").write_text(name)
    (notes(forked, "a").parent / "report.txt").write_text("report")
    assert [c["path"] for c in inspect.diff(forked, a="main", b="a")["files"]] == [
        "home/user/report.txt"
    ]
    assert merge(forked, branch="a")["conflicts"] == []
    home = notes(forked, "main").parent
    assert (home / "report.txt").read_text() == "report"
    assert (home / ".config/chromium/Preferences").read_text().endswith("main")


def test_a_conflict_changes_nothing_and_says_what(forked: Repository) -> None:
    notes(forked, "a").write_text("one\nfrom a\nthree\n")
    notes(forked, "main").write_text("one\nfrom main\nthree\n")
    before = forked.tips()
    with pytest.raises(MergeConflict, match=r"1 conflict: home/user/notes\.txt") as caught:
        merge(forked, branch="a")
    assert caught.value.exit_status == EXIT_CONFLICT
    assert caught.value.details["conflicts"][0]["kind"] == "content"
    assert notes(forked, "main").read_text() == "one\nfrom main\nthree\n"
    assert forked.tips() == before
    merge(forked, branch="a", conflicts="markers")
    text = notes(forked, "main").read_text()
    assert "<<<<<<<" in text and "from main" in text and "from a" in text


def test_a_dry_run_touches_nothing(forked: Repository) -> None:
    notes(forked, "a").write_text("changed\n")
    before = forked.tips()
    result = merge(forked, branch="a", dry_run=True)
    assert not result["applied"] and result["plan"]["actions"]
    assert notes(forked, "main").read_text() == "one\ntwo\nthree\n"
    assert forked.tips() == before


def test_nothing_to_merge_makes_no_commit(forked: Repository) -> None:
    before = forked.tips()
    assert not merge(forked, branch="a")["applied"]
    assert forked.tips() == before


def test_undo_takes_a_merge_back(forked: Repository) -> None:
    notes(forked, "a").write_text("from a\n")
    merge(forked, branch="a")
    assert notes(forked, "main").read_text() == "from a\n"
    travel.undo(forked)
    assert notes(forked, "main").read_text() == "one\ntwo\nthree\n"


def test_impossible_merges_are_usage_errors(forked: Repository) -> None:
    with pytest.raises(UsageError, match="into itself"):
        merge(forked, branch="main")
    with pytest.raises(UsageError, match="no branch 'nope'"):
        merge(forked, branch="nope")
    assert inspect.notices(forked) == []
