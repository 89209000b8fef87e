"""Rendering without a terminal or a keeper: units, tables, graph, conversion of paths."""

from __future__ import annotations

import io
import random

import pytest

from tcvs.paths import selection
from tcvs.render import units
from tcvs.render.graph import Graph
from tcvs.render.table import Column, table
from tcvs.render.terminal import Terminal, cells, fit, safe
from tcvs_core.errors import UsageError

PLAIN = Terminal(None)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (734003200, "700 MiB"), (None, "-")],
)
def test_size(value: int | None, text: str) -> None:
    assert units.size(value) == text


@pytest.mark.parametrize(
    ("text", "value"), [("4G", 4 << 30), ("512M", 512 << 20), ("1.5GiB", 3 << 29), ("100", 100)]
)
def test_parse_size(text: str, value: int) -> None:
    assert units.parse_size(text, "test") == value


@pytest.mark.parametrize("text", ["", "G", "-1G", "0", "1X", "1 G G"])
def test_parse_size_refuses(text: str) -> None:
    with pytest.raises(UsageError):
        units.parse_size(text, "test")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.0 ms"), (9.96, "10 ms"), (412.4, "412 ms"), (999.6, "1.00 s"), (123456, "2 min 3 s")],
)
def test_milliseconds(value: float, text: str) -> None:
    assert units.milliseconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3725, "1 h 2 min"), (90061, "1 d 1 h")],
)
def test_age(value: float, text: str) -> None:
    assert units.age(value) == text


def test_moment_says_how_long_ago_only_for_a_week() -> None:
    assert units.moment(1000.0, now=1060.0).endswith("(1 min ago)")
    assert "ago" not in units.moment(1000.0, now=1000.0 + 8 * 86400)


def test_wide_characters_are_counted() -> None:
    assert cells("日本") == 4
    assert cells("e\u0301") == 1
    assert fit("日本語", 5) == "日本…"


def test_safe_leaves_nothing_that_steers() -> None:
    text = "".join(map(chr, range(0x100))) + "\udcff\u202e"
    shown = safe(text)
    assert not any(
        (ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160 for char in shown
    )
    assert shown.encode()
    assert "\\xff" in shown


def test_table_fits_any_width() -> None:
    columns = [
        Column("A", right=True),
        Column("NAME", flexible=True),
        Column("TITLE", flexible=True),
    ]
    rows = [["1", "日本語" * 8, "x" * 50], ["22", "short", "\x1b[31m"]]
    wide = table(PLAIN, columns, rows).splitlines()
    assert "x" * 50 in wide[1]
    narrow = Terminal(io.StringIO())
    for width in range(1, 120):
        narrow.width = width
        assert all(cells(line) <= width for line in table(narrow, columns, rows).splitlines())


def draw(history: list[tuple[str, list[str]]]) -> list[str]:
    """Return the graph of a history with the names of its commits."""
    graph, lines = Graph(PLAIN), []
    for commit, parents in history:
        rows = graph.add(commit, parents)
        lines += [f"{rows.commit} {commit}", *rows.moves]
    return lines


def test_graph_of_a_merge() -> None:
    history = [("m", ["a", "b"]), ("b", ["r"]), ("a", ["r"]), ("r", [])]
    assert draw(history) == ["* m", "|\\", "| * b", "* | a", "|/", "* r"]


def test_graph_of_three_branches_of_one_commit() -> None:
    history = [("a", ["r"]), ("b", ["r"]), ("c", ["r"]), ("r", [])]
    assert draw(history) == ["* a", "| * b", "|/", "| * c", "|/", "* r"]


def test_graph_crosses_lanes() -> None:
    # c's parent waits in the left lane, so its edge passes the lane of y.
    history = [("a", ["r"]), ("b", ["y"]), ("c", ["r"]), ("y", ["r"]), ("r", [])]
    assert draw(history) == ["* a", "| * b", "| | * c", "| |/", "|/|", "| * y", "|/", "* r"]


def test_graph_of_many_random_histories() -> None:
    for seed in range(200):
        source = random.Random(seed)
        number = source.randrange(1, 30)
        history = []
        for i in range(number):
            many = min(source.choice((0, 1, 1, 1, 2, 3)), number - i - 1)
            history.append((str(i), [str(p) for p in source.sample(range(i + 1, number), k=many)]))
        graph = Graph(PLAIN)
        open_ends: set[str] = set()
        for commit, parents in history:
            rows = graph.add(commit, parents)
            open_ends = (open_ends - {commit}) | set(parents)
            assert rows.commit.count("*") == 1
            # After its rows there is one lane for each commit that is still to come.
            assert rows.rest.count("|") == len(open_ends)


def test_selection_undoes_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/root")
    assert selection(["/root/docs", "/root", "/rooted", "~/x", "*.txt"]) == [
        "~/docs", "~", "/rooted", "~/x", "*.txt",
    ]  # fmt: skip
    monkeypatch.setenv("HOME", "/")
    assert selection(["/etc"]) == ["/etc"]
