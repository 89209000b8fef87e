"""Merge plans and conflicts as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tcvs.render.changes import path_text
from tcvs.render.terminal import Terminal
from tcvs.render.units import count

_STYLES = {"write": "yellow", "remove": "red", "mkdir": "green", "move": "cyan"}
_CONFLICTS = {
    "content": "both changed the same lines",
    "add/add": "both added it, differently",
    "modify/delete": "changed here, deleted there",
    "delete/modify": "deleted here, changed there",
    "binary": "both changed it, and it is no text",
    "type": "it became two different kinds of file",
    "rename": "moved to two different places",
    "metadata": "both changed its owner or attributes",
}


def plan_lines(terminal: Terminal, plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line an action of ``MergePlan.to_dict()``."""
    for action in plan.get("actions") or []:
        kind = action["kind"]
        path = path_text(action["path"])
        if kind == "move" and action.get("old_path"):
            path = f"{path_text(action['old_path'])} -> {path}"
        yield f"{terminal.style(kind.ljust(8), _STYLES.get(kind, ''))} {path}"


def conflict_lines(conflicts: Sequence[Mapping[str, Any]], applied: bool) -> Iterator[str]:
    """Yield the conflicts and what to do about them."""
    for one in conflicts:
        reason = _CONFLICTS.get(one["kind"], one["kind"])
        yield f"conflict: {path_text(one['path'])}: {reason}"
    what = "the files hold conflict markers" if applied else "nothing was changed"
    yield f"error: {count(len(conflicts), 'conflict')}; {what}"
    if not applied:
        yield "hint: --exclude leaves those paths out; --conflicts markers lets you settle them"
