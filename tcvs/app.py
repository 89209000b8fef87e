"""The command line: global options, lazy verbs, one way out."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tcvs.context import Options
from tcvs.errors import EXIT_PIPE, cannot_write, report
from tcvs.lazy import Json, Quiet, Repo, RootGroup

HELP = """Version control for whole running desktops.

Fork a live desktop in well under a second, let an agent or a person work in each copy, look at
what they did, keep the results that are good, and go back to any moment.
"""
EXAMPLES = """
tcvs init && tcvs image build desktop && tcvs up
tcvs branch explore -n 3          fork the running desktop into three
tcvs input click 640 360 -b explore-1
tcvs diff main explore-1
tcvs merge explore-1 --paths ~/docs
tcvs log --graph
"""


def _version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib import metadata

    try:
        version = metadata.version("tcvs")
    except metadata.PackageNotFoundError:
        version = "(not installed)"
    print(f"tcvs {version}")
    raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
]


def root(
    context: typer.Context,
    repo: Repo = None,
    json_output: Json = False,
    quiet: Quiet = False,
    _version_wanted: Version = False,
) -> None:
    """Take the global options."""
    context.obj = Options(repo=repo, json=json_output, quiet=quiet)


def build() -> Any:
    """Return the whole command line as a Typer command."""
    app = typer.Typer(
        name="tcvs",
        cls=RootGroup,
        help=HELP,
        epilog=EXAMPLES,
        rich_markup_mode=None,
        subcommand_metavar="VERB ...",
    )
    app.callback()(root)
    return typer.main.get_command(app)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status."""
    args = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    command = build()
    if "_TCVS_COMPLETE" in os.environ:
        command.main(args, prog_name="tcvs")  # completion answers and exits
    json = "--json" in args
    try:
        status = _run(command, args)
    except BaseException as error:
        status = report(error, json=json)
    return _flush(status, json)


def _run(command: Any, args: list[str]) -> int:
    try:
        with command.make_context("tcvs", args) as context:
            return int(command.invoke(context) or 0)
    except typer.Exit as done:
        return done.exit_code


def _flush(status: int, json: bool) -> int:
    """Empty stdout while errors can still be told."""
    if sys.stdout is None:
        return status
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = status or EXIT_PIPE
    except OSError as error:
        # Where something has failed already, that was told, and this may be the same.
        status = status or cannot_write(error, json=json)
    else:
        return status
    # What stays in the buffer would fail again when the interpreter closes it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return status
