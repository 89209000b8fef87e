"""tcvs status"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from tcvs.commands.windows import window_row
from tcvs.context import Context
from tcvs.render import units
from tcvs.render.changes import change_lines, path_text, summary
from tcvs.render.commits import short, subject
from tcvs.render.pager import page
from tcvs.render.table import Column

EXAMPLES = """
tcvs status
tcvs status -b explore-1 --json
"""

_PROCESSES = [
    Column("PID", right=True),
    Column("MEMORY", right=True),
    Column("PROGRAM"),
    Column("COMMAND", flexible=True),
]
_WINDOWS = [
    Column(" "),
    Column("APP", flexible=True),
    Column("STATE"),
    Column("TITLE", flexible=True),
]


def status(
    here: Context,
    branch: Annotated[
        str | None, typer.Option("--branch", "-b", metavar="BRANCH", help="Of which branch.")
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", "-a", help="Caches, logs, browser profiles and such too.")
    ] = False,
) -> None:
    """Show what changed since the last commit, and what runs."""
    result = here.call("status", branch=branch, all=all_)
    if here.json:
        here.write(result, str)
        return
    page(here.out, _lines(here, result))


def _lines(here: Context, result: dict[str, Any]) -> Iterator[str]:
    color = {"running": "green", "frozen": "yellow"}.get(result["state"], "dim")
    state = here.style(result["state"], color)
    yield f"On branch {here.style(result['branch'], 'bold')}, {state}"
    commit = result.get("commit")
    if commit:
        files_only = " [files only]" if commit.get("memory") == "none" else ""
        about = subject(commit.get("subject") or "")
        yield f"Last commit {here.style(short(commit['id']), 'yellow')} {about}{files_only}"
    else:
        yield "No commit yet"
    for notice in result.get("notices") or []:
        yield here.style(f"note: {notice}", "yellow")
    for one in result.get("pending") or []:
        part = f", {one['fraction']:.0%}" if one.get("fraction") is not None else ""
        yield f"Still being written: {short(one['id'])} ({one.get('stage') or 'memory'}{part})"
    for one in result.get("conflicts") or []:
        name = path_text(one["path"] if isinstance(one, dict) else one)
        yield here.style(f"conflict: {name}", "red")
    yield ""
    changes = result.get("changes") or []
    yield f"{here.style('Files', 'bold')}: {summary(changes)}"
    yield from (f"  {line}" for line in change_lines(here.out, changes))
    yield from _running(here, result)


def _running(here: Context, result: dict[str, Any]) -> Iterator[str]:
    windows = result.get("windows") or []
    if windows:
        yield ""
        yield f"{here.style('Windows', 'bold')}: {len(windows)}"
        yield here.table(_WINDOWS, [window_row(window) for window in windows])
    processes = result.get("processes") or []
    if processes:
        yield ""
        number = units.count(len(processes), "process", "processes")
        yield f"{here.style('Programs', 'bold')}: {number}"
        rows = [
            [str(p["pid"]), units.size(p.get("rss")), p["name"], p.get("command") or ""]
            for p in processes
        ]
        yield here.table(_PROCESSES, rows)


COMMAND = status
