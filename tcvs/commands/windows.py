"""tcvs windows"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tcvs.context import Context
from tcvs.render.table import Column

EXAMPLES = """
tcvs windows
tcvs windows -b explore-1 --json
"""

_STATES = ("minimized", "maximized", "fullscreen")


def windows(
    here: Context,
    branch: Annotated[
        str | None, typer.Option("--branch", "-b", metavar="BRANCH", help="Whose windows.")
    ] = None,
) -> None:
    """List the open windows of a desktop.

    `*` marks the active window.
    """
    found = here.call("windows", branch=branch)
    columns = [
        Column(" "),
        Column("APP", flexible=True),
        Column("STATE"),
        Column("TITLE", flexible=True, style="bold"),
    ]
    rows = [window_row(window) for window in found]
    here.write(found, lambda: here.table(columns, rows, "No window is open."))


def window_row(window: dict[str, Any]) -> list[str]:
    """Return the cells of one window: mark, application, state, title."""
    state = [word for word in _STATES if window.get(word)]
    mark = "*" if window.get("active") else ""
    return [mark, window.get("app_id") or "-", ",".join(state) or "normal", window["title"]]


COMMAND = windows
