"""What users type for a commit: every form, and every way to be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tcvs_core.ids import BranchName, CommitId
from tcvs_core.model import State
from tcvs_core.store.history import AmbiguousRevision, History, UnknownRevision

Make = Callable[..., State]
Chain = Callable[..., list[CommitId]]
MAIN = BranchName("main")
PNG = b"\x89PNG\r\n\x1a\n" + b"picture"


def _object_files(git: Path) -> list[Path]:
    return sorted(path for path in (git / "objects").glob("??/*") if len(path.name) == 38)


def test_names_and_ways(history: History, make_state: Make, chain: Chain) -> None:
    ids = chain(4)
    side = history.commit(make_state(), [ids[0]], "side")
    merge = history.commit(make_state(kind="merge"), [ids[3], side], "merge")
    history.set_branch(MAIN, merge, ids[3], "merge")
    history.set_tag("v1", ids[1], "tag")
    expected = {
        "HEAD": merge,
        "@": merge,
        "main": merge,
        "heads/main": merge,
        "refs/heads/main": merge,
        "v1": ids[1],
        "tags/v1": ids[1],
        "v1~1": ids[0],
        "main^": ids[3],
        "main^2": side,
        "main^2~": ids[0],
        "main~2^": ids[1],
        "main^0": merge,
        "main@{0}": merge,
        "main@{1}": ids[3],
        "@{4}": ids[0],
        "HEAD@{2}~1": ids[1],
        ids[2]: ids[2],
        ids[2][:12]: ids[2],
        ids[2][:12].upper(): ids[2],
    }
    assert {text: history.resolve(text) for text in expected} == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "nope",
        "abc",
        "0" * 40,
        "f" * 41,
        "main~9",
        "main^2",
        "main^3",
        "main@{9}",
        "nope@{0}",
        "main@{x}",
        "main^^^^^^",
        "a b",
        "main~1x",
        "../main",
        "tags/main",
        "main\n",
        "é",
        "~999999999",
    ],
)
def test_what_is_not_there(history: History, make_state: Make, text: str, chain: Chain) -> None:
    chain(3)
    with pytest.raises(UnknownRevision) as caught:
        history.resolve(text)
    assert caught.value.exit_status == 2
    assert caught.value.subject == text


def test_near_names_are_suggested(history: History, make_state: Make, chain: Chain) -> None:
    chain(1, "explore-a")
    with pytest.raises(UnknownRevision) as caught:
        history.resolve("explor-a")
    assert caught.value.hint == "did you mean explore-a?"


def test_an_ambiguous_abbreviation_lists_what_it_could_be(
    history: History, make_state: Make
) -> None:
    seen: dict[str, CommitId] = {}
    while True:
        state = make_state()
        commit = History.commit_id_of(state, [], "twin")
        if commit[:4] in seen:
            break
        seen[commit[:4]] = commit
        history.commit(state, [], "twin")
        if len(seen) > 3000:
            pytest.fail("no two ids share four digits")
    history.commit(state, [], "twin")
    with pytest.raises(AmbiguousRevision) as caught:
        history.resolve(commit[:4])
    assert sorted(caught.value.details["candidates"]) == sorted([commit, seen[commit[:4]]])
    assert commit[:12] in (caught.value.hint or "")
    assert history.resolve(commit[:12]) == commit


def test_blobs_and_trees_are_no_candidates(history: History, make_state: Make) -> None:
    commit = history.commit(make_state(), [], "m", PNG)
    for path in _object_files(history._git.path):
        name = path.parent.name + path.name
        if name != commit:
            with pytest.raises(UnknownRevision):
                history.resolve(name)


def test_a_branch_and_a_tag_of_one_name(history: History, make_state: Make, chain: Chain) -> None:
    ids = chain(2)
    history.set_tag("main", ids[0])
    with pytest.raises(AmbiguousRevision) as caught:
        history.resolve("main")
    assert "heads/main" in (caught.value.hint or "")
    assert history.resolve("heads/main") == ids[1]
    assert history.resolve("tags/main") == ids[0]


def test_pending_commits(history: History, make_state: Make, chain: Chain) -> None:
    ids = chain(2)
    waiting = CommitId("ab" * 20)
    pending = {"main": waiting}
    assert history.resolve("main", pending=pending) == waiting
    assert history.resolve("HEAD", pending=pending) == waiting
    assert history.resolve("ababab", pending=pending) == waiting
    with pytest.raises(UnknownRevision, match="still being written"):
        history.resolve("main~1", pending=pending)
    parents = {waiting: [ids[1]]}
    resolved = history.resolve("main~1", pending=pending, pending_parents=parents)
    assert resolved == ids[1]
    assert history.resolve("main~2", pending=pending, pending_parents=parents) == ids[0]
