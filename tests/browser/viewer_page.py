"""The viewer's page in a browser, as a user handles it."""

from __future__ import annotations

from typing import Any

from mini_desktops import until

COLOURS = """
const canvas = document.querySelector(arguments[0]);
if (!canvas?.width) return 0;
const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
const pixels = new Uint32Array(data.buffer);
return pixels.some((pixel) => pixel >>> 24 === 0) ? 0 : new Set(pixels).size;
"""


class Page:
    """The viewer's page, as a user handles it."""

    def __init__(self, driver: Any, url: str) -> None:
        from selenium.webdriver.common.keys import Keys

        self.driver = driver
        self.keys = Keys
        self.driver.get(url)
        until(lambda: self.driver.find_elements("css selector", ".tile"))

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def tile(self, name: str) -> Any:
        return self.find(f".tile[data-branch='{name}']")

    def canvas(self, name: str) -> Any:
        return self.tile(name).find_element("css selector", ".live canvas")

    def colours(self, name: str, layer: str = "live") -> int:
        """Count the colours of a picture; 0 where there is none, or not all of it."""
        selector = f".tile[data-branch='{name}'] .{layer} canvas"
        return int(self.driver.execute_script(COLOURS, selector))

    def shown(self, name: str) -> None:
        """Wait until there is a whole picture of ``name``."""
        until(lambda: self.colours(name) > 1)

    def state(self, name: str) -> str:
        return str(self.tile(name).get_attribute("data-state"))

    def press(self, *keys: str) -> None:
        """Type ``keys``; modifiers hold until the last one."""
        from selenium.webdriver.common.action_chains import ActionChains

        chain = ActionChains(self.driver)
        for key in keys[:-1]:
            chain.key_down(key)
        chain.send_keys(keys[-1])
        for key in keys[:-1]:
            chain.key_up(key)
        chain.perform()

    def shortcut(self, key: str) -> None:
        self.press(self.keys.CONTROL, self.keys.ALT, key)

    def single(self) -> str | None:
        """Return the branch that is shown alone."""
        chosen = self.driver.find_elements("css selector", ".tile.chosen")
        return str(chosen[0].get_attribute("data-branch")) if chosen else None

    def focused(self) -> str:
        """Return the tag of what has the keyboard, and the branch that it belongs to."""
        script = """const e = document.activeElement;
            return e.tagName + " " + (e.closest(".tile")?.dataset.branch ?? "");"""
        return str(self.driver.execute_script(script))
