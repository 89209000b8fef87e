"""tcvs logs"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from tcvs.context import Context
from tcvs.render.terminal import safe

EXAMPLES = """
tcvs logs
tcvs logs -b explore-1 -n 500 --follow
"""


def logs(
    here: Context,
    branch: Annotated[
        str | None, typer.Option("--branch", "-b", metavar="BRANCH", help="Whose log.")
    ] = None,
    lines: Annotated[
        int, typer.Option("--lines", "-n", metavar="N", help="How many of the last lines.", min=0)
    ] = 100,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines until interrupted.")
    ] = False,
) -> None:
    """Print what the session of a desktop wrote to its log."""

    def event(message: dict[str, Any], _fds: list[int]) -> None:
        if message.get("event") == "line":
            _print(here, message)

    here.keeper().call("logs", on_event=event, branch=branch, lines=lines, follow=follow)


def _print(here: Context, message: dict[str, Any]) -> None:
    if here.json:
        from json import dumps

        print(
            dumps({key: value for key, value in message.items() if key != "event"}, sort_keys=True)
        )
    else:
        text = message.get("line", message.get("text", ""))
        if isinstance(text, bytes):
            text = text.decode("utf-8", "surrogateescape")
        print(safe(text) if here.out.is_tty else text)
    sys.stdout.flush()  # so that `tcvs logs -f | grep` sees lines as they come


COMMAND = logs
