"""One desktop full of victims, forked once: each tells on both sides whether it noticed.

Three more looks keep the victims honest: those that were never forked must be content, those whose
state was tampered with must not, and a row that an engine is known to lose must be lost.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from livekit.world import World

from fidelity.crowd import PROGRAM, Crowd, build
from fidelity.known import KNOWN, refused, rows
from tcvs_core.errors import TcvsError

pytestmark = pytest.mark.live

ENGINE = "criu"
ROWS = rows()
REFUSED = refused(ENGINE)
FORKED = [row for row in ROWS if row not in REFUSED]


@dataclass(frozen=True)
class Results:
    """What the victims said, by row; and why there was no fork with those that are refused."""

    source: dict[str, str]
    branch: dict[str, str]
    control: dict[str, str]
    tampered: dict[str, str]
    refusals: dict[str, str | None]


def _refusal(world: World, source: str, row: str) -> str | None:
    """Try to fork ``source`` with one victim in it; return why it cannot be, or None."""
    alone = Crowd(world, source, row, [row])
    try:
        (branch,) = world.fork(source)
    except (TcvsError, AssertionError) as error:
        return str(error)
    finally:
        world.run(source, "kill", "-9", *alone.pids(source))
    world.drop(branch)
    return None


@pytest.fixture(scope="module")
def results(whole_world: World) -> Iterator[Results]:
    """Fork once, and ask everybody."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    world = whole_world
    world.disarm()
    before = set(world.branches())
    try:
        source = world.boot(victim=False)
        build(world.files(source) / PROGRAM)
        refusals = {row: _refusal(world, source, row) for row in REFUSED}
        forked = Crowd(world, source, "forked", FORKED)
        time.sleep(2)  # so that a timer that begins anew in the branch is seen to
        (branch,) = world.fork(source)
        # Both are asked before anything else runs; checking changes what is checked.
        of_source, of_branch = forked.tell(source, "c"), forked.tell(branch, "c")
        control = Crowd(world, source, "control", ROWS).tell(source, "c")
        tampered = Crowd(world, branch, "tampered", ROWS)
        tampered.tell(branch, "t")
        yield Results(of_source, of_branch, control, tampered.tell(branch, "c"), refusals)
    finally:
        made = sorted(set(world.branches()) - before)
        world.call("checkout", target="park")
        world.call("down", branch="park", commit=False)
        world.drop(*made)


@pytest.mark.parametrize("row", FORKED)
def test_nothing_visible_happens(results: Results, row: str) -> None:
    said = (results.source[row], results.branch[row])
    lost = KNOWN.get((ENGINE, row))
    if row == "cpu-affinity" and len(os.sched_getaffinity(0)) == 1:
        lost = None  # there is no smaller set that could be lost
    if lost is None:
        assert said == ("ok", "ok")
        return
    wrong = tuple(verdict.startswith("FAIL: ") for verdict in said)
    expected = {"source": (True, False), "branch": (False, True), "both": (True, True)}
    assert wrong == expected[lost.where], (said, lost)


@pytest.mark.parametrize("row", REFUSED)
def test_what_is_refused(results: Results, row: str) -> None:
    assert results.refusals[row] is not None, "this row can be forked: take it out of KNOWN"


@pytest.mark.parametrize("row", ROWS)
def test_a_victim_is_content_without_a_fork(results: Results, row: str) -> None:
    assert results.control[row] == "ok"


@pytest.mark.parametrize("row", ROWS)
def test_a_victim_notices_when_its_state_changes(results: Results, row: str) -> None:
    assert results.tampered[row].startswith("FAIL: ")
