"""`commit`: capture a running desktop, go on, and let the scribe make it durable."""

from __future__ import annotations

import contextlib
import functools
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL.Image import Image

from tcvs_core.errors import TcvsError, UsageError
from tcvs_core.faults import Fault, hit
from tcvs_core.ids import BranchName, CommitId, StateId, new_state_id, tag_name
from tcvs_core.live.container import Container
from tcvs_core.live.engines.protocol import Fork, Target
from tcvs_core.live.wayland.picture import encoded
from tcvs_core.model import Author, CommitKind, Process, State, Window
from tcvs_core.workspace.repository import Progress, Repository, silent, tidying
from tcvs_core.workspace.scribe import Job


@dataclass
class Seen:
    """What a desktop looked like just before it was captured."""

    picture: Image | None = None
    screenshot: bytes | None = None  # the picture as PNG, once it has been encoded
    windows: list[Window] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)

    def encode(self) -> None:
        """Fill in ``screenshot``."""
        if self.picture is not None:
            self.screenshot = encoded(self.picture, "png")


@dataclass
class Captured:
    """A state whose file half exists, and whose memory half is in ``image``."""

    state: StateId
    image: Path | None
    times_ms: dict[str, float]
    seen: Seen
    fork: Fork | None = None
    address: str | None = None  # that the captured container had on the network


def look(repo: Repository, branch: BranchName) -> Seen:
    """Take a screenshot and lists of windows and processes.  A blind commit is better than none."""
    seen = Seen(processes=repo.container(branch).processes())
    try:
        screen = repo.screen(branch)
        seen.picture = screen.screenshot("image")
        seen.windows = screen.windows()
    except TcvsError as error:
        repo.notice(f"no screenshot of {branch}: {error}")
    return seen


def capture(
    repo: Repository,
    branch: BranchName,
    *,
    targets: Sequence[Callable[[StateId], Target]] = (),
    frozen_fault: Fault = Fault.COMMIT_FROZEN,
) -> Captured:
    """Capture the running desktop of ``branch``: memory image and file snapshot of one instant.

    With ``targets`` it is forked into them as well; each is made once the files are there.
    """
    container = repo.container(branch)
    begin = time.monotonic()
    seen = look(repo, branch)
    state = new_state_id()
    repo.files.presync(branch)
    looked = (time.monotonic() - begin) * 1000

    def at_freeze() -> None:
        repo.files.snapshot_branch(branch, state)
        hit(frozen_fault)

    fork: Fork | None = None
    with repo.image_directory(state) as image:
        try:
            # The picture is encoded while the engine works: nobody waits for it.
            with repo.unwatched(branch), _beside(seen.encode):
                if targets:
                    fork = _fork(repo, container, image, at_freeze, state, targets)
                    times = fork.times_ms
                else:
                    times = repo.runtime.engine.capture(container, image, at_freeze)
        except BaseException:
            if repo.files.has_state(state):
                with tidying():
                    repo.files.delete_state(state)
            raise
    return Captured(state, image, times | {"look": looked}, seen, fork, container.address)


@contextlib.contextmanager
def _beside(work: Callable[[], None]) -> Iterator[None]:
    """Run ``work`` in a thread during the block; its errors come out at the end."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        done = pool.submit(work)
        yield
        done.result()


def _fork(
    repo: Repository,
    container: Container,
    image: Path,
    at_freeze: Callable[[], None],
    state: StateId,
    targets: Sequence[Callable[[StateId], Target]],
) -> Fork:
    makers = [functools.partial(make, state) for make in targets]
    return repo.runtime.engine.fork(container, image, at_freeze, makers)


def submit(
    repo: Repository,
    branch: BranchName,
    captured: Captured,
    *,
    kind: CommitKind,
    message: str,
    author: Author,
    action: str | None = None,
    parents: list[CommitId] | None = None,
    merge: dict[str, Any] | None = None,
    also: Sequence[tuple[BranchName, str]] = (),
    then: CommitId | None = None,
) -> Job:
    """Make the commit of a captured state and hand it to the scribe.

    Its parents are by default the tip of ``branch``.  The refs of ``branch`` and of ``also``
    (branch, reason) move to it; ``then`` is where ``branch`` goes right after (rollback).
    """
    facts = repo.branches.facts(branch)
    settings = facts.settings
    record = State(
        state=captured.state,
        branch=branch,
        kind=kind,
        image=facts.image,
        memory="durable" if captured.image else "none",
        engine=repo.runtime.engine.name if captured.image else "",
        created=time.time(),
        author=author,
        action=action,
        times_ms={k: round(v, 3) for k, v in captured.times_ms.items()},
        screen=settings.screen,
        screenshot="screenshot.png" if captured.seen.screenshot else None,
        processes=captured.seen.processes,
        windows=captured.seen.windows,
        merge=merge,
        settings=settings.to_dict() | {"address": captured.address},
    )
    old = [repo.tip(branch)] if parents is None else parents
    commit = repo.history.commit_id_of(record, old, message, captured.seen.screenshot)
    why = f"{kind}: {message.splitlines()[0] if message else ''}"
    moves = [(branch, commit, why)]
    moves += [(other, commit, text) for other, text in also]
    if then is not None:
        moves.append((branch, then, f"rollback: to {then[:10]}"))
    job = Job(commit, old, message, record, captured.seen.screenshot, captured.image, moves)
    try:
        repo.scribe.submit(job)
    except TcvsError:  # no room for the journal: nothing points to the state
        if captured.image is not None:
            shutil.rmtree(captured.image, ignore_errors=True)
        with tidying():
            repo.files.delete_state(captured.state)
        raise
    for name, target, _why in moves:
        repo.set_tip(name, target)
    return job


def files_only(repo: Repository, branch: BranchName) -> Captured:
    """Snapshot the files of ``branch`` without its memory, running or not."""
    state = new_state_id()
    repo.files.snapshot_branch(branch, state)
    return Captured(state, None, {}, Seen())


def take(repo: Repository, branch: BranchName) -> Captured:
    """Capture ``branch`` if it runs, else snapshot its files."""
    running = repo.branches.live(branch) is not None
    return capture(repo, branch) if running else files_only(repo, branch)


def save(repo: Repository, branch: BranchName, message: str, author: Author) -> Job:
    """Commit what ``branch`` is now, so that it is not lost by what comes next."""
    return submit(repo, branch, take(repo, branch), kind="save", message=message, author=author)


def commit(
    repo: Repository,
    *,
    branch: str | None = None,
    message: str,
    author: dict[str, Any] | None = None,
    action: str | None = None,
    wait: bool = False,
    memory: bool = True,
    tag: str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Make the state of a branch durable; returns when the desktop runs again.

    Returns {"id", "branch", "pause_ms", "durable", "times_ms", "stored"}.
    """
    if not message.strip():
        raise UsageError("a commit needs a message", operation="commit", hint="tcvs commit -m MSG")
    if tag is not None and tag_name(tag) in repo.history.tags():
        raise UsageError(f"tag {tag!r} exists", operation="commit", subject=tag)
    name = repo.branch(branch)
    with repo.locks.hold("commit", name):
        progress("capture", 0.0, name)
        running = repo.branches.live(name) is not None
        if memory and running:
            captured = capture(repo, name)
        else:
            if running:
                repo.files.presync(name)
            captured = files_only(repo, name)
            if running:
                captured.seen = look(repo, name)
                captured.seen.encode()
        job = submit(
            repo,
            name,
            captured,
            kind="commit",
            message=message,
            author=repo.author_of(author),
            action=action,
        )
    if wait or tag or captured.image is None:
        repo.scribe.wait(job.commit, lambda stage, done: progress(stage, done, name))
    if tag:
        repo.history.set_tag(tag, job.commit, message)
    return {
        "id": job.commit,
        "branch": name,
        "pause_ms": captured.times_ms.get("pause", 0.0),
        "durable": job.done.is_set() and job.error is None,
        "times_ms": captured.times_ms,
        "stored": job.stored,
    }
