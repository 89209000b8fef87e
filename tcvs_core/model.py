"""Plain data that crosses rooms.  No behaviour beyond conversion to and from plain dicts.

Times are Unix seconds (float, UTC); durations say their unit in their name (``pause_ms``); sizes
are bytes.  ``to_dict``/``from_dict`` give and take JSON-able dicts; unknown keys are ignored, so
that an older program reads what a newer one wrote.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, Self

AuthorKind = Literal["human", "agent"]
#: none: files only; pending: still being written; durable: on disk and fsynced.
Memory = Literal["none", "pending", "durable"]
#: root: a fresh image; commit: asked for; fork: the point at which branches left; save: made by
#: tcvs itself before it would lose a state (down, rollback, crash remains); merge: two parents.
CommitKind = Literal["root", "commit", "fork", "save", "merge"]
ChangeKind = Literal["added", "deleted", "modified", "renamed", "metadata", "typechange"]
FileType = Literal["file", "dir", "symlink", "fifo", "socket", "char", "block"]


class Record:
    """A dataclass that converts to and from a plain dict."""

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)  # type: ignore[call-overload,no-any-return]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        return cls(**{k: v for k, v in data.items() if k in known})


@dataclass(frozen=True)
class Author(Record):
    """Who made a commit."""

    name: str
    email: str = ""
    kind: AuthorKind = "human"


@dataclass(frozen=True)
class Process(Record):
    """A process of a workspace; ``pid`` and ``ppid`` as seen inside it."""

    pid: int
    ppid: int
    name: str
    command: str
    uid: int = 0
    rss: int = 0
    host_pid: int = 0


@dataclass(frozen=True)
class Window(Record):
    """A toplevel window, as the compositor tells it."""

    title: str
    app_id: str
    active: bool = False
    minimized: bool = False
    maximized: bool = False
    fullscreen: bool = False


@dataclass(frozen=True)
class Change(Record):
    """One path that differs between two file trees.

    ``path`` is relative to the root of the workspace, without a leading slash; bytes that are not
    UTF-8 are kept by surrogateescape.  ``old_path`` is set for renames only.
    """

    kind: ChangeKind
    path: str
    type: FileType = "file"
    old_path: str | None = None


@dataclass(frozen=True)
class State(Record):
    """What a commit holds: the record ``state.json`` in its Git tree."""

    state: str
    branch: str
    kind: CommitKind
    image: str
    #: Memory half at the time of writing the commit: "none", or "durable" (it is written before
    #: the ref moves, so whoever can reach the commit finds it).
    memory: Memory = "none"
    engine: str = ""
    created: float = 0.0
    author: Author = field(default_factory=lambda: Author("tcvs"))
    #: What the agent or human did since the parent, free text or JSON.
    action: str | None = None
    #: Milliseconds by stage, at least ``pause`` where the desktop ran.
    times_ms: dict[str, float] = field(default_factory=dict)
    screen: tuple[int, int] | None = None
    screenshot: str | None = None
    processes: list[Process] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    #: For merges: {"from": branch, "theirs": commit, "base": commit, "paths": [...], ...}.
    merge: dict[str, Any] | None = None
    #: Settings that the workspace was started with, needed to bring it back (screen, net, limits).
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        data = dict(data)
        if isinstance(data.get("author"), dict):
            data["author"] = Author.from_dict(data["author"])
        data["processes"] = [Process.from_dict(p) for p in data.get("processes", [])]
        data["windows"] = [Window.from_dict(w) for w in data.get("windows", [])]
        if data.get("screen"):
            data["screen"] = (data["screen"][0], data["screen"][1])
        return super().from_dict(data)


@dataclass(frozen=True)
class Commit(Record):
    """A commit as readers see it."""

    id: str
    parents: list[str]
    message: str
    state: State
    #: pending while the keeper still writes the memory half (from the journal, not from Git).
    memory: Memory = "none"
    refs: list[str] = field(default_factory=list)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        data = dict(data)
        if isinstance(data.get("state"), dict):
            data["state"] = State.from_dict(data["state"])
        return super().from_dict(data)
