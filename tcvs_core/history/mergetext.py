"""Three-way merge of text by lines.

Conflicts are as small as can be ("zealous"): lines that both sides changed alike are outside of the
markers.  Ends of lines are kept as they are; the markers end as the first line of ours does.
"""

from __future__ import annotations

from typing import Any

from merge3 import Merge3

from tcvs_core.history.lines import LineMatcher, split_lines


def merge_text(
    base: bytes, ours: bytes, theirs: bytes, *, ours_label: str, theirs_label: str
) -> tuple[bytes, int]:
    """Return the merged text, and the number of conflicts that it holds between markers."""
    lines = [split_lines(text) for text in (base, ours, theirs)]
    merge = Merge3(lines[0], lines[1], lines[2], sequence_matcher=LineMatcher)
    newline = b"\r\n" if (lines[1] or lines[2] or [b""])[0].endswith(b"\r\n") else b"\n"
    parts: list[bytes] = []
    conflicts = 0
    for region in merge.reprocess_merge_regions(merge.merge_regions()):
        kind, *place = region
        if kind == "conflict":
            conflicts += 1
            _, _, a, a_end, b, b_end = place
            parts.append(b"<<<<<<< " + ours_label.encode() + newline)
            parts += _ended(lines[1][_at(a) : _at(a_end)], newline)
            parts.append(b"=======" + newline)
            parts += _ended(lines[2][_at(b) : _at(b_end)], newline)
            parts.append(b">>>>>>> " + theirs_label.encode() + newline)
        else:
            source = {"unchanged": 0, "a": 1, "same": 1, "b": 2}[kind]
            found = lines[source][_at(place[0]) : _at(place[1])]
            if found and parts and not parts[-1].endswith(b"\n"):
                parts.append(newline)  # the other side's last line lacked its end
            parts += found
    return b"".join(parts), conflicts


def _at(value: Any) -> int:
    return int(value)


def _ended(lines: list[bytes], newline: bytes) -> list[bytes]:
    """The lines, the last one with an end, so that a marker stands on a line of its own."""
    if lines and not lines[-1].endswith(b"\n"):
        return [*lines[:-1], lines[-1] + newline]
    return lines
