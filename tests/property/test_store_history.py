"""The history against slow oracles, and against whatever users may type or agents may say."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tcvs_core.ids import BranchName, CommitId
from tcvs_core.model import Author, State
from tcvs_core.store import record
from tcvs_core.store.history import AmbiguousRevision, History, RefChanged, UnknownRevision

MAIN = BranchName("main")
TEXT = st.text(max_size=200)
#: Also what is no valid Unicode: file names and titles arrive like that.
ODD_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)


def _state(number: int = 0, created: float | None = None, **fields: object) -> State:
    values: dict[str, object] = {
        "state": f"20260101T000000-{number:012x}",
        "branch": "main",
        "kind": "commit",
        "image": "mini",
        "created": 1_700_000_000.0 + number if created is None else created,
    }
    return State(**(values | fields))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def history() -> Iterator[History]:
    with tempfile.TemporaryDirectory() as directory:
        made = History.create(Path(directory) / "git")
        yield made
        made.close()


@given(message=ODD_TEXT, action=st.none() | ODD_TEXT, name=ODD_TEXT, email=ODD_TEXT)
@example("\n\nTcvs-State: a\nTcvs-Kind: b", "x\n\nTcvs-State: a\nTcvs-Kind: b", "<>", "a b")
@example("a\n\nTcvs-State: b\nTcvs-Kind: c\n\nd", None, "", "")
@example("", "\x85\u2028", ".", ">")
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_comes_back(
    history: History, message: str, action: str | None, name: str, email: str
) -> None:
    state = _state(action=action, author=Author(name, email))
    commit = history.read(history.commit(state, [], message))
    assert commit.state == state
    cleaned = record.clean_message(message)
    assert commit.message == ("" if cleaned == "(no message)" else cleaned)


@given(st.binary(max_size=300))
def test_a_state_record_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(record.BadRecord):
        record.decode_state(data)


@given(TEXT | st.from_regex(r"[a-z0-9@{}~^/]{0,12}", fullmatch=True))
@example("main@{99999999999999999999}")
@example("main" + "^" * 300)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_any_revision_is_resolved_or_refused(history: History, text: str) -> None:
    if not history.branches():
        history.set_branch(MAIN, history.commit(_state(), [], "first"), None)
    with contextlib.suppress(UnknownRevision, AmbiguousRevision):
        assert history.has(history.resolve(text))


#: For each commit: how far back its parents are, and how its clock is off.
GRAPHS = st.lists(
    st.tuples(st.lists(st.integers(1, 6), max_size=3, unique=True), st.integers(-5, 5)),
    min_size=1,
    max_size=14,
)


def _build(history: History, shape: list[tuple[list[int], int]]) -> list[CommitId]:
    ids: list[CommitId] = []
    for number, (backs, skew) in enumerate(shape):
        parents = [ids[number - back] for back in backs if back <= number]
        state = _state(number, created=1_700_000_000.0 + 2 * number + skew)
        ids.append(history.commit(state, parents, str(number)))
    return ids


def _ancestors(shape: list[tuple[list[int], int]], start: int) -> set[int]:
    found = {start}
    for back in shape[start][0]:
        if back <= start:
            found |= _ancestors(shape, start - back)
    return found


@given(shape=GRAPHS, data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_ancestry_is_as_a_slow_oracle_says(
    history: History, shape: list[tuple[list[int], int]], data: st.DataObject
) -> None:
    ids = _build(history, shape)
    one = data.draw(st.integers(0, len(ids) - 1))
    two = data.draw(st.integers(0, len(ids) - 1))
    ours, theirs = _ancestors(shape, one), _ancestors(shape, two)
    assert history.reachable([ids[one]]) == {ids[n] for n in ours}
    assert history.is_ancestor(ids[two], ids[one]) == (two in ours)

    common = ours & theirs
    best = {n for n in common if not any(n != m and n in _ancestors(shape, m) for m in common)}
    base = history.merge_base(ids[one], ids[two])
    assert base == history.merge_base(ids[two], ids[one])
    assert (base in {ids[n] for n in best}) if best else base is None

    walked = [commit.id for commit in history.walk([ids[one], ids[two]])]
    assert sorted(walked) == sorted(ids[n] for n in ours | theirs)
    place = {commit: at for at, commit in enumerate(walked)}
    for commit in walked:
        for parent in history.parents(CommitId(commit)):
            assert place[parent] > place[commit]
    limit = data.draw(st.integers(0, 15))
    assert [c.id for c in history.walk([ids[one], ids[two]], limit)] == walked[:limit]

    line = [commit.id for commit in history.walk([ids[one]], first_parent=True)]
    expected = [ids[one]]
    while parents := history.parents(CommitId(expected[-1])):
        expected.append(parents[0])
    assert line == expected


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4) | st.just(...)), max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_branch_and_its_reflog_follow_the_model(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, object]]
) -> None:
    with History.create(tmp_path_factory.mktemp("refs") / "git") as history:
        ids = [history.commit(_state(n), [], str(n)) for n in range(4)]
        current: CommitId | None = None
        moves: list[tuple[str | None, str]] = []
        for new, old in steps:
            expected = ... if old is ... else (None if old == 4 else ids[old])  # type: ignore[index]
            try:
                history.set_branch(MAIN, ids[new], expected, "m")
            except RefChanged:
                assert expected is not ...
                assert expected != current
            else:
                assert expected in (..., current)
                if ids[new] != current:
                    moves.insert(0, (current, ids[new]))
                current = ids[new]
            assert history.branches() == ({"main": current} if current else {})
            assert [(e["old"], e["new"]) for e in history.reflog(MAIN)] == moves
        for back, (_, new_id) in enumerate(moves):
            assert history.resolve(f"main@{{{back}}}") == new_id


@given(st.builds(Author, TEXT, TEXT))
def test_identities_hold_no_punctuation_of_git(author: Author) -> None:
    text = record.identity(author)
    assert text.count(b"<") == text.count(b">") == 1
    assert b"\n" not in text
    assert b"\0" not in text
    assert text.index(b" <") > 0


def test_the_id_depends_on_every_input() -> None:
    state = _state()
    png = b"\x89PNG\r\n\x1a\n"
    parent = CommitId("1" * 40)
    ids = {
        History.commit_id_of(state, [], "m"),
        History.commit_id_of(state, [], "n"),
        History.commit_id_of(state, [parent], "m"),
        History.commit_id_of(state, [], "m", png),
        History.commit_id_of(state, [], "m", png + b"x"),
        History.commit_id_of(dataclasses.replace(state, engine="criu"), [], "m"),
    }
    assert len(ids) == 6
