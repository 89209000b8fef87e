"""`up` and `down`, and the bringing to life that they share with checkout, rollback and branch."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tcvs_core.errors import TcvsError, UsageError
from tcvs_core.ids import BranchName, CommitId, StateId, branch_name, image_name
from tcvs_core.live.container import Container, Settings
from tcvs_core.model import Commit
from tcvs_core.workspace.branches import Facts
from tcvs_core.workspace.commit import capture, files_only, submit
from tcvs_core.workspace.repository import Progress, Repository, silent, tidying

_SCREEN = re.compile(r"([0-9]{2,5})x([0-9]{2,5})\Z")
MAX_SCREEN = 8192


def parse_screen(text: str) -> tuple[int, int]:
    """Return (width, height) from ``1280x720``.  Raises UsageError."""
    match = _SCREEN.match(text)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (64 <= size[0] <= MAX_SCREEN and 64 <= size[1] <= MAX_SCREEN):
        raise UsageError(
            f"{text!r} is not a screen size", operation="up", subject=text, hint="e.g. 1280x720"
        )
    return size


def settings_from(
    base: Settings, screen: str | None, net: bool | None, memory: int | None, cpus: float | None
) -> Settings:
    """Return ``base`` with what a request changes."""
    if memory is not None and memory < 64 << 20:
        raise UsageError("a desktop needs at least 64 MB of memory", operation="up")
    if cpus is not None and cpus <= 0:
        raise UsageError("--cpus must be more than 0", operation="up")
    changes: dict[str, Any] = {}
    if screen is not None:
        changes["screen"] = parse_screen(screen)
    if net is not None:
        changes["net"] = net
    if memory is not None:
        changes["memory"] = memory
    if cpus is not None:
        changes["cpus"] = cpus
    return replace(base, **changes)


def boot(repo: Repository, branch: BranchName) -> Container:
    """Start the desktop of ``branch`` afresh on its files."""
    facts = repo.branches.facts(branch)
    container = repo.runtime.start(branch, repo.files.branch_path(branch), facts.settings)
    repo.branches.set_live(branch, container)
    repo.branches.change(branch, running=True, resume=None)
    repo.watchers.come_back(branch)
    return container


def revive(repo: Repository, branch: BranchName, commit: Commit, image: Path) -> Container:
    """Bring the memory image of ``commit`` to life as ``branch``, whose files are already right."""
    facts = repo.branches.facts(branch)
    origin = commit.state.settings.get("address")
    engine = repo.runtime.engine
    if commit.state.engine != engine.name:
        raise UsageError(
            f"commit {commit.id[:10]} was made by engine {commit.state.engine!r}, "
            f"and this is {engine.name!r}",
            operation="restore",
            subject=commit.id,
        )
    target = repo.runtime.target(branch, repo.files.branch_path(branch), facts.settings, origin)
    container, _times = engine.restore(image, target)
    try:
        repo.runtime.settle(container, origin)
    except TcvsError:
        repo.runtime.stop(container)
        raise
    repo.branches.set_live(branch, container)
    repo.branches.change(branch, running=True, resume=None)
    repo.watchers.come_back(branch)
    return container


def materialize(
    repo: Repository, branch: BranchName, commit: Commit, progress: Progress = silent
) -> tuple[Container, str]:
    """Make ``branch`` (not running) be ``commit``: files, and memory where there is one.

    Returns the container and how: ``restored`` or ``booted``.  The memory image is read and
    checked before the branch's files are touched.
    """
    state = StateId(commit.state.state)
    with repo.loaded(state, progress) as image:
        reset_files(repo, branch, state)
        if image is None:
            return boot(repo, branch), "booted"
        progress("restore", 0.5, branch)
        return revive(repo, branch, commit, image), "restored"


def reset_files(repo: Repository, branch: BranchName, state: StateId) -> None:
    """Make the files of ``branch`` (not running) those of ``state``."""
    if not repo.files.has_state(state):
        raise TcvsError(f"the files of state {state} are gone", operation="restore", subject=branch)
    if repo.files.has_branch(branch):
        repo.files.delete_branch(branch)
    repo.files.create_branch_from_state(state, branch)


def first_branch(repo: Repository, name: str, image: str | None, settings: Settings) -> BranchName:
    """Make a branch from an image, with a root commit.  Raises UsageError."""
    branch = branch_name(name)
    images = [str(i) for i in repo.files.images()]
    if image is None:
        if len(images) != 1:
            raise UsageError(
                "which image?" if images else "there is no image yet",
                operation="up",
                hint=f"--image with one of: {', '.join(images)}"
                if images
                else "`tcvs image build desktop`",
            )
        image = images[0]
    if image not in images:
        raise UsageError(
            f"there is no image {image!r}",
            operation="up",
            subject=image,
            hint=f"images: {', '.join(images) or 'none; `tcvs image build desktop`'}",
        )
    repo.branches.set_facts(branch, Facts(image=image, settings=settings))
    try:
        if not repo.files.has_branch(branch):
            repo.files.create_branch_from_image(image_name(image), branch)
        root = submit(
            repo,
            branch,
            files_only(repo, branch),
            kind="root",
            message=f"Begin from image {image}",
            author=repo.author,
            parents=[],
        )
        repo.scribe.wait(root.commit)
    except BaseException:
        repo.set_tip(branch, None)
        with tidying():
            repo.files.delete_branch(branch)
        repo.branches.forget(branch)
        raise
    if repo.current() not in repo.tips():
        repo.history.set_head(branch)
    return branch


def up(
    repo: Repository,
    *,
    branch: str | None = None,
    image: str | None = None,
    screen: str | None = None,
    net: bool | None = None,
    memory: int | None = None,
    cpus: float | None = None,
    fresh: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Start a branch's desktop: as it was saved, else afresh on its files."""
    begin = time.monotonic()
    name = branch or repo.current()
    with repo.locks.hold("up", "", name):
        if BranchName(name) not in repo.tips():
            if repo.tips() and image is None:
                raise repo.unknown(name)
            settings = settings_from(Settings(), screen or "1280x720", net, memory, cpus)
            found = first_branch(repo, name, image, settings)
        else:
            found = BranchName(name)
            if image is not None and image != repo.branches.facts(found).image:
                raise UsageError(
                    f"{found} comes from image {repo.branches.facts(found).image}",
                    operation="up",
                    subject=found,
                    hint=f"`tcvs up NEWNAME --image {image}` makes another branch",
                )
        repo.settle_notices(found)
        live = repo.branches.live(found)
        how = "already"
        facts = repo.branches.facts(found)
        changed = settings_from(facts.settings, screen, net, memory, cpus)
        if live is None:
            progress("start", 0.0, found)
            if changed.screen != facts.settings.screen or changed.net != facts.settings.net:
                fresh = True  # a saved desktop has its screen and its network
            repo.branches.change(found, settings=changed)
            live, how = _start(repo, found, fresh, progress)
        elif changed != facts.settings or fresh:
            raise UsageError(
                f"{found} is running already, with other settings",
                operation="up",
                subject=found,
                hint=f"`tcvs down -b {found}` first, then `tcvs up` with the new ones",
            )
    return {
        "branch": found,
        "how": how,
        "seconds": time.monotonic() - begin,
        "pid": live.pid,
        "processes": len(live.processes()),
        "screen": list(live.settings.screen),
    }


def _start(
    repo: Repository, branch: BranchName, fresh: bool, progress: Progress
) -> tuple[Container, str]:
    facts = repo.branches.facts(branch)
    tip = repo.tip(branch)
    repo.scribe.drain()
    commit = repo.commit(tip)
    if not fresh and facts.resume == commit.state.state:
        return materialize(repo, branch, commit, progress)
    if not repo.files.has_branch(branch):
        reset_files(repo, branch, StateId(commit.state.state))
    return boot(repo, branch), "booted"


def down(
    repo: Repository,
    *,
    branch: str | None = None,
    all: bool = False,
    commit: bool = True,
    message: str | None = None,
    progress: Progress = silent,
) -> list[dict[str, Any]]:
    """Stop desktops; by default what they are is committed first, so that `up` brings it back."""
    names = (
        [BranchName(c.branch) for c in repo.branches.all_live()] if all else [repo.branch(branch)]
    )
    result = []
    for name in sorted(names):
        with repo.locks.hold("down", name):
            repo.container(name)
            saved: CommitId | None = None
            if commit:
                progress("capture", 0.0, name)
                captured = capture(repo, name)
                job = submit(
                    repo,
                    name,
                    captured,
                    kind="save",
                    message=message or f"Save {name} at `tcvs down`",
                    author=repo.author,
                )
                saved = job.commit
                repo.branches.change(name, running=False, resume=captured.state)
            else:
                repo.branches.change(name, running=False, resume=None)
            repo.stop_container(name)
            result.append({"branch": name, "commit": saved})
    repo.scribe.drain()
    return result
