"""The table of verbs says what the modules behind it say."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from tcvs.verbs import PANELS, VERBS, Verb

COMMANDS = Path(__file__).parents[2] / "tcvs" / "commands"


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_help_is_the_first_line_of_the_docstring(verb: Verb) -> None:
    module = importlib.import_module(f"tcvs.commands.{verb.module}")
    group = isinstance(module.COMMAND, dict)
    text = inspect.getdoc(module if group else module.COMMAND)
    assert text is not None
    assert text.splitlines()[0] == verb.help
    assert verb.panel in PANELS
    if group:
        assert set(module.EXAMPLES) == set(module.COMMAND)
        assert all(inspect.getdoc(function) for function in module.COMMAND.values())


def test_every_module_is_in_the_table() -> None:
    found = {path.stem for path in COMMANDS.glob("*.py")} - {"__init__"}
    assert found == {verb.module for verb in VERBS}


def test_a_verb_stays_small() -> None:
    long = {
        p.name: n for p in COMMANDS.glob("*.py") if (n := len(p.read_text().splitlines())) > 150
    }
    assert not long
