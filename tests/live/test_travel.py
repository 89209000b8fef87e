"""Going to another state of a desktop: rollback, undo, checkout, down and up, a reboot."""

from __future__ import annotations

import subprocess

import pytest
from livekit.inside import until
from livekit.world import World

from tcvs_core.errors import RemoteError

pytestmark = pytest.mark.live


def _commit(world: World, branch: str, message: str = "a state", *, wait: bool = True) -> str:
    return str(world.call("commit", branch=branch, message=message, wait=wait)["id"])


def test_rollback_brings_memory_files_and_windows_back_and_undo_takes_it_back(
    world: World,
) -> None:
    branch = world.boot()
    world.open_notepad(branch)
    world.remember(branch, draft="good")
    world.type(branch, "good")
    until(lambda: world.typed(branch) == "good\n", what="a line")
    good, tree = world.picture(branch), world.tree(branch)
    commit = _commit(world, branch)

    world.remember(branch, draft="bad")
    world.type(branch, "bad")
    until(lambda: world.typed(branch) == "good\nbad\n", what="a line")
    world.open(branch, "mousepad", app_id="mousepad")
    bad, bad_tree = world.picture(branch), world.tree(branch)

    done = world.call("rollback", branch=branch)
    assert (done["commit"], done["how"]) == (commit, "restored")
    assert world.lives(branch)["memory"] == {"draft": "good"}
    assert world.typed(branch) == "good\n"
    assert set(world.windows(branch)) == {"foot"}
    assert world.picture(branch) == good and world.tree(branch) == tree
    assert world.row(branch)["commit"] == commit

    undone = world.call("undo", branch=branch)
    assert undone["commit"] == done["saved"]
    assert world.lives(branch)["memory"] == {"draft": "bad"}
    assert world.typed(branch) == "good\nbad\n"
    assert set(world.windows(branch)) == {"foot", "mousepad"}
    assert world.picture(branch) == bad and world.tree(branch) == bad_tree


def test_rollback_to_a_commit_that_is_still_being_written(world: World) -> None:
    branch = world.boot()
    world.remember(branch, n=1)
    commit = _commit(world, branch, wait=False)
    world.remember(branch, n=2)
    assert world.call("rollback", branch=branch, target=commit[:12])["commit"] == commit
    assert world.lives(branch)["memory"] == {"n": 1}


def test_checkout_of_a_commit_leaves_its_branch_alone(world: World) -> None:
    branch = world.boot()
    world.remember(branch, n=1)
    commit = _commit(world, branch)
    world.remember(branch, n=2)
    name = world.name("c")
    done = world.call("checkout", target=commit, new_branch=name)
    assert (done["branch"], done["how"]) == (name, "restored")
    assert world.current() == name
    assert world.lives(name)["memory"] == {"n": 1}
    assert world.lives(branch)["memory"] == {"n": 2}


def test_down_keeps_everything_for_up(world: World) -> None:
    branch = world.boot()
    world.open_notepad(branch)
    world.remember(branch, draft="kept")
    picture = world.picture(branch)
    ticks = world.ask(branch)["ticks"]
    world.call("down", branch=branch)
    assert world.row(branch)["state"] == "stopped"
    with pytest.raises(RemoteError, match="is not running"):
        world.call("screenshot", branch=branch)
    assert world.call("up", branch=branch)["how"] == "restored"
    now = world.lives(branch)
    assert now["memory"] == {"draft": "kept"} and now["ticks"] >= ticks
    assert world.picture(branch) == picture
    assert world.call("up", branch=branch)["how"] == "already"


def test_after_a_reboot_checkout_brings_a_commit_back_with_its_windows(world: World) -> None:
    branch = world.boot()
    world.open_notepad(branch)
    world.remember(branch, draft="kept")
    world.type(branch, "kept")
    until(lambda: world.typed(branch) == "kept\n", what="a line")
    picture, windows = world.picture(branch), world.windows(branch)
    commit = _commit(world, branch)
    world.remember(branch, draft="written after the commit")
    (world.files(branch) / "home/user/late.txt").write_text("late\n")

    world.crash()
    assert not world.pool.mounted

    name = world.name("c")
    done = world.call("checkout", target=commit, new_branch=name)
    assert done["how"] == "restored"
    assert world.lives(name)["memory"] == {"draft": "kept"}
    assert world.windows(name) == windows and world.picture(name) == picture
    assert world.typed(name) == "kept\n"
    assert not (world.files(name) / "home/user/late.txt").exists()
    # The branch itself is at its last durable commit, says so, and its last files are kept.
    assert world.row(branch)["state"] == "stopped"
    status = world.call("status", branch=branch)
    assert status["commit"]["id"] == commit
    (notice,) = [n for n in status["notices"] if f"desktop of {branch} ended" in n]
    assert commit[:10] in notice
    saved = world.call("reflog", branch=branch)[1]["new"]
    changed = world.call("diff", a=commit, b=saved)["changes"]
    assert "home/user/late.txt" in [c["path"] for c in changed]
    assert world.call("up", branch=branch)["how"] == "restored"
    assert world.lives(branch)["memory"] == {"draft": "kept"}


def test_stock_git_reads_the_history(world: World) -> None:
    branch = world.boot()
    commit = _commit(world, branch, "Written for git\n\nA body.")
    (fork,) = world.fork(branch)
    world.call("tag_create", name=world.name("v"), revision=commit, message="a tag")
    world.call("wait", revision=fork)
    git = ["git", "-c", "safe.directory=*", "-C", str(world.path / "store/git")]
    log = subprocess.run(
        [*git, "log", "--format=%H %s", fork], capture_output=True, text=True, check=True
    )
    assert f"{commit} Written for git" in log.stdout.splitlines()
    check = subprocess.run(
        [*git, "fsck", "--full", "--strict"], capture_output=True, text=True, check=False
    )
    said = [line for line in (check.stdout + check.stderr).splitlines() if "dangling" not in line]
    assert (check.returncode, said) == (0, [])
