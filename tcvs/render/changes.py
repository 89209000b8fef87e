"""Changed files and their text differences."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tcvs.render import units
from tcvs.render.terminal import Terminal, one_line, safe

_MARKS = {
    "added": ("A", "green"),
    "deleted": ("D", "red"),
    "modified": ("M", "yellow"),
    "renamed": ("R", "cyan"),
    "metadata": ("m", "dim"),
    "typechange": ("T", "magenta"),
}
_SPECIAL = re.compile('[\x00-\x1f"\\\\\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]')
_QUOTED = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def path_text(path: str | bytes) -> str:
    """Return a path safe to show, with its leading slash; bytes that are not UTF-8 as ``\\xNN``."""
    return "/" + one_line(os.fsdecode(path))


def change_lines(terminal: Terminal, changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line a change: ``M /home/user/a.txt``."""
    for change in changes:
        mark, color = _MARKS.get(change["kind"], ("?", ""))
        path = path_text(change["path"]) + ("/" if change.get("type") == "dir" else "")
        if change.get("old_path"):
            path = f"{path_text(change['old_path'])} -> {path}"
        yield f"{terminal.style(mark, color)} {path}"


def summary(changes: Sequence[Mapping[str, Any]]) -> str:
    """Return ``3 changes: 2 modified, 1 added``."""
    if not changes:
        return "no file changed"
    kinds = Counter(change["kind"] for change in changes)
    parts = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    return f"{units.count(len(changes), 'change')}: {parts}"


def has_text(record: Mapping[str, Any]) -> bool:
    """Return whether a file's record has something to say in a patch, other than its mode."""
    return bool(
        record.get("hunks_text")
        or record.get("binary")
        or record["kind"] in ("added", "deleted", "renamed")
    )


def diff_lines(terminal: Terminal, files: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield unified differences that ``git apply`` and ``patch -p1`` take.

    On a terminal coloured and made safe, else byte for byte.
    """
    for record in files:
        yield from _file_lines(terminal, record)


def _file_lines(terminal: Terminal, record: Mapping[str, Any]) -> Iterator[str]:
    new = os.fsdecode(record["path"])
    old = os.fsdecode(record.get("old_path") or record["path"])
    kind = record["kind"]
    yield terminal.style(f"diff --git {_header('a', old)} {_header('b', new)}", "bold")
    if kind == "added":
        yield terminal.style("new file mode 100644", "bold")
    elif kind == "deleted":
        yield terminal.style("deleted file mode 100644", "bold")
    elif kind == "renamed":
        yield terminal.style(f"rename from {_quoted(old)}", "bold")
        yield terminal.style(f"rename to {_quoted(new)}", "bold")
    if record.get("binary"):
        yield f"Binary files {_header('a', old)} and {_header('b', new)} differ"
        return
    hunks = record.get("hunks_text") or ""
    if not hunks:
        return
    lines = hunks.split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines[0].startswith("--- "):
        source = "/dev/null" if kind == "added" else _header("a", old)
        target = "/dev/null" if kind == "deleted" else _header("b", new)
        yield terminal.style(f"--- {source}", "bold")
        yield terminal.style(f"+++ {target}", "bold")
    header = lines[0].startswith("--- ")
    for line in lines:
        header = header and not line.startswith("@@")
        yield _hunk_line(terminal, line, header)


def _header(side: str, path: str) -> str:
    return _quoted(f"{side}/{path}")


def _quoted(text: str) -> str:
    """Return a path quoted as Git does, where a byte is special or not UTF-8."""
    if not _SPECIAL.search(text):
        return text
    return '"' + _SPECIAL.sub(lambda match: _QUOTED.get(match[0]) or _octal(match[0]), text) + '"'


def _octal(char: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(char))


def _hunk_line(terminal: Terminal, line: str, header: bool) -> str:
    if not terminal.is_tty:
        return line
    if header:
        return terminal.style(safe(line), "bold")
    color = {"+": "green", "-": "red", "@": "cyan", "\\": "dim"}.get(line[:1], "")
    return terminal.style(safe(line), color)


def stat_lines(terminal: Terminal, files: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line a file with its added and removed lines, then the sums."""
    names = [path_text(record["path"]) for record in files]
    wide = max(map(len, names), default=0)
    added = removed = 0
    for name, record in zip(names, files, strict=True):
        if record.get("binary"):
            yield f" {name:<{wide}} | binary"
            continue
        plus, minus = int(record.get("added") or 0), int(record.get("removed") or 0)
        added, removed = added + plus, removed + minus
        signs = terminal.style(f"+{plus}", "green") + " " + terminal.style(f"-{minus}", "red")
        yield f" {name:<{wide}} | {signs}"
    yield f" {units.count(len(files), 'file')} changed, +{added} -{removed} lines"
