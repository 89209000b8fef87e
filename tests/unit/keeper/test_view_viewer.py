"""The viewer as the keeper uses it: the view process is real, wayvnc is a process that waits."""

from __future__ import annotations

import http.client
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from view_peers import FAIL, HOLD, Compositor, until

from tcvs_core.errors import RemoteError
from tcvs_core.keeper.view import CompositorUnreachable, Viewer, ViewerFailed

ROOT = Path(__file__).parents[3]


@pytest.fixture
def novnc(tmp_path: Path) -> Path:
    root = tmp_path / "novnc"
    (root / "core").mkdir(parents=True)
    (root / "core/rfb.js").write_text("export default 1;")
    return root


@pytest.fixture
def make(novnc: Path, tmp_path: Path) -> Iterator[Callable[..., Viewer]]:
    made: list[Viewer] = []

    def build(argv: list[str] = HOLD) -> Viewer:
        made.append(Viewer(novnc, argv, tmp_path / "run", uid=os.geteuid() or 65534))
        return made[-1]

    yield build
    for viewer in made:
        viewer.stop()


@pytest.fixture
def compositors(tmp_path: Path) -> Iterator[list[Compositor]]:
    servers = [Compositor(tmp_path / f"wayland-{i}") for i in range(2)]
    yield servers
    for server in servers:
        server.close()


def branch(name: str, path: Path | None, *, current: bool = False) -> dict[str, Any]:
    return {"name": name, "socket": path, "current": current, "screen": (640, 480)}


class Browser:
    """A client with a session."""

    def __init__(self, viewer: Viewer) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=10)
        status, cookie, _ = self.get(viewer.url().removeprefix(f"http://127.0.0.1:{viewer.port}"))
        assert status == 200
        self._cookie = cookie.split(";")[0]

    def get(self, path: str) -> tuple[int, str, str]:
        headers = {"Cookie": self._cookie} if hasattr(self, "_cookie") else {}
        self._connection.request("GET", path, headers=headers)
        answer = self._connection.getresponse()
        return answer.status, answer.headers.get("Set-Cookie", ""), answer.read().decode()

    def states(self) -> dict[str, str]:
        listed = json.loads(self.get("/api/branches")[2])["branches"]
        return {entry["name"]: entry["state"] for entry in listed}


def test_the_life_of_a_viewer(
    make: Callable[..., Viewer], compositors: list[Compositor], tmp_path: Path
) -> None:
    viewer = make()
    assert (viewer.running, viewer.port) == (False, 0)
    viewer.set_branches([branch("main", compositors[0].path)])  # not started: nothing happens
    assert viewer.detach("main") == 0.0
    viewer.attach("main", compositors[0].path)
    with pytest.raises(ViewerFailed):
        viewer.url()

    port, token = viewer.start()
    assert viewer.start()[0] == viewer.port == port
    assert viewer.running
    assert token not in viewer.url(), "every address has a token of its own"
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
    browser = Browser(viewer)
    assert browser.states() == {}

    viewer.set_branches([branch("main", compositors[0].path, current=True), branch("off", None)])
    assert browser.states() == {"main": "live", "off": "stopped"}
    until(lambda: compositors[0].clients == 1)

    viewer.detach("main")
    until(lambda: compositors[0].clients == 0, 0.2)
    assert browser.states()["main"] == "frozen"
    viewer.set_branches([branch("main", compositors[0].path), branch("a", compositors[1].path)])
    assert browser.states() == {"main": "frozen", "a": "live"}, "frozen stays frozen"
    assert compositors[0].clients == 0
    viewer.attach("main")
    assert browser.states()["main"] == "live"

    viewer.detach("main")
    viewer.attach("main", compositors[1].path)  # rolled back: another compositor
    until(lambda: (compositors[0].clients, compositors[1].clients) == (0, 2))
    viewer.set_branches([branch("a", compositors[1].path)])
    until(lambda: compositors[1].clients == 1)
    assert browser.states() == {"a": "live"}
    assert viewer.detach("main") == 0.0

    viewer.stop()
    viewer.stop()
    assert not viewer.running
    until(lambda: compositors[1].clients == 0)
    with pytest.raises(OSError, match=r".+"):
        browser.states()


def test_it_can_be_started_again(
    make: Callable[..., Viewer], compositors: list[Compositor]
) -> None:
    viewer = make()
    for _ in range(2):
        viewer.start()
        viewer.set_branches([branch("main", compositors[0].path)])
        assert Browser(viewer).states() == {"main": "live"}
        viewer.stop()


def test_a_branch_that_cannot_be_reached_is_no_error(
    make: Callable[..., Viewer], tmp_path: Path
) -> None:
    viewer = make()
    viewer.start()
    viewer.set_branches([branch("main", tmp_path / "missing")])
    assert Browser(viewer).states() == {"main": "stopped"}
    with pytest.raises(CompositorUnreachable):
        viewer.attach("main", tmp_path / "missing")
    late = Compositor(tmp_path / "missing")
    try:
        viewer.set_branches([branch("main", late.path)])
        assert Browser(viewer).states() == {"main": "live"}
    finally:
        late.close()


def test_a_compositor_that_hangs_is_reported(
    make: Callable[..., Viewer], compositors: list[Compositor]
) -> None:
    viewer = make()
    viewer.start()
    viewer.set_branches([branch("main", compositors[0].path)])
    until(lambda: compositors[0].clients == 1)
    compositors[0].alive.clear()
    with pytest.raises(RemoteError) as caught:
        viewer.detach("main")
    assert caught.value.code == "viewer-detach"
    assert viewer.running


def test_wayvnc_is_started_again_when_it_dies(
    make: Callable[..., Viewer], compositors: list[Compositor]
) -> None:
    viewer = make()
    viewer.start()
    viewer.set_branches([branch("main", compositors[0].path)])
    browser = Browser(viewer)
    first = _children(viewer)
    assert len(first) == 1
    os.kill(first[0], signal.SIGKILL)
    until(lambda: _children(viewer) not in ([], first))
    until(lambda: browser.states() == {"main": "live"})
    until(lambda: compositors[0].clients == 1)


def test_wayvnc_that_always_dies_is_given_up(
    make: Callable[..., Viewer], compositors: list[Compositor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tcvs_core.keeper.view.viewer.RETRIES", 2)
    viewer = make(FAIL)
    viewer.start()
    viewer.set_branches([branch("main", compositors[0].path)])
    browser = Browser(viewer)
    time.sleep(1.0)
    assert browser.states() == {"main": "lost"}
    assert compositors[0].clients == 0


def test_a_frozen_branch_is_left_alone_when_wayvnc_dies(
    make: Callable[..., Viewer], compositors: list[Compositor]
) -> None:
    viewer = make()
    viewer.start()
    viewer.set_branches([branch("main", compositors[0].path)])
    os.kill(_children(viewer)[0], signal.SIGKILL)
    viewer.detach("main")
    time.sleep(0.5)
    assert compositors[0].clients == 0
    assert Browser(viewer).states() == {"main": "frozen"}


def test_all_ends_with_the_view_process(
    make: Callable[..., Viewer], compositors: list[Compositor]
) -> None:
    viewer = make()
    viewer.start()
    viewer.set_branches([branch("main", compositors[0].path)])
    until(lambda: compositors[0].clients == 1)
    os.kill(_view_process(viewer), signal.SIGKILL)
    until(lambda: compositors[0].clients == 0)
    until(lambda: not viewer.running)
    assert viewer.detach("main") == 0.0
    with pytest.raises(ViewerFailed):
        viewer.url()
    assert viewer.start()[0] > 0


def test_all_ends_with_the_keeper(
    novnc: Path, compositors: list[Compositor], tmp_path: Path
) -> None:
    keeper = f"""
import os, signal
from pathlib import Path
from tcvs_core.keeper.view import Viewer
viewer = Viewer(Path({str(novnc)!r}), {HOLD!r}, Path({str(tmp_path / "run")!r}))
viewer.start()
viewer.set_branches([{{"name": "main", "socket": Path({str(compositors[0].path)!r})}}])
print(viewer.port, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", keeper],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    until(lambda: compositors[0].clients == 0)

    def closed() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", int(done.stdout), timeout=5)
        try:
            connection.connect()
        except ConnectionRefusedError:
            return True
        finally:
            connection.close()
        return False

    until(closed)


def test_a_missing_part_is_named_at_start(novnc: Path, tmp_path: Path) -> None:
    for argv in ([], ["/nonexistent/wayvnc"]):
        with pytest.raises(RemoteError, match="wayvnc") as caught:
            Viewer(novnc, argv, tmp_path / "run").start()
        assert caught.value.code == "vnc-failed"
    with pytest.raises(RemoteError, match="noVNC") as caught:
        Viewer(tmp_path / "nothing", HOLD, tmp_path / "run").start()
    assert "make setup" in (caught.value.hint or "")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give up")
def test_it_gives_up_its_privileges(
    make: Callable[..., Viewer], compositors: list[Compositor]
) -> None:
    viewer = make()
    viewer.start()
    viewer.set_branches([branch("main", compositors[0].path)])
    for pid in (_view_process(viewer), *_children(viewer)):
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        fields = dict(line.split(":\t", 1) for line in status if ":\t" in line)
        assert fields["Uid"].split() == ["65534"] * 4
        assert fields["Gid"].split() == ["65534"] * 4
        assert fields["Groups"].strip() == ""
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0
        assert fields["NoNewPrivs"].strip() == "1"


def _view_process(viewer: Viewer) -> int:
    process = viewer._process
    assert process is not None
    return process.pid


def _children(viewer: Viewer) -> list[int]:
    pid = _view_process(viewer)
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
