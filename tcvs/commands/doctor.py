"""tcvs doctor"""

from __future__ import annotations

from typing import Any

from tcvs.context import Context
from tcvs.render.table import Column
from tcvs_core.errors import EXIT_FAILED

EXAMPLES = """
tcvs doctor
tcvs doctor --json | jq -r '.checks[] | select(.ok | not) | .fix'
"""


def doctor(here: Context) -> int:
    """Say what this machine offers and what it lacks.

    Works without a repository and without the keeper.  The exit status is 0 where the main job,
    forking a running desktop, can run.
    """
    from tcvs_core.workspace import doctor as checks

    found = [check.to_dict() for check in checks.run_checks()]
    able = all(one["ok"] for one in found if one.get("needed_for") in (None, "", "main"))
    here.write({"able": able, "checks": found}, lambda: _text(here, found, able))
    return 0 if able else EXIT_FAILED


def _text(here: Context, found: list[dict[str, Any]], able: bool) -> str:
    columns = [Column(" "), Column("CHECK"), Column("FOUND", flexible=True), Column("NEEDED FOR")]
    rows = [
        [
            "ok" if one["ok"] else "no",
            one["name"],
            one.get("found") or "",
            one.get("needed_for") or "",
        ]
        for one in found
    ]
    lines = [here.table(columns, rows), ""]
    for one in found:
        if not one["ok"]:
            lines.append(f"{here.style(one['name'], 'bold')}: {one.get('reason') or 'is missing'}")
            if one.get("fix"):
                lines.append(f"  {here.style('fix:', 'cyan')} {one['fix']}")
    lines.append(
        here.style("This machine can fork running desktops.", "green")
        if able
        else here.style("This machine cannot fork running desktops yet.", "red")
    )
    return "\n".join(lines)


COMMAND = doctor
