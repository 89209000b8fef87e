"""Verbs that look at and act on a running desktop: exec, logs, screenshot, input, clipboard."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from tcvs_core.errors import UsageError
from tcvs_core.live import run
from tcvs_core.live.actions import perform
from tcvs_core.live.container import open_log
from tcvs_core.workspace.repository import Repository

MAX_ACTIONS = 10_000


def start_program(
    repo: Repository,
    *,
    branch: str | None,
    argv: Sequence[str],
    user: str = "user",
    cwd: str | None = None,
    env: dict[str, str] | None = None,
    tty: bool = False,
    size: Sequence[int] | None = None,
    detach: bool = False,
    stdio: tuple[int, int, int] | None = None,
) -> run.Program:
    """Start a program inside a running branch; see ``tcvs_core.live.run``."""
    container = repo.container(repo.branch(branch))
    return run.run(
        container,
        list(argv),
        user=user,
        cwd=cwd,
        env=env,
        stdio=stdio,
        tty=tty,
        size=(size[0], size[1]) if size else None,
        detach=detach,
    )


def logs(
    repo: Repository,
    *,
    branch: str | None = None,
    lines: int = 100,
    follow: bool = False,
    emit: Callable[[str], None],
    stopped: Callable[[], bool],
) -> None:
    """Emit the last ``lines`` of the session's log, and go on if ``follow``."""
    name = repo.branch(branch)
    file = open_log(repo.files.branch_path(name))
    if file is None:
        return
    with file:
        known = file.read().splitlines()
        for line in known[-lines:] if lines else []:
            emit(line)
        while follow and not stopped():
            line = file.readline()
            if line:
                emit(line.rstrip("\n"))
            else:
                time.sleep(0.1)


def screenshot(
    repo: Repository,
    *,
    branch: str | None = None,
    format: str = "png",
    quality: int = 80,
    region: Sequence[int] | None = None,
    scale: float | None = None,
) -> dict[str, Any]:
    """Return the screen of a branch as a picture."""
    begin = time.monotonic()
    if format not in ("png", "jpeg"):
        raise UsageError(
            f"unknown picture format {format!r}", operation="screenshot", hint="png or jpeg"
        )
    if region is not None and len(region) != 4:
        raise UsageError("a region is x, y, width, height", operation="screenshot")
    screen = repo.screen(repo.branch(branch))
    area = (region[0], region[1], region[2], region[3]) if region is not None else None
    data = screen.screenshot(format, quality, area, scale)
    width, height = screen.size()
    return {
        "data": data,
        "width": width,
        "height": height,
        "ms": (time.monotonic() - begin) * 1000,
    }


def act(
    repo: Repository, *, branch: str | None = None, actions: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Perform actions on the screen of a branch, in order; stops at the first that fails."""
    if len(actions) > MAX_ACTIONS:
        raise UsageError(f"more than {MAX_ACTIONS} actions at once", operation="input")
    begin = time.monotonic()
    screen = repo.screen(repo.branch(branch))
    results = [perform(screen, action) for action in actions]
    return {
        "performed": len(results),
        "ms": (time.monotonic() - begin) * 1000,
        "results": results,
    }


def windows(repo: Repository, *, branch: str | None = None) -> list[dict[str, Any]]:
    """Return the toplevel windows of a branch."""
    return [w.to_dict() for w in repo.screen(repo.branch(branch)).windows()]


def clipboard_get(repo: Repository, *, branch: str | None = None) -> dict[str, Any]:
    """Return the text in the clipboard, or None."""
    return {"text": repo.screen(repo.branch(branch)).clipboard_get()}


def clipboard_set(repo: Repository, *, branch: str | None = None, text: str) -> dict[str, Any]:
    """Put text into the clipboard."""
    repo.screen(repo.branch(branch)).clipboard_set(text)
    return {"length": len(text)}
