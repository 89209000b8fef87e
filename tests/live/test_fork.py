"""Forking a running desktop: both sides live, and neither sees what the other does."""

from __future__ import annotations

import pytest
from livekit.inside import until
from livekit.world import World

pytestmark = pytest.mark.live


def test_a_fork_has_all_of_its_source_and_both_go_on(world: World) -> None:
    source = world.boot()
    world.remember(source, draft="before")
    before = world.ask(source)
    made = world.call("branch_create", name=world.name("f"), source=source)
    (row,) = made["branches"]
    assert row["error"] is None and row["running_ms"] > 0
    assert 0 < made["pause_ms"] < made["total_ms"]
    branch = row["name"]
    assert world.tree(branch) == world.tree(source)
    for side in (source, branch):
        now = world.lives(side)
        assert now["memory"] == {"draft": "before"} and now["pid"] == before["pid"]
        assert now["ticks"] > before["ticks"]  # its clock of events went on, it did not begin anew
        assert now["host"] == side
    assert world.row(branch)["state"] == "running"


def test_neither_side_sees_what_the_other_does(world: World) -> None:
    source = world.boot()
    (branch,) = world.fork(source)
    world.remember(branch, draft="of the branch")
    world.remember(source, draft="of the source")
    for side in (source, branch):
        line = (
            f"echo {side} > /home/user/mine; echo {side} > /dev/shm/mine; echo {side} > /tmp/mine"
        )
        assert world.run(side, "sh", "-c", line).status == 0
    (world.files(source) / "home/user/only-source").write_text("x")
    (world.files(branch) / "home/user/only-branch").write_text("x")
    assert world.ask(source)["memory"] == {"draft": "of the source"}
    assert world.ask(branch)["memory"] == {"draft": "of the branch"}
    for side, other in ((source, "only-branch"), (branch, "only-source")):
        read = world.run(side, "cat", "/home/user/mine", "/dev/shm/mine", "/tmp/mine")
        assert read.output.split() == [side] * 3
        assert world.run(side, "test", "-e", f"/home/user/{other}").status == 1
    before = world.tree(source)
    world.call("exec", branch=branch, argv=["sleep", "1000"], detach=True)
    until(lambda: any(name == "sleep" for _, _, name in world.tree(branch)), what="sleep")
    assert world.tree(source) == before
    # The end of one is not the end of the other.
    world.call("down", branch=source, commit=False)
    world.lives(branch)


def test_text_typed_into_one_side_is_on_that_side_only(world: World) -> None:
    source = world.boot(victim=False)
    world.open_notepad(source)
    world.type(source, "both know this")
    until(lambda: world.typed(source) == "both know this\n", what="the first line")
    before = world.picture(source)
    (branch,) = world.fork(source)
    assert world.picture(branch) == before
    world.type(branch, "the branch")
    until(lambda: world.typed(branch) == "both know this\nthe branch\n", what="a line")
    of_branch = world.picture(branch)
    assert of_branch != before
    assert world.picture(source) == before and world.typed(source) == "both know this\n"
    world.type(source, "the source!")
    until(lambda: world.typed(source) == "both know this\nthe source!\n", what="a line")
    assert world.picture(source) not in (before, of_branch)
    assert world.picture(branch) == of_branch
    assert world.typed(branch) == "both know this\nthe branch\n"


def test_a_fork_of_a_fork(world: World) -> None:
    first = world.boot()
    world.remember(first, generation=1)
    (second,) = world.fork(first)
    world.remember(second, generation=2)
    ticks = world.ask(second)["ticks"]
    (third,) = world.fork(second)
    world.remember(third, generation=3)
    for side, generation in ((first, 1), (second, 2), (third, 3)):
        assert world.lives(side)["memory"] == {"generation": generation}
    assert world.ask(third)["ticks"] > ticks
    assert world.tree(first) == world.tree(second) == world.tree(third)
    rows = {row["name"]: row for row in world.call("branch_list")}
    assert rows[third]["forked_from"] == second and rows[second]["forked_from"] == first


def test_siblings_made_at_once_are_alike_and_apart(world: World) -> None:
    source = world.boot()
    world.remember(source, draft="x")
    branches = world.fork(source, 3)
    for branch in branches:
        assert world.lives(branch)["memory"] == {"draft": "x"}
        world.remember(branch, draft=branch)
    assert [world.ask(b)["memory"]["draft"] for b in branches] == branches
    assert world.ask(source)["memory"]["draft"] == "x"


def test_twenty_forks_in_a_row(world: World) -> None:
    source = world.boot()
    world.open_notepad(source)
    tree = world.tree(source)
    alive = 0
    for number in range(20):
        (branch,) = world.fork(source)
        assert world.tree(branch) == tree
        world.type(branch, f"branch {number}")
        world.type(source, f"source {number}")
        until(lambda b=branch, n=number: world.typed(b).endswith(f"branch {n}\n"), what="a line")
        until(lambda n=number: world.typed(source).endswith(f"source {n}\n"), what="a line")
        assert f"source {number}" not in world.typed(branch)
        assert "branch" not in world.typed(source)
        world.lives(branch)
        world.lives(source)
        alive += 1
        world.drop(branch)
    assert alive == 20
    assert world.typed(source).splitlines() == [f"source {n}" for n in range(20)]
