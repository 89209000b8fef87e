"""Programs run inside a desktop, its processes, its log, and what a capture makes of them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from livekit import leftovers
from livekit.inside import until
from livekit.world import World

from tcvs_core.errors import RemoteError
from tcvs_core.keeper import wire
from tcvs_core.keeper.client import Keeper

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def branch(whole_world: World) -> Any:
    """A desktop that the tests of this module share."""
    name = whole_world.boot()
    yield name
    whole_world.drop(name)


def _sleeps(world: World, branch: str) -> int:
    return sum(name == "sleep" for _pid, _parent, name in world.tree(branch))


@pytest.mark.parametrize(
    ("script", "status", "output"),
    [
        ("exit 0", 0, ""),
        ("exit 7", 7, ""),
        ("kill -TERM $$", 128 + signal.SIGTERM, ""),
        ("echo out; echo err >&2", 0, "out\nerr\n"),
        ("id -u; id -g; pwd; echo $HOME", 0, "1000\n1000\n/home/user\n/home/user\n"),
        ("echo $WAYLAND_DISPLAY $TCVS_BRANCH", 0, "wayland-0 {branch}\n"),
        ("grep -c . /proc/self/cgroup; cat /proc/self/cgroup | tail -1", 0, None),
    ],
)
def test_status_and_output_are_the_programs(
    whole_world: World, branch: str, script: str, status: int, output: str | None
) -> None:
    ran = whole_world.run(branch, "sh", "-c", script)
    assert ran.status == status
    if output is not None:
        assert ran.output == output.format(branch=branch)


def test_what_cannot_be_run(whole_world: World, branch: str) -> None:
    missing = whole_world.run(branch, "no-such-program")
    assert missing.status == 127 and "no-such-program: not found" in missing.output
    denied = whole_world.run(branch, "/etc/passwd")
    assert denied.status == 126 and "Permission denied" in denied.output
    for params in ({"argv": []}, {"argv": ["true"], "user": "nobody"}):
        with pytest.raises(RemoteError) as caught:
            whole_world.call("exec", branch=branch, **params)
        assert caught.value.exit_status == 2
    with pytest.raises(RemoteError, match="there is no branch 'nope'"):
        whole_world.call("exec", branch="nope", argv=["true"])


def test_root_inside_is_not_root_outside(whole_world: World, branch: str) -> None:
    ran = whole_world.run(branch, "sh", "-c", "id -u; mount -t tmpfs x /mnt; echo $?", user="root")
    lines = ran.output.splitlines()
    assert lines[0] == "0" and lines[-1] != "0"
    for script in (
        "mknod /tmp/sda b 8 0",
        "unshare -m true",
        "unshare -U true",
        "date -s 2001-01-01",
        "hostname elsewhere",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "echo c > /proc/sysrq-trigger",
    ):
        assert whole_world.run(branch, "sh", "-c", script, user="root").status != 0, script
    assert whole_world.run(branch, "sh", "-c", "chown 5:5 /tmp/mine", user="root").status != 0
    assert whole_world.run(branch, "touch", "/etc/as-root", user="root").status == 0
    assert whole_world.run(branch, "touch", "/etc/as-user").status != 0


def test_directory_and_environment_are_as_asked(whole_world: World, branch: str) -> None:
    ran = whole_world.run(branch, "sh", "-c", "pwd; echo $COLOUR", cwd="/tmp", env={"COLOUR": "x"})
    assert ran.output == "/tmp\nx\n"


def test_a_program_reads_what_it_is_given(whole_world: World, branch: str) -> None:
    given, taken = os.pipe(), os.pipe()
    os.write(given[1], b"some text\n")
    os.close(given[1])
    done = whole_world.call("exec", branch=branch, argv=["cat"], fds=(given[0], taken[1], taken[1]))
    os.close(given[0])
    os.close(taken[1])
    with os.fdopen(taken[0], "rb") as output:
        assert (done["exit_status"], output.read()) == (0, b"some text\n")


def test_a_terminal_of_its_own(whole_world: World, branch: str) -> None:
    masters: list[int] = []
    done = Keeper.connect(whole_world.path).call(
        "exec",
        on_event=lambda _event, fds: masters.extend(fds),
        branch=branch,
        argv=["sh", "-c", "tty; stty size; test -t 0 && test -t 2 && exit 3"],
        tty=True,
        size=[91, 31],
    )
    (master,) = masters
    text = b""
    try:
        while data := os.read(master, 4096):
            text += data
    except OSError:  # how a terminal says that its other side has been closed
        pass
    finally:
        os.close(master)
    lines = text.decode().split()
    assert lines[0].startswith("/dev/pts/") and lines[1:3] == ["31", "91"]
    assert done["exit_status"] == 3


def test_signals_reach_the_program(whole_world: World, branch: str) -> None:
    script = "trap 'exit 9' INT; echo ready > /home/user/ready; while :; do sleep 0.01; done"
    ready = whole_world.files(branch) / "home/user/ready"

    def interrupt(sock: socket.socket) -> None:
        def later() -> None:
            until(ready.exists, what="the trap")
            wire.send(sock, {"signal": int(signal.SIGINT)})

        threading.Thread(target=later).start()

    done = Keeper.connect(whole_world.path).call(
        "exec", signals=interrupt, branch=branch, argv=["sh", "-c", script]
    )
    assert done["exit_status"] == 9


def test_a_program_ends_with_its_client(whole_world: World, branch: str) -> None:
    before = _sleeps(whole_world, branch)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(f"/run/tcvs/{whole_world.id}/keeper.sock")
        params = {"branch": branch, "argv": ["sleep", "1000"]}
        wire.send(sock, {"v": wire.VERSION, "method": "exec", "params": params})
        until(lambda: _sleeps(whole_world, branch) == before + 1, what="the program")
    until(lambda: _sleeps(whole_world, branch) == before, what="its end")


def test_a_detached_program_belongs_to_the_desktop(world: World) -> None:
    source = world.boot()
    begin = time.monotonic()
    pid = world.call("exec", branch=source, argv=["sleep", "1000"], detach=True)["pid"]
    assert time.monotonic() - begin < 5
    assert (pid, 1, "sleep") in world.tree(source)
    world.call("exec", branch=source, argv=["sh", "-c", "echo said; echo so >&2"], detach=True)
    log = world.files(source) / "var/log/tcvs/exec.log"
    until(lambda: log.exists() and log.read_text() == "said\nso\n", what="its output")
    (branch,) = world.fork(source)
    assert (pid, 1, "sleep") in world.tree(branch)


def test_processes_are_those_of_the_desktop_and_no_others(world: World) -> None:
    branch = world.boot()
    row = world.row(branch)
    inside = world.tree(branch)
    assert (1, 0, "catatonit") in inside and row["processes"] == len(inside)
    assert {"labwc", "dbus-daemon", "python3"} <= {name for _pid, _parent, name in inside}
    assert row["state"] == "running" and row["memory"] > 1 << 20 and 0 < row["age"] < 600
    assert row["screen"] == [640, 480] and row["engine"] == "criu"
    threads = [threading.Thread(target=world.run, args=(branch, "sleep", "2")) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: _sleeps(world, branch) == 2, what="both programs")
    assert len(world.tree(branch)) == len(inside) + 2
    assert len(leftovers.members(world.id)[branch]) == len(inside) + 2
    for thread in threads:
        thread.join()


def test_logs(world: World) -> None:
    branch = world.boot(victim=False)
    path = world.files(branch) / "var/log/tcvs/session.log"
    until(lambda: "session: starting" in path.read_text(), what="the log")
    lines: list[str] = []
    keeper = Keeper.connect(world.path)
    keeper.call("logs", on_event=lambda e, _f: lines.append(e["line"]), branch=branch, lines=1000)
    assert "session: starting, screen 640x480" in lines
    last: list[str] = []
    keeper.call("logs", on_event=lambda e, _f: last.append(e["line"]), branch=branch, lines=1)
    assert last == lines[-1:]
    # Following ends when the client goes.
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(f"/run/tcvs/{world.id}/keeper.sock")
        params = {"branch": branch, "lines": 0, "follow": True}
        wire.send(sock, {"v": wire.VERSION, "method": "logs", "params": params})
        time.sleep(0.2)
        with path.open("a") as log:
            log.write("a new line\n")
        frame = wire.receive(sock)
        assert frame is not None and frame[0] == {"event": "line", "line": "a new line"}


def test_a_log_that_leads_out_of_the_desktop_is_none(world: World, tmp_path: Path) -> None:
    branch = world.boot(victim=False)
    outside = tmp_path / "session.log"
    outside.write_text("of the host\n")
    place = world.files(branch) / "var/log/tcvs"
    place.rename(place.with_name("moved"))
    place.symlink_to(tmp_path)
    lines: list[Any] = []
    keeper = Keeper.connect(world.path)
    keeper.call("logs", on_event=lambda e, _f: lines.append(e), branch=branch)
    place.unlink()
    place.mkdir()
    os.mkfifo(place / "session.log")
    keeper.call("logs", on_event=lambda e, _f: lines.append(e), branch=branch)
    assert lines == []


def test_a_desktop_that_ends_by_itself_is_noticed(world: World) -> None:
    branch = world.boot()
    time.sleep(max(0.0, 5.2 - world.row(branch)["age"]))  # until it has settled
    assert world.run(branch, "sh", "-c", "kill -9 -1").status in (0, 137)
    until(lambda: world.row(branch)["state"] == "stopped", what="its end")
    notices = world.call("status", branch=branch)["notices"]
    assert any(f"desktop of {branch} ended by itself" in n for n in notices)
    assert world.call("up", branch=branch)["how"] == "booted"


def test_a_peer_that_breaks_the_protocol_harms_nobody(world: World) -> None:
    for junk in (b"", b"\0\0", b"\xff" * 64, struct.pack(">I", 3) + b"abc", b"\0\0\0\1\xf6"):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(f"/run/tcvs/{world.id}/keeper.sock")
            sock.sendall(junk)
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(5)
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(1) == b""
    for method, params in (("nope", {}), ("ps", {"more": 1}), ("commit", {})):
        with pytest.raises(RemoteError) as caught:
            world.call(method, **params)
        assert caught.value.exit_status == 2
