"""Connecting to compositors and letting go of them, with a socket in a compositor's place."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from view_peers import FAIL, HOLD, Compositor, until

from tcvs_core.keeper.view import CompositorUnreachable, DetachFailed, VncFailed, VncServer
from tcvs_core.live.compositor import connect


@pytest.fixture
def compositor(tmp_path: Path) -> Iterator[Compositor]:
    server = Compositor(tmp_path / "wayland-0")
    yield server
    server.close()


@pytest.fixture
def vnc(tmp_path: Path) -> Iterator[VncServer]:
    server = VncServer(HOLD, tmp_path, "main")
    yield server
    server.stop()


def test_attach_and_detach(vnc: VncServer, compositor: Compositor) -> None:
    vnc.start(connect(compositor.path))
    until(lambda: compositor.clients == 1)
    pid = vnc.pid
    assert pid is not None
    held = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert sum(link.startswith("socket:") for link in held) == 2, "the connection, the listener"

    assert vnc.detach() < 1000
    until(lambda: compositor.clients == 0, 0.2)
    assert (vnc.pid, vnc.attached) == (None, False)
    assert vnc.detach() == 0.0

    vnc.attach(connect(compositor.path))
    until(lambda: compositor.clients == 1)
    assert vnc.pid not in (None, pid)
    assert not Path(f"/proc/{pid}").exists(), "the first process was waited for"


def test_attaching_again_lets_go_first(vnc: VncServer, compositor: Compositor) -> None:
    vnc.start(connect(compositor.path))
    vnc.attach(connect(compositor.path))
    until(lambda: compositor.clients == 1)


def test_a_browser_waits_while_wayvnc_is_away(vnc: VncServer, compositor: Compositor) -> None:
    vnc.start(connect(compositor.path))
    vnc.detach()
    with socket.socket(socket.AF_UNIX) as browser:
        browser.connect(str(vnc.address))  # the backlog takes it
    assert vnc.address.stat().st_mode & 0o777 == 0o600


def test_a_compositor_that_hangs_is_named(vnc: VncServer, compositor: Compositor) -> None:
    vnc.start(connect(compositor.path))
    until(lambda: compositor.clients == 1)
    pid = vnc.pid
    compositor.alive.clear()
    with pytest.raises(DetachFailed, match="did not drop") as caught:
        vnc.detach(timeout_ms=50)
    assert caught.value.subject == "main"
    assert not vnc.attached
    until(lambda: _ended(pid))


def test_a_connection_that_was_never_accepted_is_not_gone(tmp_path: Path, vnc: VncServer) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "stuck"))
        listener.listen(1)
        vnc.start(connect(tmp_path / "stuck"))
        with pytest.raises(DetachFailed):
            vnc.detach(timeout_ms=50)


def test_wayvnc_that_died_is_no_obstacle(tmp_path: Path, compositor: Compositor) -> None:
    server = VncServer(FAIL, tmp_path, "main")
    server.start(connect(compositor.path))
    until(lambda: _ended(server.pid))
    assert server.attached
    assert not server.compositor_gone
    server.detach()
    until(lambda: compositor.clients == 0, 0.2)
    server.stop()


def test_the_end_of_the_desktop_is_seen(vnc: VncServer, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "w"))
        listener.listen(1)
        vnc.start(connect(tmp_path / "w"))
        client, _ = listener.accept()
    assert not vnc.compositor_gone
    client.close()
    assert vnc.compositor_gone
    assert vnc.detach() < 1000


def test_wayvnc_that_is_missing_is_named(tmp_path: Path, compositor: Compositor) -> None:
    server = VncServer([str(tmp_path / "wayvnc")], tmp_path)
    with pytest.raises(VncFailed, match="cannot run") as caught:
        server.start(connect(compositor.path))
    assert "make setup" in (caught.value.hint or "")
    until(lambda: compositor.clients == 0)
    server.stop()
    assert not server.address.exists()


def test_attach_before_start_is_refused(tmp_path: Path, compositor: Compositor) -> None:
    with pytest.raises(VncFailed, match="not started"):
        VncServer(HOLD, tmp_path).attach(connect(compositor.path))
    until(lambda: compositor.clients == 0)


def test_links_are_not_followed(tmp_path: Path, compositor: Compositor) -> None:
    (tmp_path / "link").symlink_to(compositor.path)
    with pytest.raises(CompositorUnreachable):
        connect(tmp_path / "link")


def test_links_inside_a_container_are_not_followed(tmp_path: Path, compositor: Compositor) -> None:
    # This process stands for pid 1: its root is the host's, links in it must not lead anywhere.
    root = Path(f"/proc/{os.getpid()}/root")
    connect(root / compositor.path.relative_to("/")).close()
    (tmp_path / "socket").symlink_to(compositor.path)
    (tmp_path / "directory").symlink_to(tmp_path)
    for bad in ("socket", "directory/wayland-0", "../" + tmp_path.name + "/wayland-0", "missing"):
        with pytest.raises(CompositorUnreachable):
            connect(root / (tmp_path / bad).relative_to("/"))


def test_a_file_is_no_socket(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CompositorUnreachable, match="not a socket"):
        connect(tmp_path / "file")


def test_a_full_backlog_is_an_error_at_once(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "busy"))
        listener.listen(0)
        with connect(tmp_path / "busy"), pytest.raises(CompositorUnreachable):
            connect(tmp_path / "busy")


def _ended(pid: int | None) -> bool:
    """Say whether the process has ended, be it waited for or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
