"""tcvs ps"""

from __future__ import annotations

from typing import Any

from tcvs.commands.up import screen_text
from tcvs.context import Context
from tcvs.render import units
from tcvs.render.commits import short
from tcvs.render.table import Column

EXAMPLES = """
tcvs ps
tcvs ps --json | jq '.[] | select(.state == "running") | .branch'
"""

_COLUMNS = [
    Column(" "),
    Column("BRANCH", flexible=True, style="bold"),
    Column("STATE"),
    Column("PROCS", right=True),
    Column("MEMORY", right=True),
    Column("SCREEN", right=True),
    Column("AGE", right=True),
    Column("COMMIT", style="yellow"),
    Column("NET"),
]


def ps(here: Context) -> None:
    """List the desktops: state, processes, memory, age.

    `*` marks the current branch.
    """
    desktops = here.call("ps")
    rows = [_row(desktop) for desktop in desktops]
    empty = "There are no branches.  `tcvs up` starts a desktop."
    here.write(desktops, lambda: here.table(_COLUMNS, rows, empty))


def _row(desktop: dict[str, Any]) -> list[str]:
    runs = desktop["state"] != "stopped"
    return [
        "*" if desktop.get("current") else "",
        desktop["branch"],
        desktop["state"],
        str(desktop.get("processes") or 0) if runs else "-",
        units.size(desktop.get("memory")) if runs else "-",
        screen_text(desktop.get("screen")),
        units.age(desktop.get("age")) if runs else "-",
        short(desktop.get("commit")),
        (desktop.get("address") or "on") if desktop.get("net") else "off",
    ]


COMMAND = ps
