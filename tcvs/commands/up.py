"""tcvs up"""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from tcvs.context import Context
from tcvs.render import units
from tcvs_core.errors import UsageError

EXAMPLES = """
tcvs up
tcvs up main --image desktop --screen 1920x1080 --net
tcvs up sandbox --image mini --memory 2G --cpus 1.5
"""

_HOW = {
    "booted": "Started {branch} in {time}",
    "restored": "Brought {branch} back to its last commit in {time}",
    "already": "{branch} runs already",
}


def up(
    here: Context,
    branch: Annotated[
        str | None, typer.Argument(metavar="BRANCH", help="The current branch by default.")
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="What a new branch begins from.")
    ] = None,
    screen: Annotated[
        str | None, typer.Option(metavar="WxH", help="Size of the screen; 1280x720 at first.")
    ] = None,
    net: Annotated[
        bool | None, typer.Option("--net/--no-net", help="Let it reach the network; not at first.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Most memory it may use, such as 4G.")
    ] = None,
    cpus: Annotated[
        float | None, typer.Option(metavar="N", help="Most processors it may use.", min=0.01)
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Boot anew, without the memory of the last commit.")
    ] = False,
) -> None:
    """Start the desktop of a branch.

    A branch with a durable commit comes back as it was, programs and windows and all; a new one
    boots from an image.  What is not said stays as it was for that branch.
    """
    if screen is not None and not re.fullmatch(r"[1-9]\d{1,4}x[1-9]\d{1,4}", screen):
        raise UsageError(
            f"{screen!r} is not a screen size", operation="--screen", hint="such as 1280x720"
        )
    limit = units.parse_size(memory, "--memory") if memory is not None else None
    result = here.call(
        "up",
        progress="up",
        branch=branch,
        image=image,
        screen=screen,
        net=net,
        memory=limit,
        cpus=cpus,
        fresh=fresh,
    )
    here.say(result, lambda: _text(here, result))


def _text(here: Context, result: dict[str, Any]) -> str:
    name = here.style(result["branch"], "bold")
    how = _HOW.get(result["how"], "{branch} runs")
    text = how.format(branch=name, time=units.seconds(result.get("seconds")))
    facts = []
    if result.get("processes") is not None:
        facts.append(units.count(result["processes"], "process", "processes"))
    if result.get("screen"):
        facts.append(f"screen {screen_text(result['screen'])}")
    return f"{text} ({', '.join(facts)})." if facts else f"{text}."


def screen_text(screen: Any) -> str:
    """Return ``1280x720`` for a text or a pair; ``-`` for None."""
    if not screen:
        return "-"
    return screen if isinstance(screen, str) else f"{screen[0]}x{screen[1]}"


COMMAND = up
