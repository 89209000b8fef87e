"""tcvs init"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tcvs.context import Context, needs_root
from tcvs.render import units
from tcvs_core.errors import UsageError

EXAMPLES = """
tcvs init
tcvs init /srv/desktops --size 200G
"""


def init(
    here: Context,
    path: Annotated[
        str | None,
        typer.Argument(metavar="PATH", help="An empty or missing directory."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Most that the pool may take, such as 40G."),
    ] = None,
) -> None:
    """Make a repository.

    On btrfs the repository is a subvolume.  Elsewhere it is a sparse file that takes only what is
    used of it, mounted again by itself after a reboot.  Without PATH: --repo, else TCVS_REPO, else
    /var/lib/tcvs.
    """
    if path is not None and here.options.repo is not None:
        raise UsageError("both PATH and --repo are given", hint="give one of them")
    target = Path(path).absolute() if path is not None else here.repo
    room = units.parse_size(size, "--size") if size is not None else None
    if os.geteuid() != 0:
        raise needs_root("make a repository")
    from tcvs.render.progress import Progress
    from tcvs_core.store.pool import Pool

    with Progress("init") as bar:
        quiet = here.json or here.options.quiet
        pool = Pool.create(target, room, progress=None if quiet else bar.step)
    usage = pool.usage()
    result = {"path": str(target), "id": pool.id, "size": usage["size"], "free": usage["free"]}
    pool.close()
    here.say(result, lambda: _text(target, usage["size"]))


def _text(target: Path, size: int) -> str:
    return f"Made an empty repository in {target} ({units.size(size)})."


COMMAND = init
