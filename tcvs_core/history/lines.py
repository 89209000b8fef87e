"""Which lines of two texts are the same ones: the matching under diff and merge.

Patience matching: cut off the common beginning and end, then hold fast to lines that occur once in
each text (the longest run of them in the same order), then do the same between those.  Where no
such line is left, ``difflib`` compares the small rest, and a large rest counts as replaced.  So
the time is bounded (``difflib`` alone needs minutes for ten thousand repeated lines), and lone
braces and empty lines do not become anchors.
"""

from __future__ import annotations

import bisect
import difflib
from collections.abc import Hashable, Sequence

#: Largest product of lengths that is left to difflib, about 0.1 s.
_SMALL = 250_000


class LineMatcher:
    """Has the face of ``difflib.SequenceMatcher`` that ``merge3`` and ``opcodes`` need."""

    def __init__(self, junk: None, a: Sequence[Hashable], b: Sequence[Hashable]) -> None:
        self.a = a
        self.b = b

    def get_matching_blocks(self) -> list[tuple[int, int, int]]:
        """Return (start in a, start in b, length), increasing, the last one empty at the ends."""
        pairs: list[tuple[int, int]] = []
        self._match(0, len(self.a), 0, len(self.b), pairs)
        blocks: list[tuple[int, int, int]] = []
        for i, j in pairs:
            if blocks:
                start_a, start_b, length = blocks[-1]
                if start_a + length == i and start_b + length == j:
                    blocks[-1] = (start_a, start_b, length + 1)
                    continue
            blocks.append((i, j, 1))
        return [*blocks, (len(self.a), len(self.b), 0)]

    def _match(self, a: int, a_end: int, b: int, b_end: int, pairs: list[tuple[int, int]]) -> None:
        todo = [(a, a_end, b, b_end)]
        while todo:
            a, a_end, b, b_end = todo.pop()
            while a < a_end and b < b_end and self.a[a] == self.b[b]:
                pairs.append((a, b))
                a, b = a + 1, b + 1
            while a < a_end and b < b_end and self.a[a_end - 1] == self.b[b_end - 1]:
                a_end, b_end = a_end - 1, b_end - 1
                pairs.append((a_end, b_end))
            if a == a_end or b == b_end:
                continue
            anchors = self._unique(a, a_end, b, b_end)
            if anchors:
                for i, j in anchors:
                    todo.append((a, i, b, j))
                    pairs.append((i, j))
                    a, b = i + 1, j + 1
                todo.append((a, a_end, b, b_end))
            elif (a_end - a) * (b_end - b) <= _SMALL:
                matcher = difflib.SequenceMatcher(None, self.a[a:a_end], self.b[b:b_end], False)
                for i, j, length in matcher.get_matching_blocks():
                    pairs.extend((a + i + n, b + j + n) for n in range(length))
        pairs.sort()

    def _unique(self, a: int, a_end: int, b: int, b_end: int) -> list[tuple[int, int]]:
        """The longest increasing run of lines that occur once in each range."""
        where_a = _once(self.a, a, a_end)
        where_b = _once(self.b, b, b_end)
        both = sorted((i, where_b[line]) for line, i in where_a.items() if line in where_b)
        tails: list[int] = []  # smallest last j of a run of each length
        ends: list[int] = []  # index in both of that last one
        before: list[int] = []
        for index, (_, j) in enumerate(both):
            at = bisect.bisect_left(tails, j)
            before.append(ends[at - 1] if at else -1)
            tails[at : at + 1] = [j]
            ends[at : at + 1] = [index]
        run = []
        index = ends[-1] if ends else -1
        while index >= 0:
            run.append(both[index])
            index = before[index]
        return run[::-1]


def _once(lines: Sequence[Hashable], start: int, end: int) -> dict[Hashable, int]:
    seen: dict[Hashable, int] = {}
    for index in range(start, end):
        seen[lines[index]] = -1 if lines[index] in seen else index
    return {line: index for line, index in seen.items() if index >= 0}


def opcodes(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[str, int, int, int, int]]:
    """Return how ``a`` becomes ``b``, as ``difflib.SequenceMatcher.get_opcodes`` does."""
    result = []
    i = j = 0
    for at_a, at_b, length in LineMatcher(None, a, b).get_matching_blocks():
        if i < at_a or j < at_b:
            tag = "replace" if i < at_a and j < at_b else "delete" if i < at_a else "insert"
            result.append((tag, i, at_a, j, at_b))
        i, j = at_a + length, at_b + length
        if length:
            result.append(("equal", at_a, i, at_b, j))
    return result


def split_lines(data: bytes) -> list[bytes]:
    """Split at LF only, ends kept: a lone CR belongs to its line, as for every diff tool."""
    lines = data.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


def is_binary(data: bytes) -> bool:
    """Tell whether ``data`` is no text: it holds a NUL."""
    return b"\0" in data
