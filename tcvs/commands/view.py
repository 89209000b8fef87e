"""tcvs view"""

from __future__ import annotations

from typing import Annotated

import typer

from tcvs.context import Context
from tcvs_core.errors import UsageError

EXAMPLES = """
tcvs view
tcvs view main explore-1 explore-2
tcvs view --stop
"""


def view(
    here: Context,
    branches: Annotated[
        list[str] | None,
        typer.Argument(metavar="BRANCH...", help="All running desktops by default."),
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Stop serving.")] = False,
) -> None:
    """Show desktops live in the browser.

    Serves on this machine's loopback only.  The address that is printed holds a token that opens
    the page once; from elsewhere use `ssh -L PORT:127.0.0.1:PORT`.
    """
    if stop:
        if branches:
            raise UsageError("--stop ends the whole page and takes no branch")
        answer = here.call("view_stop")
        here.say(answer or {}, lambda: "Stopped the view.")
        return
    answer = here.call("view_start", branches=branches or None)
    here.write(answer, lambda: str(answer["url"]))


COMMAND = view
