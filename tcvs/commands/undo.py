"""tcvs undo"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tcvs.context import Context
from tcvs.render.commits import short

EXAMPLES = """
tcvs rollback HEAD~2 && tcvs undo
tcvs undo -b explore-1
"""


def undo(
    here: Context,
    branch: Annotated[
        str | None, typer.Option("--branch", "-b", metavar="BRANCH", help="Which branch.")
    ] = None,
) -> None:
    """Take back the last rollback or merge of a branch."""
    result = here.call("undo", progress="undo", branch=branch)
    here.say(result, lambda: _text(here, result))


def _text(here: Context, result: dict[str, Any]) -> str:
    name = here.style(result["branch"], "bold")
    what = f" (undid: {result['undone']})" if result.get("undone") else ""
    return f"{name} is at {short(result.get('commit'))} again{what}."


COMMAND = undo
