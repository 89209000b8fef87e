"""tcvs reflog"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from tcvs.context import Context
from tcvs.render import units
from tcvs.render.commits import short
from tcvs.render.pager import page
from tcvs.render.terminal import one_line

EXAMPLES = """
tcvs reflog
tcvs rollback main@{2}        go back to where main was two moves ago
"""


def reflog(
    here: Context,
    branch: Annotated[
        str | None, typer.Argument(metavar="BRANCH", help="The current branch by default.")
    ] = None,
) -> None:
    """Show where a branch has pointed, abandoned states too."""
    entries = here.call("reflog", branch=branch)
    if here.json:
        here.write(entries, str)
    else:
        page(here.out, _lines(here, entries, branch or "HEAD"))


def _lines(here: Context, entries: list[dict[str, Any]], name: str) -> Iterator[str]:
    for entry in entries:
        place = f"{name}@{{{entry['index']}}}"
        when = units.moment(entry.get("time"))
        commit = here.style(short(entry["new"]), "yellow")
        yield f"{commit} {here.style(place, 'cyan')} {when}: {one_line(entry['message'])}"


COMMAND = reflog
