"""Merges one by one: what becomes of a file when both sides have done something to it."""

from __future__ import annotations

import pytest
from history_sides import NINE, TEXT, Make, trees

from tcvs_core.history import MergeConflicts, apply

__all__ = ["trees"]

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
