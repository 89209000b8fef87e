"""`tcvs view` on real branches: forked while somebody looks, and used through the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from livekit.world import World
from mini_desktops import until
from viewer_page import Page

pytestmark = [pytest.mark.live, pytest.mark.browser]


def test_a_branch_is_forked_under_the_eyes_of_a_viewer(
    world: World, chromium: Any, pictures: Path
) -> None:
    source = world.boot(victim=False)
    world.open_notepad(source)
    page = Page(chromium, world.call("view_start")["url"])
    page.shown(source)
    page.canvas(source).click()
    page.press("typed before the fork\n")
    until(lambda: world.typed(source) == "typed before the fork\n")

    (branch,) = world.fork(source)
    page.shown(branch)
    until(lambda: page.state(source) == "live")
    page.canvas(branch).click()
    page.press("only in the branch\n")
    until(lambda: world.typed(branch) == "typed before the fork\nonly in the branch\n")
    page.canvas(source).click()
    page.press("only in the source\n")
    until(lambda: world.typed(source) == "typed before the fork\nonly in the source\n")
    assert world.typed(branch) == "typed before the fork\nonly in the branch\n"
    page.driver.save_screenshot(str(pictures / "view-branches.png"))

    world.call("down", branch=branch)
    until(lambda: page.state(branch) == "stopped")
    world.call("view_stop")
