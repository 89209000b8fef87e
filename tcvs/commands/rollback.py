"""tcvs rollback"""

from __future__ import annotations

from typing import Annotated

import typer

from tcvs.commands.checkout import outcome
from tcvs.context import Context

EXAMPLES = """
tcvs rollback                 back to the last commit
tcvs rollback HEAD~3
tcvs rollback main@{2}        where main was two moves ago
tcvs undo                     and back again
"""


def rollback(
    here: Context,
    target: Annotated[
        str | None, typer.Argument(metavar="COMMIT", help="The last commit by default.")
    ] = None,
    branch: Annotated[
        str | None, typer.Option("--branch", "-b", metavar="BRANCH", help="Which branch.")
    ] = None,
) -> None:
    """Put the current branch back to a commit.

    Files, memory and windows become what they were.  The state that is left is saved first and
    stays in the reflog, so `tcvs undo` returns to it.
    """
    result = here.call("rollback", progress="rollback", target=target, branch=branch)
    here.say(result, lambda: outcome(here, result, "{branch} is back"))


COMMAND = rollback
