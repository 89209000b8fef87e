"""How a screen connects, lets go, and meets compositors that stop or die."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from screen_desktop import Desktop, focus, type_into_foot

from tcvs_core.live.screen import Screen
from tcvs_core.live.wayland.link import connect
from tcvs_core.live.wayland.session import Session
from tcvs_core.live.wayland.wire import Disconnected, ProtocolError, ScreenError, ScreenTimeout

pytestmark = pytest.mark.live
pytest_plugins = ("conftest_screen",)


def _descriptors(pid: int | str) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_close_leaves_nothing_on_either_side(screen: Screen, desktop: Desktop) -> None:
    screen.close()
    compositor = desktop.compositor()
    here, there, threads = _descriptors("self"), _descriptors(compositor), threading.active_count()
    for _ in range(5):
        screen.screenshot("jpeg")
        screen.clipboard_set("offered")
        screen.type_text("é")
        assert _descriptors(compositor) > there
        start = time.monotonic()
        assert screen.close(), "the compositor was not seen to let go"
        assert time.monotonic() - start < 0.5
        assert _descriptors("self") == here
        assert _descriptors(compositor) <= there
        assert threading.active_count() == threads
    assert screen.close()


def test_buttons_and_keys_are_released_by_close(screen: Screen, desktop: Desktop) -> None:
    screen.mouse_down(640, 400)
    screen.close()
    assert type_into_foot(screen, desktop, "after\n") == "after\n"


def test_a_protocol_error_has_a_name(screen: Screen, desktop: Desktop) -> None:
    session = Session(connect(desktop.socket), timeout=5, settle=0)
    manager = session.globals.bind("zwp_virtual_keyboard_manager_v1")
    seat = session.globals.bind("wl_seat")
    keyboard = manager.create("create_virtual_keyboard", seat)
    keyboard.send("key", 0, 30, 1)
    with pytest.raises(ProtocolError, match=r"zwp_virtual_keyboard_v1@\d+: no_keymap"):
        session.connection.roundtrip()
    session.close()


def test_a_connected_socket_serves_once(desktop: Desktop) -> None:
    screen = Screen(connect(desktop.socket))
    assert screen.size()[0] > 0
    screen.close()
    with pytest.raises(Disconnected, match="closed"):
        screen.size()


def test_no_compositor_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Disconnected, match="No such file"):
        Screen(tmp_path / "wayland-0").size()
    (tmp_path / "link").symlink_to("/run/elsewhere")
    with pytest.raises(Disconnected):
        Screen(tmp_path / "link").size()


def test_a_stopped_compositor_is_a_timeout(desktop: Desktop) -> None:
    compositor = desktop.compositor()
    with Screen(desktop.socket, timeout=0.5) as screen:
        screen.size()
        os.kill(compositor, signal.SIGSTOP)
        try:
            for call in (screen.screenshot, screen.windows, lambda: screen.move(5, 5)):
                start = time.monotonic()
                with pytest.raises(ScreenTimeout):
                    call()
                assert time.monotonic() - start < 3
            start = time.monotonic()
            assert not screen.close()
            assert time.monotonic() - start < 2
        finally:
            os.kill(compositor, signal.SIGCONT)
        assert screen.screenshot("jpeg")


# Last, because it restarts the programs.


def test_a_killed_compositor_is_an_error_and_a_new_one_is_found(
    screen: Screen, desktop: Desktop
) -> None:
    compositor = desktop.compositor()
    failures: list[ScreenError] = []
    threading.Timer(0.3, os.kill, (compositor, signal.SIGKILL)).start()
    start = time.monotonic()
    while not failures and time.monotonic() - start < 5:
        try:
            screen.screenshot("raw")
        except ScreenError as error:
            failures.append(error)
    assert failures, "the loss was not noticed"
    assert time.monotonic() - start < 2
    end = time.monotonic() + 20
    while True:
        try:
            screen.screenshot("raw")
            break
        except Disconnected:
            assert time.monotonic() < end, "no new compositor"
            time.sleep(0.05)
    focus(screen, "mousepad")  # it starts last and takes the focus then
    focus(screen, "foot")
    screen.wait_stable()
    assert type_into_foot(screen, desktop, "again\n") == "again\n"


def test_a_function_may_connect(desktop: Desktop) -> None:
    made: list[socket.socket] = []

    def source() -> socket.socket:
        made.append(connect(desktop.socket))
        return made[-1]

    with Screen(source) as screen:
        screen.size()
        screen.close()
        screen.size()
    assert len(made) == 2
