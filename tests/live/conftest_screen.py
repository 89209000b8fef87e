"""A real desktop (labwc, foot, mousepad) from the ``mini`` image, without the rest of tcvs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from screen_desktop import Desktop, focus

from tcvs_core.live.screen import Screen

_SESSION = """
dbus-daemon --session --nofork --address=unix:path=/run/user/1000/bus &
while :; do labwc -s 'sh -c "foot & exec mousepad note.txt"'; sleep 0.1; done
"""


@pytest.fixture(scope="session")
def mini_root() -> Path:
    """The root of an unpacked ``mini`` image; it is not written to."""
    root = os.environ.get("TCVS_TEST_MINI_ROOT")
    if not root or not Path(root).is_dir():
        pytest.skip("TCVS_TEST_MINI_ROOT does not name the root directory of a mini image")
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    if os.geteuid() != 0:
        pytest.skip("starting a desktop needs root")
    return Path(root)


@pytest.fixture(scope="module")
def desktop(mini_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    """A desktop of its own with an empty home; foot and mousepad are open."""
    base = tmp_path_factory.mktemp("desktop")
    home, run, passwd = base / "home", base / "run", base / "passwd"
    for path in (home, run):
        path.mkdir(mode=0o700)
        os.chown(path, 1000, 1000)
    passwd.write_text("root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/bash\n")
    (home / "note.txt").write_text("")
    os.chown(home / "note.txt", 1000, 1000)
    setting = {
        "HOME": "/home/user",
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "XDG_RUNTIME_DIR": "/run/user/1000",
        "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/1000/bus",
        "WLR_BACKENDS": "headless",
        "WLR_RENDERER": "pixman",
        "WLR_LIBINPUT_NO_DEVICES": "1",
        "GSETTINGS_BACKEND": "keyfile",
        "PS1": "$ ",
    }
    command = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    command += ["--ro-bind", str(mini_root), "/", "--proc", "/proc", "--dev", "/dev"]
    command += ["--perms", "1777", "--tmpfs", "/dev/shm", "--perms", "1777", "--tmpfs", "/tmp"]
    # Parents that bwrap makes on its own are for root only.
    command += ["--tmpfs", "/home", "--perms", "0755", "--dir", "/home/user"]
    command += ["--tmpfs", "/run", "--perms", "0755", "--dir", "/run/user"]
    command += ["--bind", str(home), "/home/user", "--bind", str(run), "/run/user/1000"]
    command += ["--ro-bind", str(passwd), "/etc/passwd"]
    command += ["--die-with-parent", "--clearenv", "--chdir", "/home/user"]
    for name, value in setting.items():
        command += ["--setenv", name, value]
    command += ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"]
    command += ["sh", "-c", _SESSION]
    with (base / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        started = Desktop(process, home, run / "wayland-0")
        end = time.monotonic() + 20
        while not started.socket.exists():
            assert process.poll() is None, (base / "log").read_text()
            assert time.monotonic() < end, "no compositor within 20 s"
            time.sleep(0.05)
        yield started
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


@pytest.fixture
def screen(desktop: Desktop) -> Iterator[Screen]:
    """The screen of the desktop, its two programs started and idle."""
    with Screen(desktop.socket) as screen:
        focus(screen, "mousepad")
        focus(screen, "foot")
        screen.wait_stable(5)
        yield screen
