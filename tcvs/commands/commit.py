"""tcvs commit"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tcvs.context import Context, author
from tcvs.render import units
from tcvs.render.commits import short
from tcvs_core.errors import UsageError

EXAMPLES = """
tcvs commit -m "form filled in"
tcvs commit -m "step 12" -b explore-1 --author "agent:Explorer" --action '{"click": [640, 360]}'
tcvs commit -m "before the upgrade" --wait --tag stable
"""


def commit(
    here: Context,
    message: Annotated[
        str | None, typer.Option("--message", "-m", metavar="TEXT", help="What this state is.")
    ] = None,
    branch: Annotated[
        str | None, typer.Option("--branch", "-b", metavar="BRANCH", help="Which desktop.")
    ] = None,
    who: Annotated[
        str | None, typer.Option("--author", metavar="WHO", help='"Name <email>" or "agent:Name".')
    ] = None,
    action: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What led to this state: text or JSON.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Return when it is durable.")] = False,
    no_memory: Annotated[bool, typer.Option("--no-memory", help="Save the files only.")] = False,
    tag: Annotated[str | None, typer.Option(metavar="NAME", help="Tag the commit.")] = None,
) -> None:
    """Save files and memory of a running desktop.

    Returns when the desktop runs again, after a short pause; its memory is then written in the
    background.  A crash before that is done leaves the branch at its last durable commit.
    The author comes from --author, TCVS_AUTHOR, or Git's user.name and user.email.
    """
    if message is None or not message.strip():
        raise UsageError("a commit needs a message", hint='`tcvs commit -m "what this state is"`')
    result = here.call(
        "commit",
        progress="commit",
        branch=branch,
        message=message,
        author=author(who),
        action=action,
        wait=wait,
        memory=not no_memory,
        tag=tag,
    )
    here.say(result, lambda: _text(here, result, message, not no_memory))


def _text(here: Context, result: dict[str, Any], message: str, memory: bool) -> str:
    subject = message.strip().splitlines()[0]
    name = here.style(f"[{result['branch']} {short(result['id'])}]", "yellow")
    facts = []
    if result.get("pause_ms") is not None:
        facts.append(f"paused {units.milliseconds(result['pause_ms'])}")
    if result.get("durable"):
        stored = result.get("stored")
        facts.append("durable" + (f", {units.size(stored)} written" if _is_size(stored) else ""))
    elif memory:
        facts.append("memory is being written")
    return f"{name} {subject}\n{'; '.join(facts)}".rstrip()


def _is_size(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


COMMAND = commit
