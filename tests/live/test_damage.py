"""Bad luck and bad input: full and damaged disks, missing things, two commands at once."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from livekit.fixtures import lay_image
from livekit.inside import until
from livekit.world import World

from tcvs_core.errors import RemoteError
from tcvs_core.linux.btrfs import set_read_only

pytestmark = pytest.mark.live


@pytest.fixture
def small(live_machine: None, tmp_path: Path) -> Iterator[World]:
    """A repository of its own with hardly more room than its image needs."""
    made = World(tmp_path / "repo", 1100 << 20)
    try:
        lay_image(made)
        yield made
    finally:
        made.remove()


def _fill(directory: Path) -> Path:
    """Fill the file system of ``directory``; return what takes the room."""
    ballast = directory / "ballast"
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (8 << 20, 1 << 20, 64 << 10, 4096):
            with contextlib.suppress(OSError):
                while True:
                    file.write(os.urandom(size))
                    os.fdatasync(file.fileno())
    return ballast


def _tried(world: World, branch: str) -> RemoteError | None:
    try:
        world.call("commit", branch=branch, message="no room", wait=True)
    except RemoteError as error:
        return error
    return None


def test_a_full_disk_is_said_and_harms_nothing(small: World) -> None:
    branch = small.boot()
    small.remember(branch, n=1)
    first = small.call("commit", branch=branch, message="while there was room", wait=True)["id"]
    small.remember(branch, n=2)
    ballast = _fill(small.pool.root)  # where no snapshot keeps it
    for method, params in (
        ("commit", {"branch": branch, "message": "no room", "wait": True}),
        ("branch_create", {"name": "no-room", "source": branch}),
    ):
        with contextlib.suppress(RemoteError):  # a little may still fit
            small.call(method, **params)
    said = [str(_tried(small, branch)) for _ in range(4)]
    assert any(word in said[-1].lower() for word in ("full", "space", "room")), said
    assert small.lives(branch)["memory"] == {"n": 2}
    small.call("log", all=True)
    small.call("status", branch=branch)

    ballast.unlink()
    os.sync()
    after = small.call("commit", branch=branch, message="room again", wait=True)["id"]
    found = small.call("show", revision=after)["commit"]
    assert found["memory"] == "durable"
    small.remember(branch, n=3)
    small.call("rollback", branch=branch, target=after)
    assert small.lives(branch)["memory"] == {"n": 2}
    small.call("rollback", branch=branch, target=first)
    assert small.lives(branch)["memory"] == {"n": 1}
    # What a keeper that starts now finds is whole.
    small.stop_keeper()
    assert small.lives(branch)["memory"] == {"n": 1}
    assert not [n for n in small.call("log")["notices"] if "damaged" in n]
    git = ["git", "-c", "safe.directory=*", "-C", str(small.path / "store/git"), "fsck", "--strict"]
    assert subprocess.run(git, capture_output=True, check=False).returncode == 0


def test_a_damaged_memory_object_is_found_before_anything_is_stopped(world: World) -> None:
    branch = world.boot()
    world.remember(branch, n=1)
    objects = world.pool.store / "objects"
    before = {p for p in objects.rglob("*") if p.is_file()}
    commit = world.call("commit", branch=branch, message="m", wait=True)["id"]
    world.remember(branch, n=2)
    pid = world.pid(branch)
    new = sorted(p for p in objects.rglob("*") if p.is_file() and p not in before)
    assert new, "the commit stored nothing"
    victim = max(new, key=lambda path: path.stat().st_size)
    whole = victim.read_bytes()
    with open(victim, "r+b") as file:
        file.seek(len(whole) // 2)
        file.write(bytes(byte ^ 0xFF for byte in whole[len(whole) // 2 :][:64]))
    for method, params in (
        ("rollback", {"branch": branch, "target": commit}),
        ("checkout", {"target": commit, "new_branch": world.name("c")}),
        ("branch_create", {"name": world.name("c"), "source": commit}),
    ):
        branches = world.branches()
        with pytest.raises(RemoteError) as caught:
            world.call(method, **params)
        assert "damaged" in str(caught.value) or "corrupt" in str(caught.value), caught.value
        assert world.pid(branch) == pid and world.lives(branch)["memory"] == {"n": 2}
        assert world.branches() == branches
    assert list(Path(f"/dev/shm/tcvs-{world.id}").iterdir()) == []
    victim.write_bytes(whole)
    world.stop_keeper()  # the one that has seen the damage does not look there again
    world.call("rollback", branch=branch, target=commit)
    assert world.lives(branch)["memory"] == {"n": 1}


def test_unknown_and_impossible_arguments_change_nothing(world: World) -> None:
    branch = world.boot(victim=False)
    before = (world.branches(), world.call("log", all=True)["commits"], world.row(branch)["pid"])
    new = world.name("u")
    for method, params in (
        ("up", {"branch": new, "image": "no-such-image"}),
        ("up", {"branch": new, "image": "../../etc"}),
        ("up", {"branch": branch, "screen": "huge"}),
        ("up", {"branch": new}),
        ("image_remove", {"name": "no-such-image"}),
        ("image_remove", {"name": "mini"}),
        ("image_import", {"source": "/no/such/directory", "name": new}),
        ("image_build", {"recipe": "no-such-recipe", "name": new}),
        ("branch_create", {"name": branch, "source": branch}),
        ("branch_create", {"name": "a/b", "source": branch}),
        ("branch_create", {"name": "..", "source": branch}),
        ("branch_create", {"name": new, "source": "no-such-branch"}),
        ("branch_create", {"name": new, "source": branch, "count": 1000}),
        ("branch_delete", {"names": [branch, "no-such-branch"], "force": True}),
        ("branch_rename", {"old": branch, "new": new}),
        ("checkout", {"target": "no-such-thing"}),
        ("rollback", {"branch": branch, "target": "0000000"}),
        ("undo", {"branch": branch}),
        ("commit", {"branch": "no-such-branch", "message": "m"}),
        ("merge", {"branch": branch, "into": branch}),
        ("tag_create", {"name": "a b"}),
        ("tag_delete", {"name": "no-such-tag"}),
        ("show", {"revision": "no-such-thing"}),
        ("diff", {"a": branch, "b": "no-such-thing"}),
        ("screenshot", {"branch": branch, "format": "gif"}),
        ("screenshot", {"branch": branch, "region": [1, 2]}),
        ("input", {"branch": branch, "actions": [{"do": "fly"}]}),
        ("input", {"branch": branch, "actions": [{"do": "click", "x": "left"}]}),
    ):
        said = _refused(world, method, params)
        assert said.exit_status == 2, (method, params, said.code, str(said))
        assert "\n" not in str(said) and said.code != "bug"
    after = (world.branches(), world.call("log", all=True)["commits"], world.row(branch)["pid"])
    assert after == before
    assert new not in [row["name"] for row in world.call("image_list")]


def _refused(world: World, method: str, params: dict[str, Any]) -> RemoteError:
    try:
        result = world.call(method, **params)
    except RemoteError as error:
        return error
    raise AssertionError(f"{method} {params} was not refused: {result}")


def test_commands_at_once_wait_for_each_other(world: World) -> None:
    source = world.boot()
    world.remember(source, n=1)
    names = [world.name("p") for _ in range(3)]
    results: list[Any] = []

    def do(method: str, **params: Any) -> None:
        try:
            results.append(world.call(method, **params))
        except RemoteError as error:
            results.append(error)

    calls: list[tuple[str, dict[str, Any]]] = [
        ("branch_create", {"name": name, "source": source}) for name in names
    ]
    calls += [("branch_create", {"name": names[0], "source": source})]  # one of the two loses
    calls += [("commit", {"branch": source, "message": "at once", "wait": True})]
    calls += [("status", {"branch": source}), ("ps", {}), ("log", {"all": True})]
    threads = [threading.Thread(target=do, args=(m,), kwargs=p) for m, p in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (error,) = [r for r in results if isinstance(r, RemoteError)]
    assert f"branch {names[0]} exists" in str(error) and error.exit_status == 2
    for name in (source, *names):
        assert world.lives(name)["memory"] == {"n": 1}


def test_keepers_that_start_at_once_are_one(world: World) -> None:
    world.stop_keeper()
    pids: list[int] = []
    threads = [
        threading.Thread(target=lambda: pids.append(world.call("ping")["pid"])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 4 and len(set(pids)) == 1


def test_a_program_that_runs_attached_cannot_be_captured(world: World) -> None:
    source = world.boot()
    thread = threading.Thread(target=world.run, args=(source, "sleep", "1.5"))
    thread.start()
    until(lambda: any(n == "sleep" for _p, _q, n in world.tree(source)), what="the program")
    states = len(list(world.pool.snap.iterdir()))
    for method, params in (
        ("branch_create", {"name": world.name("o"), "source": source}),
        ("commit", {"branch": source, "message": "m"}),
        ("down", {"branch": source}),
        ("rollback", {"branch": source}),
    ):
        with pytest.raises(RemoteError) as caught:
            world.call(method, **params)
        assert caught.value.code == "cannot-capture"
        assert "(sleep) was started by `tcvs exec` and still runs" in str(caught.value)
        assert "--detach" in (caught.value.hint or "")
    world.lives(source)
    assert len(list(world.pool.snap.iterdir())) == states
    thread.join()
    world.fork(source)


def test_a_traced_process_cannot_be_captured(world: World) -> None:
    source = world.boot()
    pid = next(p["host_pid"] for p in _processes(world, source) if p["name"] == "python3")
    tracer = subprocess.Popen(
        ["python3", "-c", _TRACER, str(pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert tracer.stdout is not None and tracer.stdout.readline() == b"traced\n"
        with pytest.raises(RemoteError, match=r"\(python3\) is being traced"):
            world.call("branch_create", name=world.name("o"), source=source)
    finally:
        tracer.kill()
        tracer.wait()
    world.lives(source)
    world.fork(source)


#: Attaches with PTRACE_SEIZE, which stops nothing, and stays.
_TRACER = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
if libc.ptrace(0x4206, int(sys.argv[1]), None, None):
    sys.exit(ctypes.get_errno())
print("traced", flush=True)
sys.stdin.read()
"""


def test_a_fuse_descriptor_cannot_be_captured(world: World) -> None:
    if not Path("/dev/fuse").exists():
        pytest.skip("this kernel has no /dev/fuse")
    source = world.boot()
    node = world.files(source) / "dev/fuse"
    with contextlib.suppress(FileExistsError):
        os.mknod(node, 0o666 | 0o020000, os.stat("/dev/fuse").st_rdev)
    node.chmod(0o666)
    script = "exec 5<>/dev/fuse && touch /home/user/open && exec sleep 1000"
    pid = world.call("exec", branch=source, argv=["sh", "-c", script], detach=True)["pid"]
    until((world.files(source) / "home/user/open").exists, what="the descriptor")
    until(lambda: (pid, 1, "sleep") in world.tree(source), what="the program")
    with pytest.raises(RemoteError, match=rf"process {pid} \(sleep\) serves a FUSE file system"):
        world.call("branch_create", name=world.name("o"), source=source)
    world.run(source, "kill", str(pid))
    until(lambda: (pid, 1, "sleep") not in world.tree(source), what="its end")
    world.fork(source)


def _processes(world: World, branch: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.call("status", branch=branch)["processes"]
    return found


def _rename_read_only(source: Path, target: Path) -> None:
    """Rename a read-only subvolume, which has to be writable for that moment."""
    set_read_only(source, False)
    source.rename(target)
    set_read_only(target, True)


def test_a_missing_file_half_is_said(world: World) -> None:
    branch = world.boot()
    commit = world.call("commit", branch=branch, message="m", wait=True)["id"]
    state = world.call("show", revision=commit)["commit"]["state"]["state"]
    moved = world.pool.snap / f"{state}.away"
    _rename_read_only(world.pool.snap / state, moved)
    try:
        with pytest.raises(RemoteError, match="gone"):
            world.call("rollback", branch=branch, target=commit)
        world.lives(branch)
        with pytest.raises(RemoteError, match="gone"):
            world.call("diff", a=commit, b=branch)
    finally:
        _rename_read_only(moved, world.pool.snap / state)
    world.call("rollback", branch=branch, target=commit)
    world.lives(branch)


def test_a_pool_that_is_gone_is_said(world: World) -> None:
    world.crash()
    image = world.path / "pool.img"
    image.rename(world.path / "pool.away")
    try:
        with pytest.raises(Exception, match=r"pool\.img is missing") as caught:
            world.call("ping")
        assert not isinstance(caught.value, OSError) or caught.value.errno != errno.EIO
    finally:
        (world.path / "pool.away").rename(image)
    assert world.call("ping")["pid"]


def test_a_program_left_behind_without_a_tie_to_the_host_is_forked(world: World) -> None:
    source = world.boot()
    pipe = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    world.call("exec", branch=source, argv=["sh", "-c", "sleep 1000 &"])
    world.call("exec", branch=source, argv=["sh", "-c", "sleep 1001 &"], fds=(null, pipe[1], null))
    for fd in (null, *pipe):
        os.close(fd)
    (branch,) = world.fork(source)
    for side in (source, branch):
        assert sum(name == "sleep" for _p, _q, name in world.tree(side)) == 2
        world.lives(side)


@pytest.mark.parametrize("kind", ["terminal", "file", "socket"])
def test_a_program_left_behind_with_a_descriptor_of_the_host(
    world: World, tmp_path: Path, kind: str
) -> None:
    source = world.boot()
    ours, theirs = _descriptor(kind, tmp_path)
    script = "sleep 1000 & echo $! > /home/user/pid"
    world.call("exec", branch=source, argv=["sh", "-c", script], fds=(theirs, theirs, theirs))
    os.close(theirs)
    pid = (world.files(source) / "home/user/pid").read_text().strip()
    try:
        with pytest.raises(RemoteError) as caught:
            world.call("branch_create", name=world.name("o"), source=source)
        said = caught.value
        assert said.code == "cannot-capture", (str(said), said.details)
        assert f"process {pid} (sleep) holds a {kind} of the host" in str(said)
    finally:
        os.close(ours)
    world.lives(source)
    world.run(source, "kill", pid)
    until(lambda: not any(n == "sleep" for _p, _q, n in world.tree(source)), what="its end")
    world.fork(source)


def _descriptor(kind: str, directory: Path) -> tuple[int, int]:
    """Return two descriptors; the second is what a program inside gets."""
    if kind == "terminal":
        return os.openpty()
    if kind == "socket":
        left, right = socket.socketpair()
        return left.detach(), right.detach()
    path = directory / "output"
    return os.open(path, os.O_RDWR | os.O_CREAT), os.open(path, os.O_RDWR)
