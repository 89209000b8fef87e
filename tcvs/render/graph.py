"""Draw a history as lanes of text, as ``git log --graph`` does.

Each commit takes one row with ``*`` in its lane; rows of ``/`` and ``\\`` follow where lanes move.
A lane belongs to one commit that is still to come, so lanes of the same parent become one lane
directly below the child that joins.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcvs.render.terminal import Terminal

_COLORS = ("red", "green", "yellow", "blue", "magenta", "cyan")


@dataclass(frozen=True)
class Rows:
    """What stands left of one commit's text.

    ``commit`` is for the line of the commit, ``moves`` for the lines after it (to be printed even
    without text), ``rest`` for all further lines.
    """

    commit: str
    moves: list[str]
    rest: str


class Graph:
    """Takes commits, children before parents, and gives the drawing of each."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._lanes: list[str] = []

    def add(self, commit: str, parents: list[str], mark: str = "*") -> Rows:
        """Return the rows of ``commit``; ``mark`` is drawn in its lane."""
        lanes = self._lanes
        if commit not in lanes:
            lanes.append(commit)
        at = lanes.index(commit)
        top = {2 * i: (mark if i == at else "|", i) for i in range(len(lanes))}

        left, right = lanes[:at], lanes[at + 1 :]
        mine = []
        for number, parent in enumerate(dict.fromkeys(parents)):
            if parent in left or (parent in right and number):
                continue  # the edge runs to the lane that waits for it already
            if parent in right:
                right.remove(parent)
            mine.append(parent)
        after = left + mine + right
        edges = {(i, after.index(lane)) for i, lane in enumerate(lanes) if i != at}
        edges |= {(at, after.index(parent)) for parent in parents}
        self._lanes = after
        rest = {2 * i: ("|", i) for i in range(len(after))}
        return Rows(self._draw(top), self._moves(edges), self._draw(rest))

    def _moves(self, edges: set[tuple[int, int]]) -> list[str]:
        """Move every edge towards its lane, one lane a row."""
        rows = []
        while any(source != target for source, target in edges):
            row: dict[int, tuple[str, int]] = {}
            step = set()
            for source, target in sorted(edges):
                way = (target > source) - (target < source)
                row[2 * source + way] = ("/|\\"[way + 1], target)
                step.add((source + way, target))
            rows.append(self._draw(row))
            edges = step
        return rows

    def _draw(self, row: dict[int, tuple[str, int]]) -> str:
        out = []
        for place in range(max(row, default=-1) + 1):
            char, lane = row.get(place, (" ", 0))
            color = "" if char in " *o" else _COLORS[lane % len(_COLORS)]
            out.append(self._terminal.style(char, color))
        return "".join(out)
