"""A repository with a fake keeper, and tcvs run as a user would: a process of its own in a cleared
environment."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tcvs_core.keeper import place

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@dataclass
class Cli:
    """Runs tcvs; ``repo`` is the repository whose keeper is faked."""

    repo: Path
    home: Path
    calls_file: Path
    run: Path | None = None
    env: dict[str, str] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the whole environment of the process."""
        fixed = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "TERM": "xterm",
            "COLUMNS": "80",
            "TZ": "UTC",
            "NO_COLOR": "1",
            "TCVS_AUTHOR": "Ada <ada@example.org>",
            "TCVS_REPO": str(self.repo),
        }
        return {**fixed, **self.env, **more}

    def argv(self, *args: str | bytes) -> list[str | bytes]:
        """Return the command line of the process."""
        if self.run is None:
            return [sys.executable, "-m", "tcvs", *args]
        return [sys.executable, str(HERE / "launch.py"), str(self.run), *args]

    def __call__(
        self, *args: str | bytes, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run tcvs to its end in the home directory."""
        return subprocess.run(
            self.argv(*args),
            env=self.environment(**(env or {})),
            input=stdin,
            capture_output=True,
            cwd=self.home,
            timeout=60,
            check=False,
        )

    def places(self) -> list[tuple[str, str]]:
        """Return the paths that differ from run to run, with names for them."""
        runs = place.RUN if self.run is None else self.run
        run = runs / place.run_directory(self.repo).name
        return [(str(run), "RUN"), (str(self.repo), "REPO"), (str(self.home), "HOME")]

    def calls(self) -> list[dict[str, Any]]:
        """Return what the keeper was asked."""
        if not self.calls_file.exists():
            return []
        return [json.loads(line) for line in self.calls_file.read_text().splitlines()]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    return made


@pytest.fixture
def bare(tmp_path: Path, home: Path) -> Cli:
    """Tcvs without any repository."""
    return Cli(tmp_path / "none", home, tmp_path / "calls")


@pytest.fixture
def cli(tmp_path: Path, home: Path) -> Iterator[Cli]:
    """Tcvs with a repository and a fake keeper that listens."""
    identity = secrets.token_hex(4)
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "tcvs.json").write_text(json.dumps({"version": 1, "kind": "loop", "id": identity}))
    run = None if os.geteuid() == 0 else tmp_path / "run"
    made = Cli(repo, home, tmp_path / "calls", run)
    argv = [sys.executable, str(HERE / "fake_keeper.py"), str(repo), str(made.calls_file)]
    if run is not None:
        argv.append(str(run))
    with subprocess.Popen(argv, env=made.environment(), stdout=subprocess.PIPE) as keeper:
        try:
            assert keeper.stdout is not None
            assert keeper.stdout.readline() == b"ready\n"
            yield made
        finally:
            keeper.terminate()
            keeper.wait(10)
            shutil.rmtree((place.RUN if run is None else run) / identity, ignore_errors=True)
