"""The keeper's methods by name: what each is given beside its parameters, and where it lives.

Most are verbs of ``tcvs_core.workspace`` as they are; the few that deal with descriptors, streams
or the keeper itself are here.
"""

from __future__ import annotations

import inspect
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tcvs_core
from tcvs_core.errors import UsageError
from tcvs_core.workspace import commit, fork, hands, images, life, merge, roster, travel
from tcvs_core.workspace import inspect as looking

if TYPE_CHECKING:
    from tcvs_core.keeper.server import Server


@dataclass
class Call:
    """One request under way: what a method may use beside its parameters."""

    server: Server
    fds: list[int]
    emit: Callable[[dict[str, Any], tuple[int, ...]], None]
    gone: threading.Event  # the client went away
    on_signal: list[Callable[[int], None]] = field(default_factory=list)

    def progress(self, stage: str, fraction: float, detail: str) -> None:
        """Tell the client how far the work is."""
        message = {
            "event": "progress",
            "stage": stage,
            "fraction": float(fraction),
            "detail": detail,
        }
        self.emit(message, ())


def _exec(
    call: Call,
    *,
    branch: str | None = None,
    argv: Sequence[str],
    user: str = "user",
    cwd: str | None = None,
    env: dict[str, str] | None = None,
    tty: bool = False,
    size: Sequence[int] | None = None,
    detach: bool = False,
) -> dict[str, Any]:
    stdio = (call.fds[0], call.fds[1], call.fds[2]) if len(call.fds) >= 3 else None
    program = hands.start_program(
        call.server.repo,
        branch=branch,
        argv=argv,
        user=user,
        cwd=cwd,
        env=env,
        tty=tty,
        size=size,
        detach=detach,
        stdio=stdio,
    )
    if detach:
        program.wait()
        return {"pid": program.pid}
    if program.master is not None:
        call.emit({"event": "pty"}, (program.master,))
        os.close(program.master)
    call.on_signal.append(program.signal)
    while program.process.poll() is None:
        if call.gone.wait(0.005):
            program.kill()
            break
    return {"exit_status": program.wait()}


def _logs(
    call: Call, *, branch: str | None = None, lines: int = 100, follow: bool = False
) -> dict[str, Any]:
    hands.logs(
        call.server.repo,
        branch=branch,
        lines=lines,
        follow=follow,
        emit=lambda line: call.emit({"event": "line", "line": line}, ()),
        stopped=call.gone.is_set,
    )
    return {}


def _ping(call: Call) -> dict[str, Any]:
    server = call.server
    return {
        "version": tcvs_core.__version__,
        "pid": os.getpid(),
        "repo": str(server.path),
        "uptime": time.time() - server.started,
        "engine": server.repo.runtime.engine.name,
    }


def _stop(call: Call) -> dict[str, Any]:
    call.server.stop()
    return {}


def _view_start(call: Call, *, branches: Sequence[str] | None = None) -> dict[str, Any]:
    return call.server.viewers.start(branches)


def _view_stop(call: Call) -> dict[str, Any]:
    call.server.viewers.stop()
    return {}


#: Methods that are given the repository.
VERBS: dict[str, Callable[..., Any]] = {
    "image_list": images.image_list,
    "image_build": images.image_build,
    "image_import": images.image_import,
    "image_remove": images.image_remove,
    "up": life.up,
    "down": life.down,
    "ps": looking.ps,
    "screenshot": hands.screenshot,
    "input": hands.act,
    "windows": hands.windows,
    "clipboard_get": hands.clipboard_get,
    "clipboard_set": hands.clipboard_set,
    "branch_create": fork.branch_create,
    "branch_list": roster.branch_list,
    "branch_delete": roster.branch_delete,
    "branch_rename": roster.branch_rename,
    "commit": commit.commit,
    "wait": looking.wait,
    "checkout": travel.checkout,
    "rollback": travel.rollback,
    "undo": travel.undo,
    "log": looking.log,
    "show": looking.show,
    "status": looking.status,
    "diff": looking.diff,
    "merge": merge.merge,
    "tag_create": looking.tag_create,
    "tag_list": looking.tag_list,
    "tag_delete": looking.tag_delete,
    "reflog": looking.reflog,
}
#: Methods that are given the call.
CALLS: dict[str, Callable[..., Any]] = {
    "ping": _ping,
    "stop": _stop,
    "exec": _exec,
    "logs": _logs,
    "view_start": _view_start,
    "view_stop": _view_stop,
}


def invoke(call: Call, method: str, params: dict[str, Any]) -> Any:
    """Call ``method``.  Raises UsageError for an unknown one or wrong parameters."""
    if method in VERBS:
        function, first = VERBS[method], call.server.repo
    elif method in CALLS:
        function, first = CALLS[method], call  # type: ignore[assignment]
    else:
        raise UsageError(f"the keeper has no method {method!r}", operation=method)
    signature = inspect.signature(function)
    extra = {"progress": call.progress} if "progress" in signature.parameters else {}
    try:
        signature.bind(first, **params, **extra)
    except TypeError as error:
        raise UsageError(f"{method}: {error}", operation=method) from error
    return function(first, **params, **extra)
