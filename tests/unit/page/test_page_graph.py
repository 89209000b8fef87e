"""Lanes: a branch keeps its own, every line that starts ends in its commit."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tcvs.page.graph import Row, lay_out, order, svg, width


def made(*rows: tuple[str, str, str]) -> list[dict[str, Any]]:
    return [
        {"id": name, "parents": parents.split(), "state": {"branch": branch, "created": 0.0}}
        for name, parents, branch in rows
    ]


def test_a_line() -> None:
    rows = lay_out(made(("c", "b", "m"), ("b", "a", "m"), ("a", "", "m")), {"m": 0})
    assert [row.lane for row in rows] == [0, 0, 0]
    assert rows[0].above == [] and rows[2].below == []


def test_branches_keep_their_lanes_until_the_fork() -> None:
    commits = made(("m2", "m1", "m"), ("x", "f", "x"), ("m1", "f", "m"), ("f", "", "m"))
    rows = lay_out(commits, {"m": 0, "x": 1})
    assert [row.lane for row in rows] == [0, 1, 0, 0]
    assert rows[3].above == [(0, 0, True), (1, 1, True)]


def test_a_merge_has_the_colour_of_what_it_brings() -> None:
    commits = made(("mg", "m1 x", "m"), ("x", "f", "x"), ("m1", "f", "m"), ("f", "", "m"))
    rows = lay_out(commits, {"m": 0, "x": 1})
    assert rows[0].merge
    assert rows[0].below == [(0, 0, True), (1, 1, True)]
    assert rows[1].lane == 1


def test_order_puts_parents_last_whatever_the_clock_says() -> None:
    commits = made(("a", "", "m"), ("b", "a", "m"), ("c", "a", "m"))
    commits[0]["state"]["created"] = 99.0
    assert order(commits)[-1]["id"] == "a"


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    commits: list[dict[str, Any]] = []
    for n in range(draw(st.integers(1, 25))):
        known = [c["id"] for c in commits] + ["missing"]
        parents = draw(st.lists(st.sampled_from(known), max_size=3, unique=True))
        branch = draw(st.sampled_from("abc"))
        commits.append(
            {"id": str(n), "parents": parents, "state": {"branch": branch, "created": n}}
        )
    return commits


@given(histories())
def test_lines_join(commits: list[dict[str, Any]]) -> None:
    ordered = order(commits)
    assert sorted(c["id"] for c in ordered) == sorted(c["id"] for c in commits)
    rows = lay_out(ordered, {"a": 0, "b": 1, "c": 2})
    leads: dict[int, str] = {}
    for at, (commit, row) in enumerate(zip(ordered, rows, strict=True)):
        assert {lane: colour for lane, colour, _ in row.above}.keys() == leads.keys()
        for lane, _, ends in row.above:
            assert ends == (leads[lane] == commit["id"])
        leads = {lane: to for lane, to in leads.items() if to != commit["id"]}
        assert row.lane not in leads
        begun = [lane for lane, _, begins in row.below if begins]
        for lane in begun:
            assert leads.get(lane, "") in ["", *commit["parents"]]
        targets = list(commit["parents"])
        for lane in begun:
            if lane in leads:
                targets.remove(leads[lane])
        for lane in sorted(lane for lane in begun if lane not in leads):
            leads[lane] = ""
        _resolve(leads, targets, at, ordered, rows)
        svg(row, width(rows))


def _resolve(
    leads: dict[int, str],
    targets: list[str],
    at: int,
    ordered: list[dict[str, Any]],
    rows: list[Row],
) -> None:
    """Where do the lanes that began in row ``at`` end?  In one of the commit's parents."""
    for lane in [lane for lane, to in leads.items() if to == ""]:
        end = next(
            (
                ordered[i]["id"]
                for i in range(at + 1, len(rows))
                if any(x == lane and ends for x, _, ends in rows[i].above)
            ),
            "missing",
        )
        assert end in targets
        leads[lane] = end
