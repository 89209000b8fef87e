"""What the fake keeper answers: plain data as the contract has it, the same at every run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

T0 = 1709287200.0  # 2024-03-01 10:00:00 UTC
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
)


def cid(number: int) -> str:
    """Return a commit id that shows its number."""
    return f"{number:02x}" * 20


def commit(
    number: int, parents: list[int], message: str, *, branch: str = "main", **more: Any
) -> dict[str, Any]:
    """Return a Commit dict."""
    state = {
        "state": f"20240301T1000{number:02d}-{number:012x}",
        "branch": branch,
        "kind": more.pop("kind", "commit"),
        "image": "desktop",
        "memory": "durable",
        "engine": "criu",
        "created": T0 + 60 * number,
        "author": more.pop("author", {"name": "Ada", "email": "ada@example.org", "kind": "human"}),
        "action": more.pop("action", None),
        "times_ms": {"pause": 412.5, "total": 1830.0},
        "screen": [1280, 720],
        "screenshot": "screenshot.png",
        "processes": [{"pid": 1, "ppid": 0, "name": "catatonit", "command": "catatonit"}],
        "windows": [{"title": "Notes", "app_id": "mousepad", "active": True}],
        "merge": more.pop("merge", None),
        "settings": {},
    }
    return {
        "id": cid(number),
        "parents": [cid(parent) for parent in parents],
        "message": message,
        "state": state,
        "memory": more.pop("memory", "durable"),
        "refs": more.pop("refs", []),
    }


AGENT = {"name": "Explorer", "email": "", "kind": "agent"}
COMMITS = [
    commit(7, [6], "Still writing this one", memory="pending", refs=["main"]),
    commit(
        6,
        [3, 5],
        "Merge explore-1",
        kind="merge",
        merge={"from": "explore-1", "theirs": cid(5), "base": cid(2), "paths": ["~/docs"]},
    ),
    commit(
        5,
        [4],
        "Fill in the form\n\nAll fields but the date.\n",
        branch="explore-1",
        author=AGENT,
        action='{"type": "text"}\nthen {"key": "Return"}',
        refs=["explore-1", "tag: v1"],
    ),
    commit(3, [2], "Write \x1b[31mred\x1b[0m title", refs=[]),
    commit(4, [2], "Open the form", branch="explore-1", author=AGENT),
    commit(2, [1], "Fork point of explore-1", kind="fork", memory="none"),
    commit(1, [], "Image desktop", kind="root", memory="none"),
]
CHANGES = [
    {"kind": "modified", "path": "home/user/notes.txt", "type": "file", "old_path": None},
    {"kind": "added", "path": "home/user/new dir", "type": "dir", "old_path": None},
    {"kind": "renamed", "path": "home/user/b.txt", "type": "file", "old_path": "home/user/a.txt"},
    {"kind": "deleted", "path": "home/user/old\x07bell", "type": "file", "old_path": None},
    {"kind": "added", "path": b"home/user/caf\xe9.txt", "type": "file", "old_path": None},
    {"kind": "modified", "path": "home/user/pic.png", "type": "file", "old_path": None},
]
FILES = [
    {
        "path": "home/user/notes.txt",
        "old_path": None,
        "kind": "modified",
        "binary": False,
        "hunks_text": "@@ -1,2 +1,2 @@\n one\n-two\n+zwei \x1b[7mreverse\n",
        "added": 1,
        "removed": 1,
    },
    {
        "path": b"home/user/caf\xe9.txt",
        "old_path": None,
        "kind": "added",
        "binary": False,
        "hunks_text": "@@ -0,0 +1 @@\n+hello\n\\ No newline at end of file\n",
        "added": 1,
        "removed": 0,
    },
    {
        "path": "home/user/pic.png",
        "old_path": None,
        "kind": "modified",
        "binary": True,
        "hunks_text": "",
        "added": 0,
        "removed": 0,
    },
    {
        "path": "home/user/new dir",
        "old_path": None,
        "kind": "added",
        "binary": False,
        "hunks_text": "",
        "added": 0,
        "removed": 0,
    },
]
WINDOWS = [
    {"title": "Notes - Mousepad", "app_id": "mousepad", "active": True, "maximized": True},
    {"title": "evil \x1b]0;pwned\x07 title", "app_id": "foot", "active": False},
]


def desktop(branch: str, **more: Any) -> dict[str, Any]:
    """Return a row of ``ps``."""
    row: dict[str, Any] = {"branch": branch, "current": False, "state": "running", "processes": 23}
    row |= {"memory": 734003200, "screen": "1280x720", "started": T0, "age": 3725.0}
    row |= {"commit": cid(5), "pid": 4711, "net": False, "address": None, "engine": "criu"}
    return row | more


class Fail(Exception):
    """Answer with this error."""

    def __init__(self, code: str, message: str, exit_status: int = 1, **more: Any) -> None:
        super().__init__(message)
        empty = {"operation": None, "subject": None, "errno": None, "hint": None, "details": {}}
        self.data = {"code": code, "message": message, "exit_status": exit_status, **empty, **more}


def _known(params: dict[str, Any], *names: str) -> None:
    for name in names:
        value = params.get(name)
        if value == "nosuch":
            hint = "`tcvs branch` lists the branches"
            raise Fail("unknown-revision", "no branch, tag or commit is named nosuch", 2, hint=hint)
        if value == "locked":
            raise Fail("busy", "another command works on branch locked", 3, hint="try again")


def _fork(params: dict[str, Any]) -> dict[str, Any]:
    _known(params, "source")
    names = [params["name"]]
    if params["count"] > 1:
        names = [f"{params['name']}-{i + 1}" for i in range(params["count"])]
    made = [{"name": n, "running_ms": 640.0 + 20 * i, "pid": 5000 + i, "error": None}
            for i, n in enumerate(names)]  # fmt: skip
    if params["name"] == "flaky":
        made[-1] |= {"running_ms": None, "error": {"message": "its memory could not be restored"}}
    answer = {"source": params["source"] or "main", "commit": cid(8), "pause_ms": 87.4}
    return answer | {"total_ms": 702.1, "branches": made, "times_ms": {"freeze": 3.1}}


def _checkout(params: dict[str, Any]) -> dict[str, Any]:
    _known(params, "target")
    if params["new_branch"]:
        how = {"how": "restored", "seconds": 1.234, "saved": None}
        return {"branch": params["new_branch"], "commit": cid(5), **how}
    return {"branch": params["target"], "commit": cid(5), "how": "switched", "seconds": 0.0}


def _merge(params: dict[str, Any]) -> dict[str, Any]:
    _known(params, "branch")
    answer: dict[str, Any] = {"into": params["into"] or "main", "from": params["branch"]}
    answer |= {"base": cid(2), "plan": {"actions": [], "unchanged": 4}, "conflicts": []}
    if params["branch"] == "clash":
        kinds = ("content", "modify/delete")
        conflicts = [{"path": f"home/user/{i}.txt", "kind": kind} for i, kind in enumerate(kinds)]
        answer |= {"conflicts": conflicts, "applied": params["conflicts"] == "markers"}
        answer |= {"commit": cid(9) if answer["applied"] else None}
        if answer["applied"] or params["dry_run"]:
            return answer
        raise Fail("conflict", "2 conflicts; nothing was changed", 4, details=answer)
    answer["plan"]["actions"] = [
        {"kind": "write", "path": "home/user/docs/a.txt", "old_path": None},
        {"kind": "move", "path": "home/user/docs/c", "old_path": "home/user/docs/b"},
    ]
    done = not params["dry_run"]
    commit_id = cid(9) if done else None
    return answer | {"applied": done, "commit": commit_id, "pause_ms": 12.0 if done else None}


def _commit(params: dict[str, Any]) -> dict[str, Any]:
    _known(params, "branch")
    durable = params["wait"]
    answer = {"id": cid(7), "branch": params["branch"] or "main", "pause_ms": 402.6}
    return answer | {"durable": durable, "times_ms": {}, "stored": 52428800 if durable else None}


def _status(params: dict[str, Any]) -> dict[str, Any]:
    _known(params, "branch")
    return {
        "branch": "main",
        "state": "running",
        "commit": {"id": cid(6), "subject": "Merge explore-1", "memory": "durable"},
        "changes": CHANGES,
        "processes": [{"pid": 1, "ppid": 0, "name": "labwc", "command": "labwc -s x", "rss": 4096}],
        "windows": WINDOWS,
        "pending": [{"id": cid(7), "stage": "memory", "fraction": 0.42}],
        "conflicts": [],
        "notices": ["the last commit before the crash was not durable"],
    }


def _show(params: dict[str, Any]) -> dict[str, Any]:
    _known(params, "revision")
    wanted = {one["id"]: one for one in COMMITS}.get(params["revision"], COMMITS[1])
    picture = None if params["revision"] == "plain" else PNG
    return {"commit": wanted, "changes": CHANGES[:2], "screenshot": picture}


def _log(params: dict[str, Any]) -> dict[str, Any]:
    for revision in params["revisions"]:
        _known({"revision": revision}, "revision")
    notices = ["one commit is still being written"]
    return {"head": "main", "commits": COMMITS[: params["limit"]], "notices": notices}


def _diff(params: dict[str, Any]) -> dict[str, Any]:
    _known(params, "a", "b")
    if params["a"] == "huge":
        text = "@@ -0,0 +1,200000 @@\n" + "+line of text\n" * 200000
        return {"a": cid(1), "b": cid(2), "changes": CHANGES[:1],
                "files": [FILES[0] | {"hunks_text": text}]}  # fmt: skip
    files = FILES if params.get("text", True) else []
    return {"a": cid(1), "b": None, "changes": CHANGES, "files": files}


def _branches(_params: dict[str, Any]) -> list[dict[str, Any]]:
    main = {"name": "main", "current": True, "commit": cid(6), "subject": "Merge explore-1"}
    main |= {"state": "running", "running": True, "memory": 7 << 20, "ahead": 0}
    other = {"name": "explore-1", "current": False, "commit": cid(5), "subject": "Fill in the form"}
    other |= {"state": "stopped", "running": False, "memory": None, "ahead": 2}
    return [main | {"forked_from": None}, other | {"forked_from": cid(2)}]


IMAGE = {"name": "desktop", "recipe": "desktop", "size": 2147483648, "packages": 812}
ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ping": lambda p: {"version": "1", "pid": 99, "repo": "REPO", "uptime": 61.0},
    "stop": lambda p: {},
    "image_list": lambda p: [IMAGE | {"created": T0, "branches": 2}],
    "image_build": lambda p: IMAGE | {"name": p["name"] or p["recipe"]},
    "image_import": lambda p: IMAGE | {"name": p["name"], "recipe": "import"},
    "image_remove": lambda p: None,
    "up": lambda p: {"branch": p["branch"] or "main", "how": "booted", "seconds": 2.345,
                     "pid": 4711, "processes": 21, "screen": [1280, 720]},
    "down": lambda p: [{"branch": p["branch"] or "main", "commit": cid(7)}],
    "ps": lambda p: [desktop("main", current=True, net=True, address="10.88.0.2"),
                     desktop("a-branch-with-a-name-that-is-quite-long", state="frozen"),
                     desktop("explore-1", state="stopped", commit=None, processes=0)],
    "screenshot": lambda p: {"data": PNG, "width": 1, "height": 1, "ms": 18.4},
    "input": lambda p: {"performed": len(p["actions"]), "ms": 7.3, "results": []},
    "windows": lambda p: WINDOWS,
    "clipboard_get": lambda p: {"text": "copied text"},
    "clipboard_set": lambda p: {},
    "view_start": lambda p: {"url": "http://127.0.0.1:5000/?t=x", "port": 5000, "token": "x"},
    "view_stop": lambda p: {},
    "branch_create": _fork,
    "branch_list": _branches,
    "branch_delete": lambda p: [{"name": name, "commit": cid(5)} for name in p["names"]],
    "branch_rename": lambda p: None,
    "commit": _commit,
    "wait": lambda p: {"id": cid(7), "memory": "durable"},
    "checkout": _checkout,
    "rollback": lambda p: {"branch": "main", "commit": cid(3), "saved": cid(8), "seconds": 0.98,
                           "how": "restored"},
    "undo": lambda p: {"branch": "main", "commit": cid(8), "undone": "rollback"},
    "log": _log,
    "show": _show,
    "status": _status,
    "diff": _diff,
    "merge": _merge,
    "tag_create": lambda p: {"name": p["name"], "commit": cid(6)},
    "tag_list": lambda p: [{"name": "v1", "commit": cid(5), "message": "all tests pass"}],
    "tag_delete": lambda p: None,
    "reflog": lambda p: [
        {"index": 0, "time": T0, "old": cid(3), "new": cid(6), "message": "merge explore-1"},
        {"index": 1, "time": T0 - 60, "old": None, "new": cid(3), "message": "commit: title"},
    ],
}  # fmt: skip
