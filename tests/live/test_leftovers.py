"""What is on the machine outside the repository: what must be, while it must be, and no longer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from livekit import leftovers
from livekit.inside import until
from livekit.world import World

pytestmark = pytest.mark.live


def test_a_stopped_desktop_leaves_nothing(world: World) -> None:
    mounts = leftovers.mounted(world.path)
    source = world.boot(net=True)
    (branch,) = world.fork(source)
    world.call("wait", revision=branch)
    pids = [world.pid(source), world.pid(branch)]
    assert len(leftovers.links(world.id)) == 2 and len(leftovers.tables(world.id)) == 1
    spaces = {os.readlink(f"/proc/{pid}/ns/net") for pid in pids}
    world.call("down", branch=source)
    world.call("down", branch=branch, commit=False)
    assert [pid for pid in pids if Path(f"/proc/{pid}/root/home").exists()] == []
    assert {source, branch}.isdisjoint(leftovers.members(world.id))
    assert leftovers.links(world.id) == [] and leftovers.tables(world.id) == []
    assert leftovers.mounted(world.path) == mounts
    assert list(Path(f"/dev/shm/tcvs-{world.id}").iterdir()) == []
    assert list(Path(f"/run/tcvs/{world.id}/live").iterdir()) == []
    until(lambda: not spaces & _spaces(), what="the end of the network namespaces")


def _spaces() -> set[str]:
    """Return the network namespaces of all processes."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.add(os.readlink(entry / "ns/net"))
            except OSError:
                continue
    return found


def test_a_deleted_branch_leaves_nothing(world: World) -> None:
    source = world.boot(victim=False)
    (branch,) = world.fork(source)
    world.drop(branch, source)
    assert not world.files(branch).exists() and not world.files(source).exists()
    assert not any(p.name.startswith((branch, source)) for p in world.pool.store.glob("branches/*"))
    assert {branch, source}.isdisjoint(leftovers.members(world.id))


def test_a_stopped_keeper_leaves_its_desktops_and_no_process_of_its_own(world: World) -> None:
    branch = world.boot()
    pid = world.pid(branch)
    world.stop_keeper()
    inside = leftovers.members(world.id)[branch]
    assert pid in inside
    others = {int(text.split()[0]) for text in leftovers.processes(world.id, world.path)}
    assert others <= set(inside)
    assert not Path(f"/run/tcvs/{world.id}/keeper.sock").exists()
    assert world.pid(branch) == pid


def test_the_end_of_a_repository_is_the_end_of_everything(
    live_machine: None, tmp_path: Path
) -> None:
    other = World(tmp_path / "repo", 512 << 20)
    try:
        assert other.call("image_list") == []
        found = leftovers.everything(other.id, other.path)
        kinds = {text.split(" ")[0] for text in found}
        assert {"mount", "process", "directory"} <= kinds  # the search finds what is there
    finally:
        other.remove()
    assert leftovers.everything(other.id, other.path) == []
    assert not other.path.exists()
