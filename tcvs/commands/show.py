"""tcvs show"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from tcvs.context import Context
from tcvs.render import commits, units
from tcvs.render.changes import change_lines, summary
from tcvs.render.pager import page
from tcvs.render.terminal import one_line
from tcvs_core.errors import TcvsError

EXAMPLES = """
tcvs show
tcvs show explore-1~2
tcvs show v1 --screenshot v1.png
"""


class NoScreenshot(TcvsError):
    """The commit was made without a picture."""

    code = "no-screenshot"


def show(
    here: Context,
    revision: Annotated[
        str, typer.Argument(metavar="REVISION", help="Branch, tag or commit.")
    ] = "HEAD",
    screenshot: Annotated[
        str | None, typer.Option(metavar="FILE", help="Save the commit's picture here.")
    ] = None,
) -> None:
    """Show one commit: who, what, when, and the changed files."""
    result = here.call("show", revision=revision)
    picture: bytes | None = result.get("screenshot")
    if screenshot is not None:
        if picture is None:
            raise NoScreenshot(f"{revision} has no picture", subject=revision)
        Path(screenshot).write_bytes(picture)
    if here.json:
        here.write(result, str)
        return
    page(here.out, _lines(here, result))


def _lines(here: Context, result: dict[str, Any]) -> Iterator[str]:
    commit, state = result["commit"], result["commit"]["state"]
    yield from commits.paragraph(here.out, commit, None)
    yield ""
    facts = {
        "Times": units.times(state.get("times_ms")),
        "Engine": state.get("engine"),
        "Programs": units.count(len(state.get("processes") or []), "process", "processes"),
        "Windows": "; ".join(one_line(w["title"]) for w in state.get("windows") or []),
        "Picture": units.size(len(result["screenshot"])) if result.get("screenshot") else None,
    }
    merged = state.get("merge") or {}
    if merged:
        facts["Merged"] = f"{merged.get('from')} at {commits.short(merged.get('theirs'))}"
    for name, value in facts.items():
        if value:
            yield f"{name + ':':<10}{value}"
    changes = result.get("changes") or []
    yield f"{'Files:':<10}{summary(changes)}"
    yield from change_lines(here.out, changes)


COMMAND = show
