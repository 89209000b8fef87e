"""The keeper killed at every step: desktops live on, nothing promised is lost, no half things."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest
from livekit import leftovers
from livekit.inside import ask, until
from livekit.world import IMAGE, World, ended

from tcvs_core.faults import Fault
from tcvs_core.keeper.client import KeeperUnavailable
from tcvs_core.linux import proc

pytestmark = pytest.mark.live


def _goes_on(pid: int, **memory: object) -> None:
    """Check, without a keeper, that the desktop with pid 1 ``pid`` lives and is not frozen."""
    first = ask(pid)
    assert first["memory"] == memory
    until(lambda: ask(pid)["ticks"] > first["ticks"] + 3, what="a tick")
    assert all(_untraced(p) for p in proc.descendants(pid))


def _untraced(pid: int) -> bool:
    return proc.status(pid).get("TracerPid", "0") == "0"


def _consistent(world: World) -> None:
    """Check that refs, files, desktops and what waits to be written all tell the same story."""
    until(lambda: not world.call("status")["pending"], 30, "the end of writing")
    rows = {row["branch"]: row for row in world.call("ps")}
    assert {path.name for path in world.pool.br.iterdir()} == set(rows)
    running = {name for name, row in rows.items() if row["pid"]}
    assert {name for name, pids in leftovers.members(world.id).items() if pids} == running
    assert [p.name for p in (world.pool.store / "journal").iterdir()] == []
    assert list(Path(f"/dev/shm/tcvs-{world.id}").iterdir()) == []
    assert not [p for p in leftovers.processes(world.id, world.path) if "criu" in p]
    commits = world.call("log", all=True)["commits"]
    for row in rows.values():
        assert row["commit"] in {c["id"] for c in commits}
    states = {c["state"]["state"] for c in commits}
    for row in rows.values():
        for move in world.call("reflog", branch=row["branch"]):
            if move["new"] not in {c["id"] for c in commits}:
                states.add(world.call("show", revision=move["new"])["commit"]["state"]["state"])
    assert {path.name for path in world.pool.snap.iterdir()} <= states


@pytest.mark.parametrize(
    "fault",
    [
        Fault.FORK_BEFORE_CAPTURE,
        Fault.FORK_FROZEN,
        Fault.FORK_AFTER_CAPTURE,
        Fault.FORK_RESTORED,
        Fault.COMMIT_JOURNALED,
    ],
    ids=lambda fault: fault.value,
)
def test_a_fork_is_whole_or_not_at_all(world: World, fault: Fault) -> None:
    source = world.boot()
    world.remember(source, n=1)
    pid, new = world.pid(source), world.name("f")
    world.dies_in("branch_create", fault.value, name=new, source=source)
    _goes_on(pid, n=1)
    assert world.pid(source) == pid
    if new in world.branches():
        assert world.lives(new)["memory"] == {"n": 1}
        assert world.row(new)["commit"] == world.row(source)["commit"]
    _consistent(world)
    (again,) = world.fork(source)
    assert world.lives(again)["memory"] == {"n": 1}
    world.drop(new)


@pytest.mark.parametrize(
    "fault",
    [
        Fault.COMMIT_FROZEN,
        Fault.COMMIT_JOURNALED,
        Fault.COMMIT_PACKED,
        Fault.COMMIT_MANIFEST,
        Fault.COMMIT_OBJECT,
        Fault.COMMIT_REF,
    ],
    ids=lambda fault: fault.value,
)
def test_a_commit_that_was_acknowledged_is_kept(world: World, fault: Fault) -> None:
    branch = world.boot()
    world.remember(branch, n=1)
    pid = world.pid(branch)
    first = world.row(branch)["commit"]
    acknowledged = None
    world.start(f"{fault.value}=kill")
    keeper = world.keeper()
    assert keeper is not None
    with contextlib.suppress(KeeperUnavailable):
        acknowledged = world.call("commit", branch=branch, message="a state")["id"]
    until(lambda: ended(keeper), what="the keeper's death")
    _goes_on(pid, n=1)
    world.remember(branch, n=2)
    _consistent(world)
    commits = world.call("log", revisions=[branch])["commits"]
    made = [c for c in commits if c["message"] == "a state"]
    assert (acknowledged is None) or [c["id"] for c in made] == [acknowledged]
    if fault is Fault.COMMIT_FROZEN:
        assert made == [] and world.row(branch)["commit"] == first
        return
    (commit,) = made
    assert commit["memory"] == "durable" and world.row(branch)["commit"] == commit["id"]
    world.call("rollback", branch=branch)
    assert world.lives(branch)["memory"] == {"n": 1}


@pytest.mark.parametrize(
    "fault",
    [Fault.ROLLBACK_SAVED, Fault.ROLLBACK_STOPPED],
    ids=lambda fault: fault.value,
)
def test_a_rollback_cut_short_loses_neither_state(world: World, fault: Fault) -> None:
    branch = world.boot()
    world.remember(branch, n=1)
    goal = world.call("commit", branch=branch, message="goal", wait=True)["id"]
    world.remember(branch, n=2)
    pid = world.pid(branch)
    world.dies_in("rollback", fault.value, branch=branch)
    if fault is Fault.ROLLBACK_SAVED:
        _goes_on(pid, n=2)
    # The rollback did not happen: the branch is what it was before.
    assert world.call("up", branch=branch)["how"] in ("already", "restored")
    assert world.lives(branch)["memory"] == {"n": 2}
    assert world.row(branch)["commit"] != goal
    _consistent(world)
    assert world.call("rollback", branch=branch, target=goal)["how"] == "restored"
    assert world.lives(branch)["memory"] == {"n": 1}
    world.call("undo", branch=branch)
    assert world.lives(branch)["memory"] == {"n": 2}


@pytest.mark.parametrize(
    "fault", [Fault.MERGE_STAGED, Fault.MERGE_APPLYING], ids=lambda fault: fault.value
)
def test_a_merge_cut_short_leaves_the_target_as_it_was(world: World, fault: Fault) -> None:
    ours = world.boot()
    home = world.files(ours) / "home/user"
    for name in ("a.txt", "b.txt"):
        (home / name).write_text("one\ntwo\n")
    (theirs,) = world.fork(ours)
    for name in ("a.txt", "b.txt", "c.txt"):
        (world.files(theirs) / "home/user" / name).write_text("one\ntwo\nthree\n")
    pid = world.pid(ours)
    request = {"branch": theirs, "into": ours, "paths": ["~/*.txt"]}
    world.dies_in("merge", fault.value, **request)
    assert world.pid(ours) == pid
    world.lives(ours)
    texts = {p.name: p.read_text() for p in home.glob("*.txt")}
    assert texts == {"a.txt": "one\ntwo\n", "b.txt": "one\ntwo\n"}
    assert [p.name for p in home.iterdir() if "tcvs" in p.name] == []
    _consistent(world)
    assert world.call("merge", **request)["applied"]
    texts = {p.name: p.read_text() for p in home.glob("*.txt")}
    assert texts == dict.fromkeys(("a.txt", "b.txt", "c.txt"), "one\ntwo\nthree\n")
    world.lives(ours)


def test_an_image_whose_making_was_cut_short_is_not_there(world: World) -> None:
    name, source = world.name("image"), os.environ.get("TCVS_TEST_MINI_ROOT")
    if source is None:
        pytest.skip("TCVS_TEST_MINI_ROOT names no system to import")
    world.dies_in("image_import", Fault.IMAGE_BUILT.value, source=source, name=name)
    assert [row["name"] for row in world.call("image_list")] == [IMAGE]
    assert [p.name for p in world.pool.base.iterdir()] == [IMAGE]
    _consistent(world)


def test_a_commit_that_was_not_durable_at_a_power_cut_is_lost_and_said_so(world: World) -> None:
    branch = world.boot()
    world.remember(branch, n=1)
    durable = world.call("commit", branch=branch, message="durable", wait=True)["id"]
    world.remember(branch, n=2)
    world.start("commit.packed=kill")
    keeper = world.keeper()
    assert keeper is not None
    lost = None
    with contextlib.suppress(KeeperUnavailable):
        lost = world.call("commit", branch=branch, message="not durable")["id"]
    until(lambda: ended(keeper), what="the keeper's death")
    world.crash()
    log = world.call("log", revisions=[branch])
    assert "not durable" not in [c["message"] for c in log["commits"]]
    assert world.row(branch)["commit"] == durable
    (said,) = [n for n in log["notices"] if "not yet durable" in n]
    assert branch in said and durable[:10] in said
    assert lost is None or lost[:10] in said
    _consistent(world)
    assert world.call("up", branch=branch)["how"] == "restored"
    assert world.lives(branch)["memory"] == {"n": 1}


def test_desktops_live_on_without_a_keeper_and_are_found_again(world: World) -> None:
    branch = world.boot()
    world.remember(branch, n=1)
    pid = world.pid(branch)
    for _ in range(3):
        world.kill_keeper()
        _goes_on(pid, n=1)
        assert world.pid(branch) == pid
    (fork,) = world.fork(branch)
    world.stop_keeper()
    _goes_on(pid, n=1)
    assert world.lives(fork)["memory"] == {"n": 1}
    assert world.call("status", branch=branch)["notices"] == []


def test_a_keeper_killed_at_any_moment_of_a_fork_leaves_the_source_running(world: World) -> None:
    source = world.boot()
    world.remember(source, n=1)
    pid = world.pid(source)
    for delay in (0.02, 0.06, 0.1, 0.15, 0.2, 0.3):
        world.start("image.built=error")  # a keeper of its own for each: it will be killed
        keeper = world.keeper()
        assert keeper is not None
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                world.call("branch_create", name=world.name("k"), source=source)
            os._exit(0)
        time.sleep(delay)  # somewhere in the middle
        os.kill(keeper, 9)
        os.waitpid(child, 0)
        until(lambda k=keeper: ended(k), what="its death")
        _goes_on(pid, n=1)
        assert world.pid(source) == pid
        _consistent(world)
        world.drop(*(b for b in world.branches() if b.startswith("k")))


def test_a_program_that_ran_attached_does_not_outlive_the_keeper(world: World) -> None:
    branch = world.boot()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            world.run(branch, "sleep", "1000")
        os._exit(0)
    until(lambda: any(n == "sleep" for _, _, n in world.tree(branch)), what="sleep")
    world.kill_keeper()
    os.waitpid(child, 0)
    until(lambda: not any(n == "sleep" for _, _, n in world.tree(branch)), what="its end")
    world.fork(branch)
