"""The table of what engines carry: complete, and the same in the documentation."""

from __future__ import annotations

from pathlib import Path

from fidelity.known import KNOWN, by_source, rows, table

TOP = Path(__file__).resolve().parents[2]


def test_the_documentation_has_the_table() -> None:
    text = (TOP / "docs/fidelity.md").read_text()
    found = [line for line in text.splitlines() if line.startswith("|")]
    assert found == table().splitlines()


def test_rows_are_named_once_and_known_rows_exist() -> None:
    assert len(rows()) == len(set(rows()))
    assert len(by_source()) >= 10
    assert {row for _engine, row in KNOWN} <= set(rows())
