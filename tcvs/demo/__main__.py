"""``python -m tcvs.demo [--repo DIR] [--report DIR] [--keep]``: see the package's docstring.

Exit status 0 means that everything which it claims was checked and is so.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from rich.console import Console

from tcvs.demo.claims import NotSo
from tcvs_core.errors import TcvsError

DEFAULT_REPO = Path("/var/lib/tcvs")


def main(argv: list[str] | None = None) -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tcvs.demo", description=__doc__)
    parser.add_argument("--repo", type=Path, default=DEFAULT_REPO, help="made when missing")
    parser.add_argument("--report", type=Path, default=Path("demo-report"), help="where to")
    parser.add_argument("--keep", action="store_true", help="let the desktops run on at the end")
    options = parser.parse_args(argv)
    console = Console(highlight=False, soft_wrap=True)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    if os.geteuid() != 0:
        errors.print("The demo starts containers: run it as root.")
        return 1
    begin = time.monotonic()
    try:
        _run(options.repo.absolute(), options.report, options.keep, console)
    except NotSo as error:
        errors.print(f"[bold red]The demo failed:[/] {error}.")
        return 1
    except TcvsError as error:
        errors.print(f"[bold red]The demo could not go on:[/] {error}")
        if error.hint:
            errors.print(f"hint: {error.hint}")
        return 1
    console.print(f"[bold green]All of it is so.[/] {time.monotonic() - begin:.0f} s in all.")
    return 0


def _run(repo: Path, directory: Path, keep: bool, console: Console) -> None:
    from tcvs.demo import report, stage, story, tell

    teller = tell.Teller(console)
    with teller.step(f"Open the repository {repo}"):
        keeper = stage.open_repository(repo)
        names = stage.free_names(keeper)
    tale = story.Story(keeper, names, teller)
    tale.build()
    try:
        tale.start()
        tale.commit()
        tale.fork()
        tale.work()
        tale.merge()
        tale.roll_back()
        with teller.step("Clear away earlier demos"):
            stage.clear(keeper, names)
    except BaseException:
        _leave(tale, directory)
        raise
    tale.end(keep)
    log = story.log_of(keeper, names)
    with teller.step("Write the report"):
        page = report.write(tale, log, directory)
    _show_log(console, log, names.main)
    rows = [(n, tell.milliseconds(p), tell.milliseconds(t)) for n, p, t in teller.engine]
    teller.table("Times", ("operation", "source stood still", "in all"), rows)
    console.print(f"{len(teller.claims.made)} claims checked.")
    console.print(f"Contact sheet: {(directory / report.SHEET).resolve()}")
    console.print(f"Report:        {page.resolve()}")
    if keep:
        console.print("The desktops still run; look at them with `tcvs view`.")
    else:
        console.print(f"The desktops are down; `tcvs up {names.main}` and `tcvs view` show one.")


def _leave(tale: object, directory: Path) -> None:
    """Stop the desktops of a run that failed, and leave all pictures for who looks into it."""
    from tcvs.demo.story import Story

    assert isinstance(tale, Story)
    directory.mkdir(parents=True, exist_ok=True)
    for what, picture in tale.pictures.items():
        picture.save(directory / f"seen-{'-'.join(what.split())}.png")
    for desktop in (tale.main, *tale.explore.values()):
        try:
            (directory / f"failed-{desktop.branch}.png").write_bytes(desktop.png())
            tale.keeper.call("down", branch=desktop.branch, commit=False)
        except TcvsError:
            continue  # it was never started, or is gone: the first error is the one to be told


def _show_log(console: Console, log: dict[str, object], head: str) -> None:
    from tcvs.render import commits
    from tcvs.render.terminal import Terminal

    found = log["commits"]
    assert isinstance(found, list)
    console.print()
    for line in commits.lines(Terminal(sys.stdout), found, head=head, oneline=True, graph=True):
        print(line)
    console.print()


if __name__ == "__main__":
    sys.exit(main())
