"""tcvs down"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tcvs.context import Context
from tcvs.render.commits import short
from tcvs_core.errors import UsageError

EXAMPLES = """
tcvs down
tcvs down explore-1 --no-commit
tcvs down --all -m "end of the day"
"""


def down(
    here: Context,
    branch: Annotated[
        str | None, typer.Argument(metavar="BRANCH", help="The current branch by default.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", "-a", help="Stop every desktop.")] = False,
    no_commit: Annotated[
        bool, typer.Option("--no-commit", help="Throw away what changed since the last commit.")
    ] = False,
    message: Annotated[
        str | None, typer.Option("--message", "-m", metavar="TEXT", help="Message of the commit.")
    ] = None,
) -> None:
    """Stop the desktop of a branch, saving its state first."""
    if all_ and branch is not None:
        raise UsageError("both a branch and --all are given", hint="give one of them")
    if no_commit and message is not None:
        raise UsageError("--no-commit makes no commit that a message could be for")
    stopped = here.call(
        "down", progress="down", branch=branch, all=all_, commit=not no_commit, message=message
    )
    here.say(stopped, lambda: _text(stopped))


def _text(stopped: list[dict[str, Any]]) -> str:
    if not stopped:
        return "No desktop runs."
    return "\n".join(
        f"Stopped {one['branch']}"
        + (f", saved as {short(one['commit'])}." if one.get("commit") else ".")
        for one in stopped
    )


COMMAND = down
