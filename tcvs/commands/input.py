"""Use the mouse and the keyboard of a desktop."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Literal

import typer

from tcvs.context import Context
from tcvs.render import units
from tcvs_core.errors import UsageError

EXAMPLES = {
    "click": "tcvs input click 640 360\ntcvs input click 20 20 --button right -b explore-1",
    "move": "tcvs input move 100 200",
    "drag": "tcvs input drag 100 100 400 300",
    "scroll": "tcvs input scroll 640 360 down 5",
    "type": 'tcvs input type "Hello, wörld"\necho "several lines" | tcvs input type -',
    "key": "tcvs input key ctrl+s\ntcvs input key alt+F4 -b explore-1",
    "do": """tcvs input do '{"do": "click", "x": 640, "y": 360}'
tcvs input do '{"action": "left_click", "coordinate": [640, 360]}'
tcvs input do - < actions.json""",
}

Branch = Annotated[
    str | None, typer.Option("--branch", "-b", metavar="BRANCH", help="In which desktop.")
]
X = Annotated[int, typer.Argument(metavar="X", help="Pixels from the left.", min=0)]
Y = Annotated[int, typer.Argument(metavar="Y", help="Pixels from the top.", min=0)]
Button = Literal["left", "middle", "right"]
Direction = Literal["up", "down", "left", "right"]
_DIRECTIONS = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}


def click(
    here: Context,
    x: X,
    y: Y,
    button: Annotated[Button, typer.Option(help="Which button.")] = "left",
    count: Annotated[
        int, typer.Option("--count", "-n", metavar="N", help="2 is a double click.", min=1, max=9)
    ] = 1,
    branch: Branch = None,
) -> None:
    """Click at a place."""
    _perform(here, branch, [{"do": "click", "x": x, "y": y, "button": button, "count": count}])


def move(here: Context, x: X, y: Y, branch: Branch = None) -> None:
    """Move the pointer to a place."""
    _perform(here, branch, [{"do": "move", "x": x, "y": y}])


def drag(
    here: Context,
    x1: X,
    y1: Y,
    x2: X,
    y2: Y,
    branch: Branch = None,
) -> None:
    """Drag with the left button from one place to another."""
    _perform(here, branch, [{"do": "drag", "x1": x1, "y1": y1, "x2": x2, "y2": y2}])


def scroll(
    here: Context,
    x: X,
    y: Y,
    direction: Annotated[
        Direction, typer.Argument(metavar="up|down|left|right", help="Which way.")
    ] = "down",
    amount: Annotated[int, typer.Argument(metavar="N", help="Notches of the wheel.", min=1)] = 3,
    branch: Branch = None,
) -> None:
    """Turn the wheel at a place."""
    across, down = _DIRECTIONS[direction]
    notches = {"dx": across * amount, "dy": down * amount}
    _perform(here, branch, [{"do": "scroll", "x": x, "y": y, **notches}])


def type_(
    here: Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="`-` is standard input.")],
    branch: Branch = None,
) -> None:
    """Type text, in any script."""
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    _perform(here, branch, [{"do": "type", "text": text}])


def key(
    here: Context,
    keys: Annotated[
        list[str], typer.Argument(metavar="KEY...", help="Such as Return, ctrl+s, alt+Tab.")
    ],
    branch: Branch = None,
) -> None:
    """Press keys, one combination after the other."""
    _perform(here, branch, [{"do": "key", "keys": one} for one in keys])


def do(
    here: Context,
    actions: Annotated[
        str, typer.Argument(metavar="JSON", help="An action or a list; `-` is standard input.")
    ],
    branch: Branch = None,
) -> None:
    """Perform actions given as JSON, as agents write them.

    Understands the dialects of Anthropic's and OpenAI's computer tools and tcvs's own.
    """
    text = sys.stdin.read() if actions == "-" else actions
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise UsageError(f"this is no JSON: {error}", operation="input do") from None
    listed = parsed if isinstance(parsed, list) else [parsed]
    if not listed or not all(isinstance(one, dict) for one in listed):
        raise UsageError("actions are JSON objects", hint=EXAMPLES["do"].splitlines()[0])
    _perform(here, branch, listed)


def _perform(here: Context, branch: str | None, actions: list[dict[str, Any]]) -> None:
    result = here.call("input", branch=branch, actions=actions)
    number = units.count(result["performed"], "action")
    here.say(result, lambda: f"{number} in {units.milliseconds(result.get('ms'))}")


COMMAND = {
    "click": click,
    "move": move,
    "drag": drag,
    "scroll": scroll,
    "type": type_,
    "key": key,
    "do": do,
}
