"""One running branch as the demo uses it: its files, its screen, its windows."""

from __future__ import annotations

import io
import os
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from tcvs.demo.claims import NotSo
from tcvs_core.keeper.client import Keeper


class Desktop:
    """The running desktop of ``branch``.  Methods raise RemoteError, and NotSo when waits end."""

    def __init__(self, keeper: Keeper, branch: str) -> None:
        self.keeper = keeper
        self.branch = branch

    # -- programs and files

    def run(self, *argv: str, stdin: bytes = b"") -> bytes:
        """Run a program inside to its end; return what it printed.  Raises NotSo if it fails."""
        inner, feed = os.pipe()
        collect, out = os.pipe()
        null = os.open(os.devnull, os.O_WRONLY)
        printed: list[bytes] = []

        def read() -> None:
            with os.fdopen(collect, "rb") as file:
                printed.append(file.read())

        def write() -> None:
            with os.fdopen(feed, "wb") as file:
                file.write(stdin)

        threads = [threading.Thread(target=target) for target in (read, write)]
        for thread in threads:
            thread.start()
        try:
            result = self.keeper.call(
                "exec", branch=self.branch, argv=list(argv), fds=(inner, out, null)
            )
        finally:
            for fd in (inner, out, null):
                os.close(fd)
            for thread in threads:
                thread.join()
        if result["exit_status"]:
            raise NotSo(f"`{shlex.join(argv)}` in {self.branch} ended with {result['exit_status']}")
        return printed[0]

    def start(self, *argv: str) -> None:
        """Start a program that belongs to the desktop and goes on."""
        self.keeper.call("exec", branch=self.branch, argv=list(argv), detach=True)

    def read(self, path: str) -> bytes:
        """Return the contents of a file inside, empty where there is none."""
        return self.run("sh", "-c", '[ ! -e "$1" ] || cat "$1"', "sh", path)

    def write(self, path: str, data: bytes) -> None:
        """Write a file inside, as its user, making its directory."""
        script = 'mkdir -p "${1%/*}" && cat >"$1"'
        self.run("sh", "-c", script, "sh", path, stdin=data)

    def reload_compositor(self) -> None:
        """Make the compositor read its configuration again."""
        status = self.keeper.call("status", branch=self.branch)
        for process in status["processes"]:
            if process["name"] == "labwc":
                self.run("kill", "-HUP", str(process["pid"]))

    def programs(self, names: Sequence[str]) -> dict[str, int]:
        """Return those of ``names`` that run, with the pid of each one's first process inside."""
        status = self.keeper.call("status", branch=self.branch)
        found: dict[str, int] = {}
        for process in status["processes"]:
            name, pid = process["name"], process["pid"]
            if name in names:
                found[name] = min(pid, found.get(name, pid))
        return found

    # -- eyes and hands

    def act(self, *actions: dict[str, Any]) -> list[dict[str, Any]]:
        """Do something with mouse and keyboard, in tcvs's own dialect of actions."""
        result = self.keeper.call("input", branch=self.branch, actions=list(actions))
        results: list[dict[str, Any]] = result["results"]
        return results

    def settle(self, timeout: float = 10.0) -> bool:
        """Wait until nothing moves on the screen any more; tell whether that came true."""
        (result,) = self.act({"do": "wait_stable", "timeout": timeout, "quiet": 0.3})
        return bool(result["stable"])

    def png(self) -> bytes:
        """Return the screen as PNG."""
        data: bytes = self.keeper.call("screenshot", branch=self.branch)["data"]
        return data

    def picture(self) -> Image.Image:
        """Return the screen as a picture."""
        return Image.open(io.BytesIO(self.png())).convert("RGB")

    def titles(self) -> list[str]:
        """Return the titles of the windows, sorted."""
        windows = self.keeper.call("windows", branch=self.branch)
        return sorted(window["title"] for window in windows)

    def has_window(self, title: str) -> bool:
        """Tell whether a window has ``title`` within its title."""
        return any(title in known for known in self.titles())

    def wait_window(self, title: str, timeout: float = 60.0) -> None:
        """Wait for a window with ``title`` within its title.  Raises NotSo."""
        self.wait(lambda: self.has_window(title), f"shows a window {title!r}", timeout)

    def wait_text(self, path: str, text: str, decode: Callable[[bytes], str]) -> None:
        """Wait until the file ``path`` holds ``text``.  Raises NotSo."""
        self.wait(lambda: text in decode(self.read(path)), f"has {text!r} in {path}", 20.0)

    def wait(self, condition: Callable[[], bool], claim: str, timeout: float) -> None:
        """Wait until ``condition`` holds.  Raises NotSo with ``claim``, what the branch should."""
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise NotSo(f"after {timeout:g} s it is not so that {self.branch} {claim}")
            time.sleep(0.1)
