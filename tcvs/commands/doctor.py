"""tcvs doctor"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcvs.context import Context
from tcvs.render.table import Column
from tcvs_core.errors import EXIT_FAILED

if TYPE_CHECKING:
    from tcvs_core.workspace.doctor import Report

EXAMPLES = """
tcvs doctor
tcvs doctor --json | jq -r '.checks[] | select(.ok | not) | .fix'
"""


def doctor(here: Context) -> int:
    """Say what this machine offers and what it lacks.

    Works without a repository and without the keeper.  The exit status is 0 where the main job,
    forking a running desktop, can run.
    """
    from tcvs_core.workspace.doctor import run_checks

    report = run_checks(repo=here.repo)
    here.write(report.to_dict(), lambda: _text(here, report))
    return 0 if report.ok else EXIT_FAILED


def _text(here: Context, report: Report) -> str:
    columns = [Column(" "), Column("CHECK"), Column("FOUND", flexible=True), Column("NEEDED FOR")]
    rows = [
        ["ok" if check.ok else "no", check.name, check.found, check.needed_for]
        for check in report.checks
    ]
    lines = [here.table(columns, rows), ""]
    for check in report.checks:
        if not check.ok:
            lines.append(f"{here.style(check.name, 'bold')}: {check.reason or 'is missing'}")
            if check.fix:
                lines.append(f"  {here.style('fix:', 'cyan')} {check.fix}")
    if report.engine:
        reason = f" ({report.engine_reason})" if report.engine_reason else ""
        lines.append(f"Engine: {here.style(report.engine, 'bold')}{reason}")
    if report.ok:
        lines.append(here.style("This machine can fork running desktops.", "green"))
    else:
        lines.append(here.style("This machine cannot fork running desktops yet.", "red"))
    return "\n".join(lines)


COMMAND = doctor
