"""tcvs tag"""

from __future__ import annotations

from typing import Annotated

import typer

from tcvs.context import Context
from tcvs.render.commits import short, subject
from tcvs.render.table import Column
from tcvs_core.errors import UsageError

EXAMPLES = """
tcvs tag
tcvs tag good explore-1 -m "all tests pass"
tcvs tag -d good
"""


def tag(
    here: Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Without it: list the tags.")
    ] = None,
    revision: Annotated[
        str | None, typer.Argument(metavar="REVISION", help="The current commit by default.")
    ] = None,
    message: Annotated[
        str | None, typer.Option("--message", "-m", metavar="TEXT", help="A note to keep with it.")
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", "-d", help="Delete the tag.")] = False,
) -> None:
    """Name a commit; list or delete such names."""
    if name is None:
        if delete or message is not None:
            raise UsageError("no tag is named", hint="`tcvs tag NAME`, `tcvs tag -d NAME`")
        tags = here.call("tag_list")
        columns = [Column("TAG", style="yellow"), Column("COMMIT"), Column("NOTE", flexible=True)]
        rows = [
            [t["name"], short(t["commit"]), subject(t["message"]) if t.get("message") else ""]
            for t in tags
        ]
        here.write(tags, lambda: here.table(columns, rows))
        return
    if delete:
        if revision is not None or message is not None:
            raise UsageError("--delete takes one NAME and nothing else")
        result = here.call("tag_delete", name=name)
        here.say(result or {"name": name}, lambda: f"Deleted tag {name}.")
        return
    result = here.call("tag_create", name=name, revision=revision, message=message)
    answer = result if isinstance(result, dict) else {"name": name}
    here.say(answer, lambda: f"Tagged {short(answer.get('commit'))} as {name}.")


COMMAND = tag
