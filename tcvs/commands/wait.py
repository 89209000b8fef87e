"""tcvs wait"""

from __future__ import annotations

from typing import Annotated

import typer

from tcvs.context import Context
from tcvs.render.commits import short

EXAMPLES = """
tcvs commit -m "before the experiment" && tcvs wait
tcvs wait explore-1
"""


def wait(
    here: Context,
    revision: Annotated[
        str, typer.Argument(metavar="REVISION", help="Branch, tag or commit.")
    ] = "HEAD",
) -> None:
    """Wait until a commit is durable.

    A commit returns as soon as the desktop runs again; its memory is written in the background.
    """
    result = here.call("wait", progress="wait", revision=revision)
    here.say(result, lambda: f"{short(result['id'])} is durable.")


COMMAND = wait
