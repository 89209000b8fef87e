"""tcvs diff"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from tcvs.context import Context
from tcvs.paths import selection
from tcvs.render.changes import change_lines, diff_lines, has_text, stat_lines, summary
from tcvs.render.pager import page
from tcvs_core.errors import UsageError

EXAMPLES = """
tcvs diff                            what the running desktop changed since its last commit
tcvs diff main explore-1
tcvs diff HEAD~3 HEAD --paths ~/docs --stat
tcvs diff main explore-1 --name-status
"""


def diff(
    here: Context,
    a: Annotated[
        str | None, typer.Argument(metavar="A", help="The last commit by default.")
    ] = None,
    b: Annotated[
        str | None, typer.Argument(metavar="B", help="The running desktop by default.")
    ] = None,
    paths: Annotated[
        list[str] | None,
        typer.Option(
            "--paths", "--path", "-p", metavar="PATH", help="Only below here; repeatable."
        ),
    ] = None,
    names: Annotated[
        bool, typer.Option("--name-status", help="Only which files changed, and how.")
    ] = False,
    stat: Annotated[bool, typer.Option("--stat", help="Only how many lines changed.")] = False,
    all_: Annotated[
        bool, typer.Option("--all", "-a", help="Caches, logs, browser profiles and such too.")
    ] = False,
) -> None:
    """Show how files differ between two states.

    Exact: renames, modes and binary files included.  `~` is the home of the desktop's user.
    """
    if names and stat:
        raise UsageError("--name-status and --stat exclude each other")
    result = here.call(
        "diff", progress="diff", a=a, b=b, paths=selection(paths), text=not names, all=all_
    )
    if here.json:
        here.write(result, str)
        return
    page(here.out, _lines(here, result, names, stat))


def _lines(here: Context, result: dict[str, Any], names: bool, stat: bool) -> Iterator[str]:
    if names:
        yield from change_lines(here.out, result["changes"])
        return
    types = {change["path"]: change["type"] for change in result["changes"]}
    files = [
        record
        for record in result.get("files") or []
        if types.get(record["path"], "file") == "file" and has_text(record)
    ]
    if stat:
        yield from stat_lines(here.out, files)
        return
    yield from diff_lines(here.out, files)
    shown = {record["path"] for record in files}
    others = [change for change in result["changes"] if change["path"] not in shown]
    if others:
        # Directories, links, modes: nothing that has lines, but part of what differs.
        yield here.style(f"# without text: {summary(others)}", "dim")
        yield from (f"# {line}" for line in change_lines(here.out, others))


COMMAND = diff
