"""How the demo talks: a line a step with its time, the claims below it, tables at the end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from tcvs.demo.claims import Claims


@dataclass
class Teller:
    """Prints the progress and keeps what the report needs.

    ``steps`` are (step, seconds, claims checked in it); ``engine`` are (operation, milliseconds the
    source stood still or None, milliseconds in all).
    """

    console: Console
    claims: Claims = field(default_factory=Claims)
    steps: list[tuple[str, float, list[str]]] = field(default_factory=list)
    engine: list[tuple[str, float | None, float]] = field(default_factory=list)

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Tell that a step is under way, then how long it took and what was checked in it."""
        before = len(self.claims.made)
        begin = time.monotonic()
        with self.console.status(text) if self.console.is_terminal else contextlib.nullcontext():
            yield
        seconds = time.monotonic() - begin
        made = self.claims.made[before:]
        self.steps.append((text, seconds, made))
        self.console.print(f"[green]✓[/] {text} [dim]{seconds:.1f} s[/]", highlight=False)
        for claim in made:
            self.console.print(f"    [dim]checked: {claim}[/]", highlight=False)

    @contextlib.contextmanager
    def bar(self, text: str) -> Iterator[Bar]:
        """Show a progress bar for a long step."""
        with Progress(
            TextColumn("  {task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"),
            console=self.console, transient=True, disable=not self.console.is_terminal,
        ) as progress:  # fmt: skip
            yield Bar(progress, text)

    def timed(self, operation: str, pause_ms: float | None, total_ms: float) -> None:
        """Note how long an operation of the engine took."""
        self.engine.append((operation, pause_ms, total_ms))

    def table(self, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table; all columns but the first are numbers."""
        table = Table(title=title, title_justify="left")
        for number, head in enumerate(heads):
            table.add_column(head, justify="right" if number else "left")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)


class Bar:
    """A progress bar that listens to the keeper's events."""

    def __init__(self, progress: Progress, text: str) -> None:
        self._progress = progress
        self._text = text
        self._task = progress.add_task(text, total=1.0)

    def event(self, event: dict[str, object], _fds: list[int]) -> None:
        """Take an event of the keeper's."""
        if event.get("event") == "progress":
            fraction = event.get("fraction")
            self._progress.update(
                self._task,
                completed=float(fraction) if isinstance(fraction, int | float) else 0.0,
                description=f"{self._text}: {event.get('stage', '')}",
            )


def milliseconds(value: float | None) -> str:
    """Return ``value`` for a table."""
    return "" if value is None else f"{value:,.0f} ms"
