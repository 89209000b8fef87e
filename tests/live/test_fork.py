"""Forking a running desktop: both sides live, and neither sees what the other does."""

from __future__ import annotations

import pytest
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
