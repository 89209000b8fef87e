"""tcvs merge"""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal

import typer

from tcvs.context import Context, author
from tcvs.paths import selection
from tcvs.render import units
from tcvs.render.commits import short
from tcvs.render.merge import conflict_lines, plan_lines
from tcvs_core.errors import EXIT_CONFLICT, RemoteError

EXAMPLES = """
tcvs merge explore-1 --paths ~/docs
tcvs merge explore-1 --paths ~/docs --exclude '*.log' --dry-run
tcvs merge explore-1 --paths ~/site --into release -m "new front page"
"""


def merge(
    here: Context,
    branch: Annotated[str, typer.Argument(metavar="BRANCH", help="Whose work to take.")],
    paths: Annotated[
        list[str] | None,
        typer.Option(
            "--paths", "--path", "-p", metavar="PATH", help="Only below here; repeatable."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", "-x", metavar="GLOB", help="But not these; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")
    ] = False,
    conflicts: Annotated[
        Literal["refuse", "markers"],
        typer.Option(help="Change nothing, or leave markers in the files."),
    ] = "refuse",
    message: Annotated[
        str | None, typer.Option("--message", "-m", metavar="TEXT", help="Message of the commit.")
    ] = None,
    into: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Where to; the current branch by default.")
    ] = None,
    who: Annotated[
        str | None, typer.Option("--author", metavar="WHO", help='"Name <email>" or "agent:Name".')
    ] = None,
) -> int:
    """Bring chosen files of another branch into this one.

    Three-way, file by file, against the state in which the two parted; text line by line.  With a
    conflict nothing is changed, the conflicts are listed and the exit status is 4.  `~` is the
    home of the desktop's user, also where the shell has made it yours.
    """
    request = {
        "branch": branch,
        "paths": selection(paths),
        "exclude": selection(exclude),
        "dry_run": dry_run,
        "conflicts": conflicts,
        "message": message,
        "into": into,
        "author": author(who),
    }
    try:
        result = here.call("merge", progress="merge", **request)
    except RemoteError as error:
        if error.exit_status != EXIT_CONFLICT or "conflicts" not in error.details:
            raise
        result = error.details  # refused, with all that a dry run would tell
    found = result.get("conflicts") or []
    here.say(result, lambda: _text(here, result, dry_run))
    if found and not here.json:
        applied = bool(result.get("applied"))
        print("\n".join(conflict_lines(found, applied)), file=sys.stderr)
    return EXIT_CONFLICT if found else 0


def _text(here: Context, result: dict[str, Any], dry_run: bool) -> str:
    refused = bool(result.get("conflicts")) and not result.get("applied") and not dry_run
    lines = [] if refused else list(plan_lines(here.out, result.get("plan") or {}))
    source, into = result.get("from"), result.get("into")
    if result.get("applied"):
        text = f"Merged {source} into {here.style(str(into), 'bold')}"
        if result.get("commit"):
            text += f" as {short(result['commit'])}"
        if result.get("pause_ms") is not None:
            text += f" (paused {units.milliseconds(result['pause_ms'])})"
        lines.append(text + ".")
    elif result.get("conflicts"):
        pass  # told on stderr
    elif dry_run:
        what = "This would be merged" if lines else "There is nothing to merge"
        lines.append(f"{what} from {source} into {into}; nothing was changed.")
    else:
        lines.append(f"{into} has everything of {source} already.")
    return "\n".join(lines)


COMMAND = merge
