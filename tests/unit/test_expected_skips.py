"""The plugin that makes unexpected skips fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]

SUITE = """
import pytest

@pytest.fixture
def thing():
    pytest.skip("no such thing")

def test_fixture(thing): pass

@pytest.mark.skip(reason="cgroup v2 is not mounted")
def test_expected(): pass

@pytest.mark.skip(reason="just so")
def test_mark(): pass

@pytest.mark.xfail(strict=True)
def test_xfail(): assert False

def test_fine(): pass
"""
MODULE = "import pytest\npytest.skip('whole module', allow_module_level=True)\n"


def run(directory: Path, ci: str, module: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_suite.py").write_text(SUITE)
    (directory / "test_module.py").write_text(module)
    (directory / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "expected_skips", "-p", "no:cacheprovider"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(TESTS), "TCVS_CI": ci, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_elsewhere_skips_are_skips(tmp_path: Path) -> None:
    done = run(tmp_path, "", MODULE)
    assert "1 passed, 4 skipped, 1 xfailed" in done.stdout
    assert done.returncode == 0


def test_in_ci_an_unexpected_skip_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, "1", "")
    assert "does not expect: just so" in done.stdout
    assert "does not expect: no such thing" in done.stdout
    assert "1 passed, 1 skipped, 1 xfailed" in done.stdout
    assert done.returncode == 1


def test_in_ci_a_module_that_skips_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, "1", MODULE)
    assert "does not expect: whole module" in done.stdout
    assert done.returncode != 0
