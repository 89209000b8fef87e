"""Plain tables that fit the terminal they are shown on."""

from __future__ import annotations

from dataclasses import dataclass

from tcvs.render.terminal import Terminal, cells, fit, one_line, pad

_GAP = 2
_LEAST = 6


@dataclass(frozen=True)
class Column:
    """A heading; ``right`` aligns numbers; ``flexible`` gives way on narrow terminals."""

    title: str
    right: bool = False
    flexible: bool = False
    style: str = ""


def table(terminal: Terminal, columns: list[Column], rows: list[list[str]]) -> str:
    """Return a heading and a line a row.  Nothing is cut where ``terminal`` has no width.

    A terminal too narrow for all columns first shortens the flexible ones, then cuts whole lines.
    """
    clean = [[one_line(cell) for cell in row] for row in rows]
    widths = [
        max(cells(column.title), *(cells(row[i]) for row in clean))
        if clean
        else cells(column.title)
        for i, column in enumerate(columns)
    ]
    if terminal.width is not None:
        _shrink(widths, columns, terminal.width)
    lines = [_line(terminal, columns, widths, [c.title for c in columns], heading=True)]
    lines += [_line(terminal, columns, widths, row) for row in clean]
    return "\n".join(lines)


def _shrink(widths: list[int], columns: list[Column], room: int) -> None:
    """Take columns from the widest flexible column until the line fits or none can give."""
    over = sum(widths) + _GAP * (len(widths) - 1) - room
    flexible = [i for i, column in enumerate(columns) if column.flexible]
    while over > 0 and flexible:
        widest = max(flexible, key=lambda i: widths[i])
        if widths[widest] <= _LEAST:
            return
        widths[widest] -= 1
        over -= 1


def _line(
    terminal: Terminal,
    columns: list[Column],
    widths: list[int],
    row: list[str],
    *,
    heading: bool = False,
) -> str:
    out, used = [], 0
    last = len(columns) - 1
    for i, (column, width, cell) in enumerate(zip(columns, widths, row, strict=True)):
        room = width if terminal.width is None else min(width, max(0, terminal.width - used))
        text = fit(cell, room) if terminal.width is not None else cell
        text = pad(text, room, column.right)
        if i == last and not column.right:
            text = text.rstrip()
        out.append(terminal.style(text, "bold" if heading else column.style))
        used += room + _GAP
        if terminal.width is not None and used >= terminal.width:
            break
    return (" " * _GAP).join(out).rstrip()
