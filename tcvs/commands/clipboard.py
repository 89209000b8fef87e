"""Read or set the clipboard of a desktop."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tcvs.context import Context
from tcvs.render.terminal import safe
from tcvs_core.errors import UsageError

EXAMPLES = {
    "get": "tcvs clipboard get -b explore-1",
    "set": 'tcvs clipboard set "some text"\ndate | tcvs clipboard set',
}

Branch = Annotated[
    str | None, typer.Option("--branch", "-b", metavar="BRANCH", help="Whose clipboard.")
]


def get(here: Context, branch: Branch = None) -> None:
    """Print the text in the clipboard, with nothing added."""
    answer = here.call("clipboard_get", branch=branch)
    text = answer["text"] or ""
    if here.json:
        here.write(answer, str)
    elif here.out.is_tty:
        print(safe(text))
    else:
        sys.stdout.write(text)


def set_(
    here: Context,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="Standard input by default.")
    ] = None,
    branch: Branch = None,
) -> None:
    """Put text into the clipboard."""
    if text is None:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError("there is no text to set", hint="`tcvs clipboard set TEXT`")
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    here.call("clipboard_set", branch=branch, text=text)
    size = len(text)
    here.say({"characters": size}, lambda: f"Set the clipboard ({size} characters).")


COMMAND = {"get": get, "set": set_}
