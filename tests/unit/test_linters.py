"""The linters, as tests: what they say is a failure."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tcvs_core

TOP = Path(__file__).resolve().parents[2]


def run(*command: str) -> None:
    done = subprocess.run(
        command, cwd=TOP, capture_output=True, text=True, errors="replace", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff() -> None:
    run(sys.executable, "-m", "ruff", "check", "--quiet", ".")


def test_ruff_format() -> None:
    run(sys.executable, "-m", "ruff", "format", "--check", "--quiet", ".")


def test_mypy() -> None:
    run(sys.executable, "-m", "mypy")


@pytest.mark.skipif(shutil.which("clang-format") is None, reason="clang-format is not installed")
def test_clang_format() -> None:
    tops = ("criu", "tcvs_core/native", "tests/fidelity")
    files = [str(p) for top in tops for p in (TOP / top).rglob("*.[ch]")]
    assert files
    run("clang-format", "--dry-run", "--Werror", *files)


@pytest.mark.parametrize(
    "script", ["criu/install.sh", "tcvs_core/live/image/skeleton/common/etc/tcvs/session"]
)
def test_shell_syntax(script: str) -> None:
    run("sh", "-n", script)


def test_versions_agree() -> None:
    found = re.search(r"version: '([^']+)'", (TOP / "meson.build").read_text())
    assert found is not None
    assert found[1] == tcvs_core.__version__
