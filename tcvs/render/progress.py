"""Progress of a call, from the keeper's events, on stderr.

On a terminal a bar appears once a call has taken a quarter of a second (rich is imported only
then); elsewhere each new stage is one line, once a call has taken two seconds.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

from tcvs.render.terminal import Terminal, one_line

_BAR_AFTER = 0.25
_LINES_AFTER = 2.0


class Progress:
    """A context manager whose ``event`` is given to ``Keeper.call``."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._begun = time.monotonic()
        self._terminal = Terminal(sys.stderr)
        self._bar: Any = None
        self._task: Any = None
        self._stage = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def event(self, message: dict[str, Any], _fds: list[int]) -> None:
        """Take one event; those that are no progress are none of ours."""
        if message.get("event") == "progress":
            self.step(
                str(message.get("stage") or ""),
                message.get("fraction"),
                str(message.get("detail") or ""),
            )

    def step(self, stage: str, fraction: float | None, detail: str = "") -> None:
        """Show that ``stage`` is done to ``fraction`` (0 to 1, None where nobody knows)."""
        passed = time.monotonic() - self._begun
        if not self._terminal.is_tty:
            if passed > _LINES_AFTER and stage != self._stage:
                self._stage = stage
                print(
                    f"{self._title}: {one_line(stage)} {one_line(detail)}".rstrip(), file=sys.stderr
                )
            return
        if self._bar is None:
            if passed < _BAR_AFTER:
                return
            self._start()
        words = " ".join(filter(None, (self._title, one_line(stage))))
        self._bar.update(
            self._task,
            description=words,
            completed=fraction if fraction is not None else 0.0,
            total=1.0 if fraction is not None else None,
            detail=one_line(detail),
        )

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )
        from rich.progress import Progress as RichProgress
        from rich.table import Column

        self._bar = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}", markup=False, table_column=Column(no_wrap=True)),
            console=Console(stderr=True, no_color=not self._terminal.color),
            transient=True,
        )
        self._task = self._bar.add_task(self._title, total=None, detail="")
        self._bar.start()
