"""`tcvs view` in a real browser: two real desktops, looked at and typed into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mini_desktops import Desktop, branches, until
from viewer_page import Page

from tcvs_core.keeper.view import Viewer

pytestmark = [pytest.mark.live, pytest.mark.browser]

#: noVNC looks for an H.264 decoder and leaves a frame behind; nothing to do with the page.
KNOWN_NOISE = "A VideoFrame was garbage collected"


@pytest.fixture
def page(chromium: Any, viewer: Viewer) -> Iterator[Page]:
    page = Page(chromium, viewer.url())
    page.shown("main")
    page.shown("explore-a")
    yield page
    chromium.get("about:blank")
    viewer.attach("main")  # one failure need not be everybody's


def test_both_desktops_are_seen(page: Page, viewer: Viewer, pictures: Path) -> None:
    for name in ("main", "explore-a"):
        assert page.colours(name) > 10, "a desktop with a window, not a uniform colour"
        assert page.state(name) == "live"
        assert page.canvas(name).aria_role == "application"
        assert page.canvas(name).accessible_name == f"Desktop of {name}"
    assert page.state("old") == "stopped"
    assert page.tile("old").find_element("css selector", ".veil").text == "Stopped"
    boxes = [page.tile(name).rect for name in ("main", "explore-a")]
    assert boxes[0]["y"] == boxes[1]["y"], "side by side"
    page.driver.save_screenshot(str(pictures / "view-grid.png"))
    assert "token" not in page.driver.current_url
    names = page.driver.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert names
    assert all(name.startswith(f"http://127.0.0.1:{viewer.port}/") for name in names)


def test_text_reaches_the_desktop_that_was_clicked(
    page: Page, desktops: dict[str, Desktop], pictures: Path
) -> None:
    page.canvas("main").click()
    text = "Hello, World! {[(~|@#$%^&*+=<>?)]} äöüß é ñ €"
    page.press(f"echo '{text}' > typed\n")
    assert until(lambda: desktops["main"].read("typed")) == f"{text}\n"
    page.canvas("explore-a").click()
    page.press("echo other > typed\n")
    assert until(lambda: desktops["explore-a"].read("typed")) == "other\n"
    assert desktops["main"].read("typed") == f"{text}\n"
    page.driver.save_screenshot(str(pictures / "view-typed.png"))


def test_a_freeze_is_bridged(
    page: Page, viewer: Viewer, desktops: dict[str, Desktop], pictures: Path
) -> None:
    page.canvas("main").click()
    page.press("echo before > freeze\n")
    until(lambda: desktops["main"].read("freeze"))
    watched = desktops["main"].connections()

    viewer.detach("main")
    assert desktops["main"].connections() == watched - 1, "the compositor let go"
    until(lambda: page.state("main") == "frozen")
    until(lambda: page.tile("main").find_element("css selector", ".veil").is_displayed())
    assert page.colours("main", "last") > 10, "the last picture stays"
    assert page.state("explore-a") == "live"
    page.driver.save_screenshot(str(pictures / "view-frozen.png"))

    viewer.attach("main")
    assert desktops["main"].connections() >= watched - 1
    page.shown("main")
    assert page.state("main") == "live"
    until(lambda: not page.tile("main").find_element("css selector", ".veil").is_displayed())
    until(lambda: page.focused() == "CANVAS main")  # the keyboard came back by itself
    page.press("echo after > freeze\n")
    until(lambda: desktops["main"].read("freeze") == "after\n")


def test_many_freezes_in_a_row(page: Page, viewer: Viewer, desktops: dict[str, Desktop]) -> None:
    quiet = None
    for _ in range(10):
        viewer.detach("main")
        quiet = quiet or desktops["main"].connections()
        assert desktops["main"].connections() == quiet
        viewer.attach("main")
    page.shown("main")
    page.canvas("main").click()
    page.press("echo still > many\n")
    until(lambda: desktops["main"].read("many"))


def test_one_branch_alone_by_mouse(page: Page, pictures: Path) -> None:
    page.tile("explore-a").find_element("css selector", ".name").click()
    assert page.single() == "explore-a"
    assert not page.tile("main").is_displayed()
    assert page.focused() == "CANVAS explore-a"
    page.driver.save_screenshot(str(pictures / "view-single.png"))
    zoom = page.find("#zoom")

    def width() -> float:
        return float(page.canvas("explore-a").rect["width"])

    zoom.find_element("css selector", "option[value='1']").click()
    until(lambda: width() == 1280)
    zoom.find_element("css selector", "option[value='2']").click()
    until(lambda: width() == 2560)
    page.driver.save_screenshot(str(pictures / "view-double.png"))
    zoom.find_element("css selector", "option[value=fit]").click()
    until(lambda: width() < 1280)
    page.find("#back").click()
    assert page.single() is None
    assert page.tile("main").is_displayed()


def test_one_branch_alone_by_keyboard(page: Page, desktops: dict[str, Desktop]) -> None:
    page.shortcut("2")
    assert (page.single(), page.focused()) == ("explore-a", "CANVAS explore-a")
    # Typed while Ctrl and Alt were held, the digit must not have arrived, nor the modifiers stay.
    page.press("echo keys > switched\n")
    assert until(lambda: desktops["explore-a"].read("switched")) == "keys\n"
    page.shortcut(page.keys.PAGE_UP)
    assert (page.single(), page.focused()) == ("main", "CANVAS main")
    page.press("echo keys > switched\n")
    assert until(lambda: desktops["main"].read("switched")) == "keys\n"
    page.shortcut("0")
    assert (page.single(), page.focused()) == (None, "BUTTON main")
    page.press(page.keys.ENTER)
    assert (page.single(), page.focused()) == ("main", "CANVAS main")
    page.shortcut("0")


def test_view_only_keeps_hands_off(page: Page, desktops: dict[str, Desktop]) -> None:
    page.canvas("main").click()
    page.shortcut("v")
    assert page.find("#view-only").get_attribute("aria-pressed") == "true"
    page.canvas("main").click()
    page.press("echo no > hands\n")
    page.find("#view-only").click()
    page.canvas("main").click()
    page.press("echo yes > feet\n")
    assert until(lambda: desktops["main"].read("feet")) == "yes\n"
    assert desktops["main"].read("hands") is None


def test_the_keys_are_explained(page: Page) -> None:
    page.find("#help").click()
    dialog = page.find("#keys")
    assert dialog.is_displayed()
    assert dialog.accessible_name == "Keys"
    page.press(page.keys.ESCAPE)
    assert not dialog.is_displayed()


def test_an_address_can_choose_branches(
    chromium: Any, viewer: Viewer, desktops: dict[str, Desktop]
) -> None:
    chromium.get(viewer.url(["explore-a"]))
    until(lambda: chromium.find_elements("css selector", ".tile"))
    tiles = chromium.find_elements("css selector", ".tile")
    assert [tile.get_attribute("data-branch") for tile in tiles] == ["explore-a"]
    # A second use of the address leads nowhere.
    url = viewer.url()
    chromium.get(url)
    until(lambda: chromium.find_elements("css selector", ".tile"))
    chromium.delete_all_cookies()
    chromium.get(url)
    assert "not valid" in chromium.find_element("css selector", "h1").text


def test_branches_come_and_go(page: Page, viewer: Viewer, desktops: dict[str, Desktop]) -> None:
    listed = branches(desktops)
    viewer.set_branches([listed[0], {**listed[1], "name": "new"}])
    page.shown("new")
    assert not page.driver.find_elements("css selector", ".tile[data-branch=explore-a]")
    viewer.set_branches(listed)
    page.shown("explore-a")
    assert not page.driver.find_elements("css selector", ".tile[data-branch=new]")
    order = [
        tile.get_attribute("data-branch")
        for tile in page.driver.find_elements("css selector", ".tile")
    ]
    assert order == ["main", "explore-a", "old"]


def test_dark_and_narrow(page: Page, pictures: Path) -> None:
    page.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    try:
        page.driver.save_screenshot(str(pictures / "view-dark.png"))
        ground = page.find("body").value_of_css_property("background-color")
        assert ground == "rgba(23, 24, 26, 1)"
        page.driver.set_window_size(520, 900)
        until(lambda: page.tile("explore-a").rect["y"] > page.tile("main").rect["y"])
        width = page.driver.execute_script("return document.documentElement.scrollWidth")
        assert width <= page.driver.execute_script("return innerWidth"), "no sideways scrolling"
        page.driver.save_screenshot(str(pictures / "view-narrow.png"))
    finally:
        page.driver.set_window_size(1400, 900)
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_page_complains_of_nothing(page: Page) -> None:
    page.driver.get_log("browser")
    page.driver.refresh()
    page.shown("main")
    entries = page.driver.get_log("browser")
    messages = [entry["message"] for entry in entries if entry["level"] == "SEVERE"]
    assert [message for message in messages if KNOWN_NOISE not in message] == []


def test_ends_are_shown(
    page: Page, viewer: Viewer, desktops: dict[str, Desktop], pictures: Path
) -> None:
    desktops["explore-a"].stop()
    until(lambda: page.state("explore-a") == "stopped")
    assert page.state("main") == "live"
    assert page.colours("explore-a", "last") > 10, "the last picture stays"
    viewer.stop()
    until(lambda: page.find("#notice").is_displayed())
    assert "is lost" in page.find("#notice").text
    assert page.state("main") == "lost"
    page.driver.save_screenshot(str(pictures / "view-ended.png"))
