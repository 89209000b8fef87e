"""`mini` desktops for the browser tests, run by bubblewrap."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

USER = 1000
DESKTOP = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/home/user",
    "LANG": "C.UTF-8",
    "XDG_RUNTIME_DIR": f"/run/user/{USER}",
    "WLR_BACKENDS": "headless",
    "WLR_RENDERER": "pixman",
    "WLR_LIBINPUT_NO_DEVICES": "1",
}


def until(condition: Callable[[], Any], timeout: float = 10.0) -> Any:
    """Wait at most ``timeout`` seconds for ``condition`` and return what is true of it."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.02)
    return value


class Desktop:
    """labwc with a terminal on a read-only root, in namespaces of its own."""

    def __init__(self, name: str, root: Path, directory: Path) -> None:
        self.name = name
        for part in ("home", "runtime"):
            (directory / part).mkdir(mode=0o700, parents=True)
            os.chown(directory / part, USER, USER)
        heard, told = os.pipe()
        arguments = [
            *("bwrap", "--die-with-parent", "--unshare-pid", "--unshare-net", "--unshare-ipc"),
            *("--unshare-uts", "--ro-bind", str(root), "/", "--proc", "/proc", "--dev", "/dev"),
            *("--perms", "1777", "--tmpfs", "/dev/shm", "--perms", "1777", "--tmpfs", "/tmp"),
            *("--tmpfs", "/run", "--perms", "0755", "--dir", "/run/user", "--tmpfs", "/home"),
            *("--bind", str(directory / "home")),
            *("/home/user", "--bind", str(directory / "runtime"), f"/run/user/{USER}"),
            *("--chdir", "/home/user", "--info-fd", str(told), "--clearenv"),
            *(word for pair in DESKTOP.items() for word in ("--setenv", *pair)),
            *("--", "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"),
            *("labwc", "-s", "foot"),
        ]
        with open(directory / "log", "wb") as log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log, pass_fds=[told])
        os.close(told)
        try:
            with os.fdopen(heard, "rb") as pipe:
                assert select.select([pipe], [], [], 10)[0], (directory / "log").read_text()
                self.pid = int(json.loads(pipe.read())["child-pid"])
            self.socket = Path(f"/proc/{self.pid}/root/run/user/{USER}/wayland-0")
            until(self.socket.exists)
        except BaseException:
            self.stop()
            raise

    def read(self, path: str) -> str | None:
        """Return what is in a file of the user's home, None where there is no such file yet."""
        try:
            return Path(f"/proc/{self.pid}/root/home/user", path).read_text() or None
        except FileNotFoundError:
            return None

    def connections(self) -> int:
        """Count the sockets that the compositor has open; it has two descriptors for a client."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        pids = [str(self.pid), *children]
        labwc = [pid for pid in pids if Path(f"/proc/{pid}/comm").read_text() == "labwc\n"]
        links = {os.readlink(link) for link in Path(f"/proc/{labwc[0]}/fd").iterdir()}
        return sum(link.startswith("socket:") for link in links)

    def stop(self) -> None:
        self._process.kill()  # the whole of its pid namespace dies with it
        self._process.wait()


def branches(desktops: dict[str, Desktop]) -> list[dict[str, Any]]:
    """Return the desktops as the viewer wants them, and one stopped branch."""
    live = [
        {"name": d.name, "socket": d.socket, "current": d.name == "main", "screen": (1280, 720)}
        for d in desktops.values()
    ]
    return [*live, {"name": "old", "socket": None, "current": False, "screen": (1280, 720)}]
