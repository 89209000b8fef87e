"""Lines: matching, unified diffs that patch(1) takes, merges that git agrees with."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcvs_core.history import Selection, unified, walk_changes
from tcvs_core.history.lines import LineMatcher, opcodes, split_lines
from tcvs_core.history.mergetext import merge_text
from tcvs_core.history.textdiff import TOO_LARGE, hunks, origin
from tcvs_core.model import Change

texts = st.lists(st.sampled_from([b"a\n", b"b\n", b"{\n", b"\n", b"x\r\n", b"y"]), max_size=14).map(
    b"".join
)


def apply_hunks(old: bytes, text: bytes) -> bytes:
    """A strict patch(1)."""
    source, result, at = split_lines(old), [], 0
    lines = split_lines(text)
    index = 0
    while index < len(lines):
        if lines[index].startswith(b"@@"):
            start, _, count = lines[index].split()[1][1:].partition(b",")
            first = int(start) - (0 if count == b"0" else 1)
            result += source[at:first]
            at = first
            index += 1
            continue
        sign, line = lines[index][:1], lines[index][1:]
        if index + 1 < len(lines) and lines[index + 1].startswith(b"\\"):
            line, index = line[:-1], index + 1
        if sign in b" -":
            assert source[at] == line
            at += 1
        if sign in b" +":
            result.append(line)
        index += 1
    return b"".join(result + source[at:])


@given(texts, texts)
def test_hunks_turn_one_into_the_other(old: bytes, new: bytes) -> None:
    text, added, removed = hunks(old, new)
    assert apply_hunks(old, text) == new
    assert (text == b"") == (old == new)
    signs = [line[:1] for line in split_lines(text) if not line.startswith(b"@@")]
    assert (signs.count(b"+"), signs.count(b"-")) == (added, removed)


@given(st.integers(0, 40), st.integers(0, 40))
def test_hunks_look_as_those_of_diff(
    tmp_path_factory: pytest.TempPathFactory, i: int, j: int
) -> None:
    old = [b"line %d\n" % n for n in range(41)]
    new = list(old)
    new[i] = b"changed\n"
    new.insert(j, b"added\n")
    directory = tmp_path_factory.mktemp("diff")
    (directory / "old").write_bytes(b"".join(old))
    (directory / "new").write_bytes(b"".join(new))
    run = subprocess.run(
        ["diff", "-u", "old", "new"], cwd=directory, capture_output=True, check=False
    )
    expected = run.stdout.split(b"\n", 2)[2]
    assert hunks(b"".join(old), b"".join(new))[0] == expected


@given(st.lists(st.integers(0, 5), max_size=30), st.lists(st.integers(0, 5), max_size=30))
def test_matching_blocks_match(a: list[int], b: list[int]) -> None:
    last = (0, 0)
    blocks = LineMatcher(None, a, b).get_matching_blocks()
    for i, j, length in blocks:
        assert a[i : i + length] == b[j : j + length]
        assert i >= last[0] and j >= last[1]
        last = (i + length, j + length)
    assert blocks[-1] == (len(a), len(b), 0)
    rebuilt: list[int] = []
    for tag, i, i_end, j, j_end in opcodes(a, b):
        rebuilt += a[i:i_end] if tag == "equal" else b[j:j_end]
    assert rebuilt == b


def test_large_repetitive_texts_take_seconds_at_most() -> None:
    began = time.monotonic()
    hunks(b"a\nb\n" * 20000, b"b\nb\na\n" * 15000)
    assert time.monotonic() - began < 10


def git_merge(directory: Path, base: bytes, ours: bytes, theirs: bytes) -> tuple[bytes, int]:
    for name, data in (("base", base), ("ours", ours), ("theirs", theirs)):
        (directory / name).write_bytes(data)
    run = subprocess.run(
        ["git", "merge-file", "-p", "-L", "ours m", "-L", "base", "-L", "theirs b",
         "ours", "base", "theirs"],
        cwd=directory, capture_output=True, check=False,
    )  # fmt: skip
    return run.stdout, run.returncode


def merge(base: bytes, ours: bytes, theirs: bytes) -> tuple[bytes, int]:
    return merge_text(base, ours, theirs, ours_label="ours m", theirs_label="theirs b")


#: Edits of a text of 30 different lines: (line, what).
edits = st.lists(
    st.tuples(st.integers(0, 29), st.sampled_from(["change", "delete", "insert"])),
    max_size=5,
    unique_by=lambda edit: edit[0],
)


def edited(todo: list[tuple[int, str]], who: str) -> bytes:
    lines = [b"line %d\n" % n for n in range(30)]
    for at, what in sorted(todo, reverse=True):
        fresh = f"{who} {at}\n".encode()
        lines[at : at + (what != "insert")] = [] if what == "delete" else [fresh]
    return b"".join(lines)


@given(edits, edits)
@settings(max_examples=60, deadline=None)
def test_merge_agrees_with_git(
    tmp_path_factory: pytest.TempPathFactory,
    mine: list[tuple[int, str]],
    other: list[tuple[int, str]],
) -> None:
    base, ours, theirs = edited([], ""), edited(mine, "ours"), edited(other, "theirs")
    merged, conflicts = merge(base, ours, theirs)
    expected, status = git_merge(tmp_path_factory.mktemp("merge"), base, ours, theirs)
    assert (conflicts > 0) == (status > 0)
    if not conflicts:
        assert merged == expected


@pytest.mark.parametrize(
    ("base", "ours", "theirs"),
    [
        (b"1\n2\n3\n", b"1\no\n3\n", b"1\nt\n3\n"),
        (b"1\n2\n3\n", b"1\n2\n3\no\n", b"1\n2\n3\nt\n"),
        (b"1\n2\n3\n", b"1\no\nsame\n3\n", b"1\nt\nsame\n3\n"),
        (b"1\r\n2\r\n3\r\n", b"1\r\no\r\n3\r\n", b"1\r\nt\r\n3\r\n"),
        (b"", b"o\n", b"t\n"),
    ],
)
def test_conflicts_are_written_as_git_does(
    tmp_path: Path, base: bytes, ours: bytes, theirs: bytes
) -> None:
    assert merge(base, ours, theirs)[0] == git_merge(tmp_path, base, ours, theirs)[0]


@given(texts, texts, texts)
def test_merge_keeps_every_line_of_a_conflict(base: bytes, ours: bytes, theirs: bytes) -> None:
    merged, conflicts = merge(base, ours, theirs)
    if ours == base:
        assert (merged, conflicts) == (theirs, 0)
    elif theirs in (base, ours):
        assert (merged, conflicts) == (ours, 0)
    assert merged.count(b"<<<<<<< ours m") == merged.count(b">>>>>>> theirs b") == conflicts
    for line in split_lines(merged):
        if b"<<<<<<<" in line or b">>>>>>>" in line:
            assert line.startswith((b"<<<<<<<", b">>>>>>>"))


def tree(root: Path, **files: bytes | None) -> Path:
    root.mkdir()
    for name, data in files.items():
        if data is not None:
            (root / name).write_bytes(data)
    return root


def test_records(tmp_path: Path) -> None:
    old = tree(tmp_path / "old", text=b"a\nb\n", bin=b"\0", big=b"x", gone=b"1\n", same=b"s")
    new = tree(
        tmp_path / "new", text=b"a\nc", bin=b"\0\1", big=b"x" * (TOO_LARGE + 1), same=b"s",
        latin=b"caf\xe9\n",
    )  # fmt: skip
    (new / "link").symlink_to("/etc/shadow")
    found = {r["path"]: r for r in unified(old, new, walk_changes(old, new))}
    assert sorted(found) == ["big", "bin", "gone", "latin", "link", "text"]
    assert found["text"]["hunks_text"] == (
        "@@ -1,2 +1,2 @@\n a\n-b\n+c\n\\ No newline at end of file\n"
    )
    assert (found["text"]["added"], found["text"]["removed"]) == (1, 1)
    assert found["bin"]["binary"] and found["bin"]["hunks_text"] == ""
    assert found["big"]["too_large"] and not found["big"]["binary"]
    assert found["gone"]["hunks_text"] == "@@ -1 +0,0 @@\n-1\n"
    assert found["latin"]["hunks_text"] == "@@ -0,0 +1 @@\n+caf\ufffd\n"
    assert "+/etc/shadow\n" in found["link"]["hunks_text"]
    chosen = unified(old, new, walk_changes(old, new), Selection.parse(["text"]))
    assert [r["path"] for r in chosen] == ["text"]


def test_renamed_and_edited_is_one_record(tmp_path: Path) -> None:
    (tmp_path / "old/d").mkdir(parents=True)
    (tmp_path / "old/d/f").write_text("1\n2\n")
    (tmp_path / "new/e").mkdir(parents=True)
    (tmp_path / "new/e/f").write_text("1\n3\n")
    changes = [Change("renamed", "e", "dir", "d"), Change("modified", "e/f")]
    directory, file = unified(tmp_path / "old", tmp_path / "new", changes)
    assert (directory["kind"], directory["old_path"]) == ("renamed", "d")
    assert (file["kind"], file["old_path"], file["removed"]) == ("modified", "d/f", 1)


def test_origin_takes_the_nearest_rename() -> None:
    changes = [Change("renamed", "e", "dir", "d"), Change("renamed", "e/x", "dir", "y")]
    assert [origin(p, changes) for p in ("e/a", "e/x/b", "e", "f")] == ["d/a", "y/b", "d", "f"]
