"""tcvs checkout, tcvs switch"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tcvs.context import Context
from tcvs.render import units
from tcvs.render.commits import short

EXAMPLES = """
tcvs checkout explore-1              make it the current branch
tcvs checkout 4f2a91c -b retry       bring a commit back to life as a new branch
tcvs checkout v1 -b from-v1
"""

_HOW = {
    "switched": "Switched to branch {branch}",
    "restored": "Brought back {branch}",
    "booted": "Booted {branch}",
}


def checkout(
    here: Context,
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A branch, or a commit, tag or other revision.")
    ],
    new_branch: Annotated[
        str | None,
        typer.Option("--branch", "-b", "-c", metavar="NAME", help="Make this branch from TARGET."),
    ] = None,
) -> None:
    """Switch to a branch, or bring a commit back to life.

    The current branch is the one that commands use when none is named.  Switching leaves every
    desktop running.  A commit comes back as a running desktop, also after a reboot.
    """
    result = here.call("checkout", progress="checkout", target=target, new_branch=new_branch)
    here.say(result, lambda: outcome(here, result, _HOW.get(result["how"], "Now on {branch}")))


def outcome(here: Context, result: dict[str, Any], sentence: str) -> str:
    """Return what a checkout or rollback did, and where the state before it is kept."""
    text = sentence.format(branch=here.style(result["branch"], "bold"))
    if result.get("commit"):
        text += f" at {short(result['commit'])}"
    if result.get("seconds"):
        text += f" in {units.seconds(result['seconds'])}"
    text += "."
    if result.get("saved"):
        text += (
            f"\nThe state before is kept as {short(result['saved'])}; `tcvs undo` returns to it."
        )
    return text


COMMAND = checkout
