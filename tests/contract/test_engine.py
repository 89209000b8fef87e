"""What every engine must do, proven on each: ``fake`` in memory, ``criu`` on real desktops."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from livekit.harness import CriuHarness, FakeHarness, Harness
from livekit.inside import until
from livekit.world import IMAGE, World

from tcvs_core.errors import TcvsError
from tcvs_core.live.engines.protocol import CannotCapture, EngineError
from tcvs_core.store.files import Files, PlainFiles


@pytest.fixture(params=["fake", pytest.param("criu", marks=pytest.mark.live)])
def desktops(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    """Desktops of one engine; all that a test makes is gone afterwards."""
    made: Harness
    if request.param == "fake":
        made = FakeHarness(PlainFiles(tmp_path), tmp_path / "images")
    else:
        made = _criu(request.getfixturevalue("whole_world"), tmp_path)
    yield made
    made.close()


def _criu(world: World, tmp_path: Path) -> Harness:
    from tcvs_core.live.engines.criu import CriuEngine
    from tcvs_core.live.runtime import Runtime
    from tcvs_core.live.tools import PREFIX, Tools

    world.stop_keeper()  # it would sweep away branches that have no ref
    runtime = Runtime(world.id, CriuEngine(Tools(PREFIX).criu))
    return CriuHarness(runtime, Files(world.pool), tmp_path / "images", IMAGE)


def test_a_capture_leaves_the_source_running(desktops: Harness) -> None:
    source = desktops.start()
    desktops.poke(source, draft="one")
    ticks = desktops.ticks(source)
    image, _state, times = desktops.capture(source)
    assert times["pause"] > 0
    assert any(image.iterdir())
    assert source.alive and desktops.peek(source) == {"draft": "one"}
    until(lambda: desktops.ticks(source) > ticks, what="a tick")
    desktops.poke(source, draft="two")
    assert desktops.peek(source) == {"draft": "two"}


def test_files_are_snapshotted_in_the_pause(desktops: Harness) -> None:
    source = desktops.start()
    ticks: list[float] = []

    def at_freeze() -> None:
        desktops.text(source).write_text("of the freeze")
        state = desktops.snapshot(source)
        desktops.text(source).write_text("after it")
        ticks.append(time.monotonic())
        states.append(state)

    states: list = []
    image = desktops.directory()
    desktops.engine.capture(source, image, at_freeze)
    assert len(states) == 1
    restored = desktops.restore(image, states[0])
    assert desktops.text(restored).read_text() == "of the freeze"
    assert desktops.text(source).read_text() == "after it"


def test_a_restore_goes_on_where_the_source_was(desktops: Harness) -> None:
    source = desktops.start()
    desktops.poke(source, draft="kept", empty="")
    image, state, _times = desktops.capture(source)
    captured_by = desktops.ticks(source)
    processes = {(p.pid, p.ppid, p.name, p.uid) for p in source.processes()}
    desktops.stop(source)
    assert not source.alive
    restored = desktops.restore(image, state)
    assert desktops.peek(restored) == {"draft": "kept", "empty": ""}
    assert {(p.pid, p.ppid, p.name, p.uid) for p in restored.processes()} == processes
    first = desktops.ticks(restored)
    assert first > 0
    until(lambda: desktops.ticks(restored) > max(first, captured_by), what="ticks")


def test_an_image_can_be_restored_many_times(desktops: Harness) -> None:
    source = desktops.start()
    desktops.poke(source, draft="common")
    image, state, _times = desktops.capture(source)
    restored = [desktops.restore(image, state) for _ in range(3)]
    for number, container in enumerate(restored):
        assert desktops.peek(container) == {"draft": "common"}
        desktops.poke(container, draft=str(number))
    assert [desktops.peek(c)["draft"] for c in restored] == ["0", "1", "2"]
    assert desktops.peek(source) == {"draft": "common"}
    assert len({c.pid for c in [source, *restored]}) == 4


def test_a_fork_into_many(desktops: Harness) -> None:
    source = desktops.start()
    desktops.poke(source, draft="common")
    image, states = desktops.directory(), []
    made = desktops.engine.fork(
        source,
        image,
        lambda: states.append(desktops.snapshot(source)),
        [lambda: desktops.target(states[0])] * 3,
    )
    assert made.times_ms["pause"] > 0
    branches = [desktops.keep(c) for c, _times in _running(made.branches)]
    assert len(branches) == 3
    # Neither side sees what the other does.
    for side in [source, *branches]:
        assert desktops.peek(side) == {"draft": "common"}
        desktops.poke(side, draft=side.branch)
        desktops.text(side).write_text(side.branch)
    for side in [source, *branches]:
        assert desktops.peek(side) == {"draft": side.branch}
        assert desktops.text(side).read_text() == side.branch
    desktops.stop(source)
    for side in branches:
        assert desktops.peek(side) == {"draft": side.branch}


def _running(outcomes: list) -> list:
    assert not [o for o in outcomes if isinstance(o, TcvsError)], outcomes
    return outcomes


def test_a_fork_of_a_fork(desktops: Harness) -> None:
    source = desktops.start()
    ticks = desktops.ticks(source)
    for generation in range(3):
        desktops.poke(source, generation=str(generation))
        image, state, _times = desktops.capture(source)
        source = desktops.restore(image, state)
        assert desktops.peek(source) == {"generation": str(generation)}
        assert desktops.ticks(source) > ticks
        ticks = desktops.ticks(source)


def test_a_failing_target_hinders_no_other(desktops: Harness) -> None:
    source = desktops.start()
    states: list = []

    def broken() -> object:
        raise EngineError("no room for it", operation="restore")

    made = desktops.engine.fork(
        source,
        desktops.directory(),
        lambda: states.append(desktops.snapshot(source)),
        [broken, lambda: desktops.target(states[0])],  # type: ignore[list-item]
    )
    failed, running = made.branches
    assert isinstance(failed, TcvsError) and "no room" in str(failed)
    assert not isinstance(running, TcvsError)
    assert desktops.keep(running[0]).alive
    assert source.alive


class _Refusal(Exception):
    pass


def test_a_failure_in_the_pause_leaves_the_source_running(desktops: Harness) -> None:
    source = desktops.start()
    desktops.poke(source, draft="kept")
    processes = {p.host_pid for p in source.processes()}

    def at_freeze() -> None:
        raise _Refusal

    for _ in range(2):
        with pytest.raises(_Refusal):
            desktops.engine.capture(source, desktops.directory(), at_freeze)
        assert desktops.peek(source) == {"draft": "kept"}
        ticks = desktops.ticks(source)
        until(lambda t=ticks: desktops.ticks(source) > t, what="a tick")
        assert {p.host_pid for p in source.processes()} == processes
    image, state, _times = desktops.capture(source)
    assert desktops.peek(desktops.restore(image, state)) == {"draft": "kept"}


def test_what_cannot_be_captured_is_refused_by_name_before_the_pause(desktops: Harness) -> None:
    source = desktops.start()
    assert desktops.engine.obstacles(source) == []
    called: list[int] = []
    with desktops.block(source) as words:
        (obstacle,) = desktops.engine.obstacles(source)
        assert words in str(obstacle) and obstacle.remedy
        image = desktops.directory()
        with pytest.raises(CannotCapture) as caught:
            desktops.engine.capture(source, image, lambda: called.append(1))
        assert words in str(caught.value) and source.branch in str(caught.value)
        assert caught.value.hint == obstacle.remedy
        assert called == [] and list(image.iterdir()) == []
        with pytest.raises(CannotCapture):
            desktops.engine.fork(source, image, lambda: called.append(1), [])
    until(lambda: desktops.engine.obstacles(source) == [], what="the obstacle's end")
    desktops.capture(source)


def test_a_damaged_image_is_an_error_and_nothing_of_the_target_runs(desktops: Harness) -> None:
    source = desktops.start()
    image, state, _times = desktops.capture(source)
    desktops.damage(image)
    target = desktops.target(state)
    before = sorted(desktops.images.iterdir())
    with pytest.raises(EngineError) as caught:
        desktops.engine.restore(image, target)
    assert target.branch in str(caught.value)
    assert not desktops.runs(target.branch)
    assert sorted(desktops.images.iterdir()) == before
    assert source.alive


def test_what_does_not_run_cannot_be_captured(desktops: Harness) -> None:
    source = desktops.start()
    desktops.stop(source)
    with pytest.raises(EngineError):
        desktops.engine.capture(source, desktops.directory(), lambda: None)
