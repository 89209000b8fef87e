"""tcvs reset"""

from __future__ import annotations

from typing import Annotated

import typer

from tcvs.commands.rollback import rollback
from tcvs.context import Context
from tcvs_core.errors import UsageError

EXAMPLES = """
tcvs reset --hard HEAD~1
"""


def reset(
    here: Context,
    target: Annotated[
        str | None, typer.Argument(metavar="COMMIT", help="The last commit by default.")
    ] = None,
    hard: Annotated[bool, typer.Option("--hard", help="Needed: files and memory change.")] = False,
) -> None:
    """Put the current branch back to a commit (as rollback)."""
    if not hard:
        raise UsageError(
            "a desktop can only be reset with its files and memory",
            hint="`tcvs reset --hard [COMMIT]`, the same as `tcvs rollback [COMMIT]`",
        )
    rollback(here, target)


COMMAND = reset
