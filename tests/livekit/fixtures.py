"""The repository of real desktops that live and contract tests share, made when first needed.

``TCVS_TEST_MINI_ROOT`` names the root directory or a tar archive of a ``mini`` system; without it
one is built, which takes a minute and needs a Debian mirror.  Tests skip, saying why, where
desktops cannot run: without root, without CRIU.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from livekit.world import IMAGE, World
from tcvs_core.errors import TcvsError

POOL = 24 << 30


def _lacking() -> str | None:
    """Return why real desktops cannot run here, or None."""
    if os.geteuid() != 0:
        return "real desktops need root"
    if shutil.which("mkfs.btrfs") is None:
        return "mkfs.btrfs is not installed"
    try:
        from tcvs_core.live.tools import PREFIX, Tools
    except ImportError as error:
        return f"no tools: {error}"
    try:
        command = Tools(PREFIX).criu()
        done = subprocess.run([*command, "--version"], capture_output=True, check=False)
    except (TcvsError, OSError) as error:
        return f"no CRIU: {error}"
    return None if done.returncode == 0 else f"CRIU does not run: {done.stderr.decode()}"


def lay_image(world: World) -> None:
    """Give ``world`` the image ``mini``."""
    source = os.environ.get("TCVS_TEST_MINI_ROOT")
    if source:
        world.call("image_import", source=source, name=IMAGE)
    else:
        world.call("image_build", recipe="mini", name=IMAGE)


@pytest.fixture(scope="session")
def live_machine() -> None:
    """Skip unless real desktops can run on this machine."""
    reason = _lacking()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def whole_world(live_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A repository with the image ``mini`` and a stopped branch ``park``, which is current."""
    made = World(tmp_path_factory.mktemp("world") / "repo", POOL)
    try:
        lay_image(made)
        made.call("up", branch="park", image=IMAGE, screen="64x64")
        made.call("down", branch="park", commit=False)
        yield made
    finally:
        made.remove()


@pytest.fixture
def world(whole_world: World) -> Iterator[World]:
    """The shared repository; what a test makes in it is gone afterwards."""
    whole_world.disarm()
    before = set(whole_world.branches())
    yield whole_world
    whole_world.disarm()
    made = sorted(set(whole_world.branches()) - before)
    if whole_world.current() in made:
        whole_world.call("checkout", target="park")
        whole_world.call("down", branch="park", commit=False)
    whole_world.drop(*made)
