"""The list of branches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcvs.render.commits import short, subject
from tcvs.render.table import Column

if TYPE_CHECKING:
    from tcvs.context import Context

_COLUMNS = [
    Column(" "),
    Column("BRANCH", flexible=True, style="bold"),
    Column("STATE"),
    Column("COMMIT", style="yellow"),
    Column("AHEAD", right=True),
    Column("FROM", flexible=True),
    Column("SUBJECT", flexible=True),
]


def listing(here: Context, branches: list[dict[str, Any]]) -> str:
    """Return the branches as a table; ``*`` marks the current one."""
    rows = [
        [
            "*" if one.get("current") else "",
            one["name"],
            one.get("state") or ("running" if one.get("running") else "stopped"),
            short(one.get("commit")),
            str(one["ahead"]) if one.get("ahead") is not None else "-",
            _origin(one.get("forked_from")),
            subject(one.get("subject") or "") if one.get("commit") else "(no commit yet)",
        ]
        for one in branches
    ]
    return here.table(_COLUMNS, rows, "There are no branches.  `tcvs up` starts a desktop.")


def _origin(value: Any) -> str:
    """Return a branch's origin: a name, or a commit's id shortened, or a dict that holds either."""
    if isinstance(value, dict):
        value = value.get("branch") or value.get("commit")
    if not value:
        return "-"
    text = str(value)
    return short(text) if len(text) == 40 else text
