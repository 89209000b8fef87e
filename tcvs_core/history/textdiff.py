"""Changes as people read them: unified diffs of text, one record for each changed path.

A record is ``{path, old_path, kind, type, binary, too_large, hunks_text, added, removed}``.
``hunks_text`` is the ``@@`` hunks without a file header, decoded as UTF-8 with U+FFFD for what is
not; it is ``""`` for binary and too large files, for directories and for pure metadata changes.
The target of a symlink is shown as a line of text.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tcvs_core.history.changes import unreadable
from tcvs_core.history.lines import is_binary, opcodes, split_lines
from tcvs_core.history.paths import Selection
from tcvs_core.linux.beneath import Beneath
from tcvs_core.model import Change

#: Files larger than this (bytes) are named, not shown.
TOO_LARGE = 2 << 20
_CONTEXT = 3


def origin(path: str, changes: Iterable[Change]) -> str:
    """Return the path in the old tree of ``path`` of the new one, following renames."""
    best = ""
    source = path
    for change in changes:
        if change.kind != "renamed" or change.old_path is None:
            continue
        inside = path == change.path or path.startswith(change.path + "/")
        if inside and len(change.path) >= len(best):
            best = change.path
            source = change.old_path + path[len(change.path) :]
    return source


def unified(
    old: Path | int,
    new: Path | int,
    changes: Sequence[Change],
    paths: Selection | None = None,
) -> list[dict[str, Any]]:
    """Return a record for each change that ``paths`` selects; a renamed and edited file gets one.

    ``changes`` are those between the two trees.  No symlink is followed.  Raises TreeUnreadable.
    """
    renames = [change for change in changes if change.kind == "renamed"]
    edited = {c.path for c in changes if c.kind in ("modified", "metadata", "typechange")}
    records = []
    try:
        with Beneath(old) as before, Beneath(new) as after:
            for change in changes:
                if paths is not None and not paths.takes(change):
                    continue
                if change.kind == "renamed" and change.path in edited:
                    continue  # its other record says more
                records.append(_record(before, after, change, renames))
    except OSError as error:
        raise unreadable(error, "diff") from error
    return records


def _record(old: Beneath, new: Beneath, change: Change, renames: list[Change]) -> dict[str, Any]:
    source = change.path
    if change.kind not in ("added", "deleted"):
        source = origin(change.path, renames)
    record: dict[str, Any] = {
        "path": change.path,
        "old_path": source if source != change.path else None,
        "kind": change.kind,
        "type": change.type,
        "binary": False,
        "too_large": False,
        "hunks_text": "",
        "added": 0,
        "removed": 0,
    }
    if change.kind in ("renamed", "metadata"):
        return record
    before = b"" if change.kind == "added" else _contents(old, source)
    after = b"" if change.kind == "deleted" else _contents(new, change.path)
    if before is None or after is None:
        record["too_large"] = True
    elif is_binary(before) or is_binary(after):
        record["binary"] = True
    else:
        text, record["added"], record["removed"] = hunks(before, after)
        record["hunks_text"] = text.decode("utf-8", "replace")
    return record


def _contents(tree: Beneath, path: str) -> bytes | None:
    """What there is to show of an entry; None when it is too large."""
    status = tree.lstat(path)
    if status is None:
        return b""
    if stat.S_ISLNK(status.st_mode):
        return os.fsencode(tree.readlink(path))
    if not stat.S_ISREG(status.st_mode):
        return b""
    if status.st_size > TOO_LARGE:
        return None
    return tree.read(path, TOO_LARGE)


def hunks(old: bytes, new: bytes) -> tuple[bytes, int, int]:
    """Return the unified hunks that turn ``old`` into ``new``, lines added, lines removed."""
    a, b = split_lines(old), split_lines(new)
    parts: list[bytes] = []
    added = removed = 0
    for group in _groups(opcodes(a, b)):
        first, last = group[0], group[-1]
        place = f"-{_span(first[1], last[2])} +{_span(first[3], last[4])}"
        parts.append(f"@@ {place} @@\n".encode())
        for tag, a_start, a_end, b_start, b_end in group:
            if tag == "equal":
                parts += [_line(b" ", line) for line in a[a_start:a_end]]
                continue
            removed += a_end - a_start
            added += b_end - b_start
            parts += [_line(b"-", line) for line in a[a_start:a_end]]
            parts += [_line(b"+", line) for line in b[b_start:b_end]]
    return b"".join(parts), added, removed


_Opcode = tuple[str, int, int, int, int]


def _groups(codes: list[_Opcode]) -> Iterator[list[_Opcode]]:
    """Split at equal runs that are longer than the context on both sides."""
    group: list[_Opcode] = []
    for index, (tag, i, i_end, j, j_end) in enumerate(codes):
        if tag != "equal":
            group.append((tag, i, i_end, j, j_end))
            continue
        length = i_end - i
        ends = index == len(codes) - 1
        if group and (ends or length > 2 * _CONTEXT):
            keep = min(length, _CONTEXT)
            yield [*group, (tag, i, i + keep, j, j + keep)] if keep else group
            group = []
        elif group:
            group.append((tag, i, i_end, j, j_end))
            continue
        if not group and not ends:
            keep = min(length, _CONTEXT)
            group = [(tag, i_end - keep, i_end, j_end - keep, j_end)]
    if any(code[0] != "equal" for code in group):
        yield group


def _span(start: int, end: int) -> str:
    length = end - start
    begin = start + 1 if length else start
    return str(begin) if length == 1 else f"{begin},{length}"


def _line(sign: bytes, line: bytes) -> bytes:
    if line.endswith(b"\n"):
        return sign + line
    return sign + line + b"\n\\ No newline at end of file\n"
