"""Running `mini` desktops, a viewer that shows them and a headless Chromium.

``TCVS_TEST_MINI_ROOT`` names the root directory of a `mini` image; it is only read.
``TCVS_TEST_TOOLS`` names the prefix of wayvnc and noVNC, if it is not the installed one.
``TCVS_TEST_PICTURES`` names a directory for screenshots.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mini_desktops import Desktop, branches

from tcvs_core.keeper.view import Viewer

TOOLS = Path(os.environ.get("TCVS_TEST_TOOLS", "/usr/local/lib/tcvs/tools"))


@pytest.fixture(scope="session")
def mini_root() -> Path:
    """The root of a `mini` image."""
    root = os.environ.get("TCVS_TEST_MINI_ROOT")
    if not root:
        pytest.skip("TCVS_TEST_MINI_ROOT names no `mini` root")
    if os.geteuid() != 0:
        pytest.skip("needs root to run a desktop as another user")
    if shutil.which("bwrap") is None:
        pytest.skip("needs bubblewrap")
    return Path(root)


@pytest.fixture(scope="module")
def desktops(
    mini_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Desktop]]:
    """Two running desktops."""
    running: dict[str, Desktop] = {}
    try:
        for name in ("main", "explore-a"):
            running[name] = Desktop(name, mini_root, tmp_path_factory.mktemp(name))
        yield running
    finally:
        for desktop in running.values():
            desktop.stop()


@pytest.fixture(scope="module")
def viewer(
    desktops: dict[str, Desktop], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Viewer]:
    """A viewer that shows the desktops and a branch without one."""
    wayvnc, libraries = TOOLS / "usr/bin/wayvnc", TOOLS / "usr/lib/x86_64-linux-gnu"
    if not wayvnc.exists():
        pytest.skip(f"no wayvnc in {TOOLS}: `make setup` installs it")
    loader = libraries / "ld-linux-x86-64.so.2"
    argv = [str(loader), "--library-path", str(libraries), str(wayvnc)]
    directory = tmp_path_factory.mktemp("viewer") / "run"
    running = Viewer(TOOLS / "usr/share/novnc", argv, directory)
    try:
        running.start()
        running.set_branches(branches(desktops))
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go."""
    wanted = os.environ.get("TCVS_TEST_PICTURES")
    directory = Path(wanted) if wanted else tmp_path_factory.mktemp("pictures")
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless Chromium under WebDriver."""
    selenium = pytest.importorskip("selenium.webdriver", reason="needs selenium from PyPI")
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("needs Debian's chromium and chromium-driver")
    options = selenium.ChromeOptions()
    options.binary_location = browser
    for argument in (
        *("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking"),
        *("no-first-run", "disable-dev-shm-usage", "window-size=1400,900"),
        f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = selenium.ChromeService(driver)
    running = selenium.Chrome(options=options, service=service)
    try:
        yield running
    finally:
        running.quit()
