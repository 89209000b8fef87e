"""The look of help pages: sections, panels of verbs, examples."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import typer

from tcvs.render.terminal import Terminal
from tcvs.verbs import Verb

_Plain: Any = typer.Context.formatter_class


class Formatter(_Plain):  # type: ignore[misc]
    """Typer's plain formatter with bold headings on a terminal."""

    def __init__(
        self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None
    ) -> None:
        super().__init__(indent_increment, width, max_width or 96)
        self.terminal = Terminal(sys.stdout)

    def write_heading(self, heading: str) -> None:
        """Write ``heading`` on a line of its own."""
        indent = " " * self.current_indent
        self.write(f"{indent}{self.terminal.style(heading + ':', 'bold')}\n")


def tidy(param: Any) -> None:
    """Show an argument by its metavar alone, in brackets where it may be left out."""
    if param.param_type_name != "argument":
        return
    name = param.metavar or param.name.upper()
    piece = name if param.required else f"[{name}]"
    default = param.default
    shown = f"  [default: {default}]" if default not in (None, "", []) else ""
    param.get_usage_pieces = lambda _context: [piece]
    param.get_help_record = lambda _context: (name, (param.help or "") + shown)


def write_panels(formatter: Any, verbs: Iterable[Verb], panels: Iterable[str]) -> None:
    """Write the visible verbs, a section a panel, all with the same width of names."""
    rows = [verb for verb in verbs if not verb.hidden]
    wide = max(len(verb.name) for verb in rows)
    for panel in panels:
        with formatter.section(panel):
            formatter.write_dl([(v.name.ljust(wide), v.help) for v in rows if v.panel == panel])


def write_examples(formatter: Any, text: str | None) -> None:
    """Write example lines unwrapped, below their own heading."""
    if not text:
        return
    with formatter.section("Examples"):
        for line in text.strip().splitlines():
            formatter.write(" " * formatter.current_indent + line + "\n" if line else "\n")
