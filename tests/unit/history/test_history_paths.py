"""What a path pattern selects."""

from __future__ import annotations

import pytest

from tcvs_core.history import BadPattern, Selection
from tcvs_core.model import Change

CASES = [
    ("~/docs", ["home/user/docs", "home/user/docs/a/b"], ["home/user/docs2", "docs", "root/docs"]),
    ("~", ["home/user", "home/user/x"], ["home/user2", "home"]),
    ("/etc/*.conf", ["etc/a.conf", "etc/x.conf/in"], ["etc/a/b.conf", "home/etc/a.conf"]),
    ("*.txt", ["a.txt", "home/user/b.txt", "d.txt/x"], ["a.txt2", "a.tx"]),
    ("docs", ["docs", "home/user/docs/x", "a/docs"], ["mydocs", "docs2/x"]),
    ("docs/", ["docs/x", "a/docs"], ["docs2"]),
    ("a/b", ["home/user/a/b", "home/user/a/b/c"], ["a/b"]),
    ("a/**/t_*", ["home/user/a/t_1", "home/user/a/b/c/t_2"], ["home/user/a/b/c", "x/t_1"]),
    ("/srv/**", ["srv/a", "srv/a/b"], ["srv"]),
    ("/", ["", "x", "x/y"], []),
    (".", ["home/user", "home/user/x"], ["etc"]),
    ("file?.[a-c]", ["file1.a", "x/file2.c"], ["file12.a", "file1.d", "file/.a"]),
    ("[!a]x", ["bx"], ["ax", "/x"]),
    ("[]x]y", ["]y", "xy"], ["zy"]),
    ("a[b", ["a[b"], ["ab"]),
    (r"\*.txt", ["*.txt"], ["a.txt"]),
    ("a+(b)|c", ["a+(b)|c"], ["aab", "c"]),
    ("*", ["new\nline", "\udcff", "a/b"], []),
]


@pytest.mark.parametrize(("pattern", "yes", "no"), CASES, ids=[case[0] for case in CASES])
def test_pattern(pattern: str, yes: list[str], no: list[str]) -> None:
    selection = Selection.parse([pattern])
    assert [p for p in yes if not selection.matches(p)] == []
    assert [p for p in no if selection.matches(p)] == []


def test_several_and_excluded() -> None:
    selection = Selection.parse(["~/a", "/etc"], ["*.tmp", "/etc/cache"])
    assert selection.matches("home/user/a/x") and selection.matches("etc/hosts")
    assert not selection.matches("home/user/a/x.tmp")
    assert not selection.matches("etc/cache/y")
    assert Selection.parse().everything and Selection.parse().matches("anything")
    assert not Selection.parse([], ["x"]).matches("a/x")


def test_a_home_that_the_shell_has_expanded_already() -> None:
    selection = Selection.parse(["/root/docs"], host_home="/root")
    assert selection.matches("home/user/docs/x") and not selection.matches("root/docs/x")
    assert Selection.parse(["/rooted"], host_home="/root").matches("rooted")
    assert Selection.parse(["/root"], host_home="/root/").matches("home/user/x")


def test_a_rename_is_selected_by_either_name() -> None:
    selection = Selection.parse(["~/docs"])
    assert selection.takes(Change("renamed", "tmp/a", old_path="home/user/docs/a"))
    assert selection.takes(Change("renamed", "home/user/docs/a", old_path="tmp/a"))
    assert not selection.takes(Change("renamed", "tmp/a", old_path="tmp/b"))


@pytest.mark.parametrize(
    "pattern", ["", "..", "~/../x", "a/../b", "~bob/x", "x\0y", "x\\", "[z-a]"]
)
def test_bad(pattern: str) -> None:
    with pytest.raises(BadPattern) as caught:
        Selection.parse([pattern])
    assert caught.value.exit_status == 2
