"""tcvs log"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from tcvs.context import Context
from tcvs.render import commits as render
from tcvs.render.pager import page

EXAMPLES = """
tcvs log --graph --all
tcvs log --oneline -n 20 explore-1
tcvs log --html report --all         a page with the pictures, to open in any browser
tcvs log --json | jq '.commits[].state.action'
"""


def log(
    here: Context,
    revisions: Annotated[
        list[str] | None,
        typer.Argument(metavar="REVISION...", help="The current branch by default."),
    ] = None,
    graph: Annotated[
        bool, typer.Option("--graph", help="Draw how the branches left and met.")
    ] = False,
    oneline: Annotated[bool, typer.Option("--oneline", help="One line a commit.")] = False,
    number: Annotated[
        int | None, typer.Option("--max-count", "-n", metavar="N", help="At most so many.", min=1)
    ] = None,
    all_: Annotated[bool, typer.Option("--all", "-a", help="All branches and tags.")] = False,
    first_parent: Annotated[
        bool, typer.Option("--first-parent", help="Do not follow what was merged.")
    ] = False,
    html: Annotated[
        str | None, typer.Option(metavar="DIR", help="Write a page with pictures here.")
    ] = None,
    screenshots: Annotated[
        str | None, typer.Option(metavar="DIR", help="Save the commits' pictures here.")
    ] = None,
) -> None:
    """Show the commits that led to here.

    A commit whose memory is still being written says so, and is drawn as `o` in the graph.
    """
    result = here.call(
        "log", revisions=revisions or [], limit=number, all=all_, first_parent=first_parent
    )
    for notice in result.get("notices") or []:
        if not here.json:
            here.note(f"note: {notice}")
    if html is not None or screenshots is not None:
        from tcvs.gallery import write_page, write_pictures

        written: dict[str, Any] = {}
        if screenshots is not None:
            written["screenshots"] = write_pictures(here, result, Path(screenshots))
        if html is not None:
            written["html"] = write_page(here, result, Path(html))
        here.say(written, lambda: _written(written))
        return
    if here.json:
        here.write(result, str)
        return
    page(here.out, _lines(here, result, oneline, graph))


def _lines(here: Context, result: dict[str, Any], oneline: bool, graph: bool) -> Iterator[str]:
    found = result["commits"]
    return render.lines(here.out, found, head=result.get("head"), oneline=oneline, graph=graph)


def _written(written: dict[str, Any]) -> str:
    lines = []
    if "screenshots" in written:
        lines.append(f"Saved {len(written['screenshots'])} pictures.")
    if "html" in written:
        lines.append(f"Wrote {written['html']}")
    return "\n".join(lines)


COMMAND = log
