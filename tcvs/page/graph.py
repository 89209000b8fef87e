"""The branch graph: which lane each commit is in, and the lines beside its row, as SVG.

Every row of the page carries its own piece of the graph, so that rows may have any height.  In the
first ``NODE_Y`` pixels lines bend to the commit's dot, in the next ``BEND`` they bend away from it
to other parents; below that everything runs straight to the end of the row.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LANE = 18
NODE_Y = 30
BEND = 30
RADIUS = 5
#: Number of colours in the style sheet, ``--lane-0`` and on.
COLOURS = 8


@dataclass
class Row:
    """What lies beside one commit.  Lanes are numbered from the left, colours from 0."""

    lane: int
    colour: int
    merge: bool
    #: Lanes that come in from above: (lane, colour, whether they end in this commit).
    above: list[tuple[int, int, bool]] = field(default_factory=list)
    #: Lanes that leave at the bottom: (lane, colour, whether they begin in this commit).
    below: list[tuple[int, int, bool]] = field(default_factory=list)


def order(commits: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the commits newest first, every one before its parents."""
    by_id = {commit["id"]: commit for commit in commits}
    children = dict.fromkeys(by_id, 0)
    for commit in by_id.values():
        for parent in set(commit.get("parents", ())):
            if parent in children:
                children[parent] += 1
    position = {commit["id"]: index for index, commit in enumerate(commits)}

    def key(name: str) -> tuple[float, int, str]:
        created = (by_id[name].get("state") or {}).get("created") or 0.0
        return (-created, position[name], name)

    ready = [key(name) for name, count in children.items() if count == 0]
    heapq.heapify(ready)
    result = []
    while ready:
        name = heapq.heappop(ready)[2]
        result.append(by_id[name])
        for parent in set(by_id[name].get("parents", ())):
            if parent in children:
                children[parent] -= 1
                if children[parent] == 0:
                    heapq.heappush(ready, key(parent))
    return result


def lay_out(commits: Sequence[Mapping[str, Any]], colours: Mapping[str, int]) -> list[Row]:
    """Give each of the ordered commits its row.  ``colours`` is by branch name.

    A branch keeps its lane down to the commit at which it left another one.
    """
    lanes: list[tuple[str, int] | None] = []  # the commit that a lane leads to, and its colour
    rows = []
    for commit in commits:
        name = commit["id"]
        colour = colours.get((commit.get("state") or {}).get("branch", ""), 0)
        mine = [i for i, lane in enumerate(lanes) if lane is not None and lane[0] == name]
        at = mine[0] if mine else _free(lanes)
        parents = list(dict.fromkeys(commit.get("parents", ())))
        row = Row(at, colour, len(parents) > 1)
        row.above = [(i, lane[1], i in mine) for i, lane in enumerate(lanes) if lane is not None]
        for i in mine:
            lanes[i] = None
        begins = set()
        for index, parent in enumerate(parents):
            if index == 0:
                lane = at
            else:
                known = [i for i, lane_ in enumerate(lanes) if lane_ and lane_[0] == parent]
                lane = known[0] if known else _free(lanes)
            begins.add(lane)
            if lanes[lane] is None:
                lanes[lane] = (parent, colour)
        row.below = [
            (i, lane_[1], i in begins) for i, lane_ in enumerate(lanes) if lane_ is not None
        ]
        rows.append(row)
        while lanes and lanes[-1] is None:
            lanes.pop()
    _inherit(commits, rows, colours)
    return rows


def _free(lanes: list[tuple[str, int] | None]) -> int:
    for index, lane in enumerate(lanes):
        if lane is None:
            return index
    lanes.append(None)
    return len(lanes) - 1


def _inherit(
    commits: Sequence[Mapping[str, Any]], rows: list[Row], colours: Mapping[str, int]
) -> None:
    """A line to a second parent is the colour of that parent's branch, not of the merge."""
    branch = {c["id"]: (c.get("state") or {}).get("branch", "") for c in commits}
    for index, (commit, row) in enumerate(zip(commits, rows, strict=True)):
        was = {lane for lane, _, ends in row.above if not ends}
        for parent in list(dict.fromkeys(commit.get("parents", ())))[1:]:
            fresh = [lane for lane, _, begins in row.below if begins and lane != row.lane]
            for lane in fresh:
                if lane in was:
                    continue
                _recolour(rows, index, lane, colours.get(branch.get(parent, ""), row.colour))


def _recolour(rows: list[Row], start: int, lane: int, colour: int) -> None:
    for index in range(start, len(rows)):
        row = rows[index]
        if index > start:
            row.above = [(i, colour if i == lane else c, e) for i, c, e in row.above]
            if any(i == lane and ends for i, _, ends in row.above):
                return
        row.below = [(i, colour if i == lane else c, b) for i, c, b in row.below]


def width(rows: Sequence[Row]) -> int:
    """Return the width in pixels of the graph of all rows."""
    last = max(
        (lane for row in rows for lane, *_ in [(row.lane,), *row.above, *row.below]), default=0
    )
    return (last + 1) * LANE


def svg(row: Row, total: int) -> str:
    """Return the piece of the graph beside ``row``, ``total`` pixels wide."""
    node = _x(row.lane)
    parts = []
    for lane, colour, ends in row.above:
        x = _x(lane)
        if not ends or x == node:
            parts.append(_line(x, "0", str(NODE_Y), colour))
        else:
            half = NODE_Y / 2
            parts.append(_path(f"M{x} 0C{x} {half} {node} {half} {node} {NODE_Y}", colour))
    kept = {lane for lane, _, ends in row.above if not ends}
    for lane, colour, begins in row.below:
        x = _x(lane)
        bend = NODE_Y + BEND
        if lane in kept or x == node:
            parts.append(_line(x, str(NODE_Y), "100%", colour))
        if begins and x != node:
            half = NODE_Y + BEND / 2
            parts.append(_path(f"M{node} {NODE_Y}C{node} {half} {x} {half} {x} {bend}", colour))
            if lane not in kept:
                parts.append(_line(x, str(bend), "100%", colour))
    if row.merge:
        dot = f'<circle class="dot merge" cx="{node}" cy="{NODE_Y}" r="{RADIUS}"'
    else:
        dot = f'<circle class="dot" cx="{node}" cy="{NODE_Y}" r="{RADIUS}"'
    parts.append(f'{dot} style="--c:var(--lane-{row.colour % COLOURS})"/>')
    return (
        f'<svg class="graph" width="{total}" height="100%" aria-hidden="true" focusable="false">'
        + "".join(parts)
        + "</svg>"
    )


def _x(lane: int) -> float:
    return lane * LANE + LANE / 2


def _line(x: float, y1: str, y2: str, colour: int) -> str:
    return (
        f'<line x1="{x}" y1="{y1}" x2="{x}" y2="{y2}" style="--c:var(--lane-{colour % COLOURS})"/>'
    )


def _path(data: str, colour: int) -> str:
    return f'<path d="{data}" style="--c:var(--lane-{colour % COLOURS})"/>'
