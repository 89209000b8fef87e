"""tcvs branch"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tcvs.context import Context, author
from tcvs.render import units
from tcvs.render.branches import listing
from tcvs.render.commits import short
from tcvs_core.errors import EXIT_FAILED, UsageError

EXAMPLES = """
tcvs branch                          list the branches
tcvs branch explore                  fork the running desktop of the current branch
tcvs branch explore -n 4             fork it four times: explore-1 ... explore-4
tcvs branch retry --from v1          a new branch from a commit, tag or other branch
tcvs branch -m explore-2 winner      rename
tcvs branch -d explore-1 explore-3   delete; -D also with work that is merged nowhere
"""


def branch(
    here: Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Without it: list the branches.")
    ] = None,
    number: Annotated[
        int, typer.Option("--count", "-n", metavar="N", help="How many to make.", min=1)
    ] = 1,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="REVISION", help="Fork this; the current branch by default."
        ),
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", "-d", help="Delete branches whose work is kept elsewhere.")
    ] = False,
    force: Annotated[bool, typer.Option("-D", help="Delete branches, unmerged work too.")] = False,
    move: Annotated[bool, typer.Option("--move", "-m", help="Rename: [OLD] NEW.")] = False,
    no_memory: Annotated[
        bool, typer.Option("--no-memory", help="Do not keep the memory of the fork point.")
    ] = False,
    who: Annotated[
        str | None, typer.Option("--author", metavar="WHO", help='"Name <email>" or "agent:Name".')
    ] = None,
    action: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What this fork is for, kept in history.")
    ] = None,
) -> int:
    """Fork a running desktop; list, rename or delete branches.

    The source stands still for a moment and goes on; the branch runs beside it from that same
    moment, with the same programs, windows and files, and neither sees the other.
    """
    if sum((delete or force, move)) > 1:
        raise UsageError("-d, -D and -m exclude each other")
    if delete or force:
        return _delete(here, names or [], force)
    if move:
        return _rename(here, names or [])
    if not names:
        found = here.call("branch_list")
        here.write(found, lambda: listing(here, found))
        return 0
    if len(names) > 1:
        raise UsageError(
            "one NAME at a time", hint=f"`tcvs branch {names[0]} --from {names[1]}` forks another"
        )
    return _create(here, names[0], number, source, not no_memory, who, action)


def _create(
    here: Context,
    name: str,
    number: int,
    source: str | None,
    memory: bool,
    who: str | None,
    action: str | None,
) -> int:
    result = here.call(
        "branch_create",
        progress="branch",
        name=name,
        count=number,
        source=source,
        memory=memory,
        author=author(who),
        action=action,
    )
    here.say(result, lambda: _created(here, result))
    failed = [one for one in result["branches"] if one.get("error")]
    if not here.json:
        for one in failed:
            here.note(f"error: {one['name']}: {_reason(one['error'])}")
    return EXIT_FAILED if failed else 0


def _created(here: Context, result: dict[str, Any]) -> str:
    lines = []
    for one in result["branches"]:
        if not one.get("error"):
            after = one.get("running_ms")
            runs = f"runs after {units.milliseconds(after)}" if after is not None else "made"
            lines.append(f"{here.style(one['name'], 'bold green')} {runs}")
    origin = f"from {result['source']}"
    if result.get("commit"):
        origin += f" at {short(result['commit'])}"
    if result.get("pause_ms") is not None:
        origin += f", which paused {units.milliseconds(result['pause_ms'])}"
    lines.append(f"{origin}; {units.milliseconds(result.get('total_ms'))} in all")
    return "\n".join(lines)


def _reason(error: Any) -> str:
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)


def _delete(here: Context, names: list[str], force: bool) -> int:
    if not names:
        raise UsageError("no branch is named", hint="`tcvs branch -d NAME...`")
    gone = here.call("branch_delete", names=names, force=force)
    lines = [f"Deleted branch {one['name']} (was {short(one.get('commit'))})." for one in gone]
    here.say(gone, lambda: "\n".join(lines))
    return 0


def _rename(here: Context, names: list[str]) -> int:
    if len(names) not in (1, 2):
        raise UsageError("-m takes a new name, or an old and a new one")
    old = names[0] if len(names) == 2 else _current(here)
    result = here.call("branch_rename", old=old, new=names[-1])
    here.say(result or {"old": old, "new": names[-1]}, lambda: f"Renamed {old} to {names[-1]}.")
    return 0


def _current(here: Context) -> str:
    for one in here.call("branch_list"):
        if one.get("current"):
            return str(one["name"])
    raise UsageError("there is no current branch", hint="`tcvs branch -m OLD NEW`")


COMMAND = branch
