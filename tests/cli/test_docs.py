"""docs/cli.md and the examples in the help pages are command lines that tcvs takes."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tcvs.app import build
from tcvs.verbs import VERBS

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
_HEADING = re.compile(r"^### (.*)$", re.MULTILINE)


def _examples() -> list[str]:
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
             for line in block.splitlines()]  # fmt: skip
    for verb in VERBS:
        given = importlib.import_module(f"tcvs.commands.{verb.module}").EXAMPLES
        for text in given.values() if isinstance(given, dict) else [given]:
            lines += text.strip().splitlines()
    return sorted({part for line in lines for part in _commands(line)})


def _commands(line: str) -> list[str]:
    """Return the tcvs commands of a shell line: without comments, pipes and redirections."""
    line = re.sub(r" {3,}.*", "", line)
    parts = re.split(r" (?:\||&&|<) ", line)
    return [part for part in parts if part.startswith("tcvs ")]


@pytest.mark.parametrize("line", _examples())
def test_example_parses(line: str) -> None:
    command: Any = build()
    args = shlex.split(line)[1:]
    context = command.make_context("tcvs", args)
    while hasattr(command, "resolve_command"):
        args = [*context._protected_args, *context.args]
        name, command, args = command.resolve_command(context, args)
        context = command.make_context(name, args, parent=context)
    assert context.command.callback is not None


def test_every_verb_is_documented() -> None:
    headings = " ".join(_HEADING.findall(PAGE))
    documented = set(re.findall(r"`tcvs (\w+)", headings))
    assert documented == {verb.name for verb in VERBS}


@pytest.mark.parametrize(
    "verb", sorted(set(re.findall(r"`tcvs (\w+)", " ".join(_HEADING.findall(PAGE)))))
)
def test_documented_verb_has_help(verb: str, bare: Any) -> None:
    done = bare(verb, "--help")
    assert done.returncode == 0
    text = done.stdout.decode()
    assert text.startswith(f"Usage: tcvs {verb}")
    assert not done.stderr
    # Every option that the page uses with this verb is in its help, or in that of a sub-verb.
    for line in re.findall(rf"^tcvs {verb} .*$", PAGE, re.MULTILINE):
        for option in re.findall(r" (--[a-z-]+)", line.split(" -- ")[0]):
            sub = line.split()[2]
            shown = text if option in text else bare(verb, sub, "--help").stdout.decode()
            assert option in shown, line
