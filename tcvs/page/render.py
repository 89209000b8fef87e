"""The history as a page of its own: one file and its pictures, no server, nothing from elsewhere.

The page is made from plain data: commits as ``Commit.to_dict()`` gives them and text records as
``history.unified`` gives them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from tcvs.page import graph
from tcvs.page.pictures import Pictures
from tcvs_core.errors import TcvsError

#: Of each commit: files with their diffs, and lines of one diff, that the page shows.
_FILES = 200
_LINES = 800
#: Characters of an action that still fit into one line.
_LONG_ACTION = 90

_MARKS = {
    "added": "A",
    "deleted": "D",
    "modified": "M",
    "renamed": "R",
    "metadata": "P",
    "typechange": "T",
}


class PageError(TcvsError):
    """The page cannot be written."""

    code = "page"


def render_log_page(
    commits: Sequence[Mapping[str, Any]],
    out_dir: Path,
    *,
    head: str | None,
    branches: Mapping[str, str],
    screenshots: Callable[[str], bytes | None],
    diffs: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    title: str = "History",
    extra_sections: Sequence[tuple[str, str]] | None = None,
    now: float | None = None,
) -> Path:
    """Write the page into ``out_dir`` (made when missing) and return the path of ``index.html``.

    ``head`` is the current branch, ``branches`` maps names to ids of their tips, ``screenshots``
    gives PNG or JPEG bytes by commit id, ``diffs`` text records by commit id.  The HTML of
    ``extra_sections`` (heading, HTML) is taken as it is: escape what is not yours.  ``now`` (Unix
    seconds) is what relative times count from until the page's script counts anew.  Raises
    PageError.
    """
    now = time.time() if now is None else now
    ordered = graph.order(commits)
    colours = _colours(ordered, branches, head)
    rows = graph.lay_out(ordered, colours)
    width = graph.width(rows)
    pictures = Pictures(Path(out_dir) / "pictures", screenshots)
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "ago": lambda t: ago(t, now),
        "stamp": stamp,
        "iso": iso,
        "ms": duration,
    }
    script = _resource("page.js")
    try:
        shown = [
            _commit(commit, row, width, colours, pictures, branches, head, diffs or {})
            for commit, row in zip(ordered, rows, strict=True)
        ]
        html = environment.from_string(_resource("page.html.j2")).render(
            title=title,
            commits=shown,
            branches=_branches(ordered, branches, colours, head),
            sections=[
                (heading, f"section-{n}", Markup(text))
                for n, (heading, text) in enumerate(extra_sections or ())
            ],
            style=Markup(_resource("page.css")),
            script=Markup(script),
            script_hash=_hash(script),
            made=now,
            facts=_facts(ordered),
        )
        index = Path(out_dir) / "index.html"
        index.parent.mkdir(parents=True, exist_ok=True)
        # Names that are not UTF-8 hold surrogates, which no page can: they become "?".
        index.write_bytes(html.encode("utf-8", "replace"))
    except OSError as error:
        raise PageError(
            "cannot write the page",
            operation="page",
            subject=str(error.filename or out_dir),
            errno=error.errno,
        ) from error
    return index


def _resource(name: str) -> str:
    return (resources.files("tcvs.page") / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _colours(
    commits: Sequence[Mapping[str, Any]], branches: Mapping[str, str], head: str | None
) -> dict[str, int]:
    """Give branches colours: the current one first, then those that exist, then the others."""
    names = [head] if head else []
    names += sorted(branches)
    names += sorted({(c.get("state") or {}).get("branch", "") for c in commits})
    return {name: i % graph.COLOURS for i, name in enumerate(dict.fromkeys(names))}


def _branches(
    commits: Sequence[Mapping[str, Any]],
    branches: Mapping[str, str],
    colours: Mapping[str, int],
    head: str | None,
) -> list[dict[str, Any]]:
    counts = Counter((c.get("state") or {}).get("branch", "") for c in commits)
    known = {commit["id"] for commit in commits}
    return [
        {
            "name": name,
            "tip": tip,
            "listed": tip in known,
            "commits": counts[name],
            "colour": colours[name],
            "head": name == head,
        }
        for name, tip in sorted(branches.items(), key=lambda item: (item[0] != head, item[0]))
    ]


def _facts(commits: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Numbers for the head of the page."""
    states = [commit.get("state") or {} for commit in commits]
    agents = sum((s.get("author") or {}).get("kind") == "agent" for s in states)
    pauses = sorted(t["pause"] for s in states if (t := s.get("times_ms") or {}).get("pause"))
    facts = [("commit" if len(commits) == 1 else "commits", str(len(commits)))]
    facts += [("by agents", str(agents))] if agents else []
    if merges := sum(len(c.get("parents", ())) > 1 for c in commits):
        facts.append(("merge" if merges == 1 else "merges", str(merges)))
    if pauses:
        facts.append(("median pause", duration(pauses[len(pauses) // 2])))
    return facts


def _commit(
    commit: Mapping[str, Any],
    row: graph.Row,
    width: int,
    colours: Mapping[str, int],
    pictures: Pictures,
    branches: Mapping[str, str],
    head: str | None,
    diffs: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, Any]:
    state = commit.get("state") or {}
    name = commit["id"]
    subject, _, body = commit.get("message", "").strip().partition("\n")
    tips = sorted((b for b, tip in branches.items() if tip == name), key=lambda b: b != head)
    refs = [r.removeprefix("refs/tags/").removeprefix("tag: ") for r in commit.get("refs", ())]
    records = list(diffs.get(name, ()))
    times = dict(state.get("times_ms") or {})
    return {
        "id": name,
        "short": name[:10],
        "parents": [(p, p[:10]) for p in commit.get("parents", ())],
        "subject": subject or "(no message)",
        "body": body.strip(),
        "tips": [(tip, colours.get(tip, 0), tip == head) for tip in tips],
        "tags": sorted({r for r in refs if r not in branches and not r.startswith("refs/heads/")}),
        "branch": state.get("branch", ""),
        "colour": row.colour,
        "kind": state.get("kind", "commit"),
        "memory": commit.get("memory") or state.get("memory", "none"),
        "author": state.get("author") or {"name": "unknown", "kind": "human"},
        "created": state.get("created") or None,
        "action": _action(state.get("action")),
        "times": sorted(times.items(), key=lambda item: (item[0] != "pause", item[0])),
        "windows": state.get("windows") or [],
        "processes": len(state.get("processes") or ()),
        "merge": state.get("merge"),
        "picture": pictures.of(name),
        "graph": Markup(graph.svg(row, width)),
        "files": [_file(record) for record in records[:_FILES]],
        "more_files": max(0, len(records) - _FILES),
        "added": sum(record.get("added", 0) for record in records),
        "removed": sum(record.get("removed", 0) for record in records),
        "counted": name in diffs,
    }


def _action(action: str | None) -> str | None:
    """Long JSON is indented for reading; anything else stays as it is."""
    if action and len(action) > _LONG_ACTION and action.lstrip().startswith(("{", "[")):
        try:
            return json.dumps(json.loads(action), indent=2, ensure_ascii=False)
        except ValueError:
            return action
    return action


def _file(record: Mapping[str, Any]) -> dict[str, Any]:
    lines = []
    text = record.get("hunks_text") or ""
    every = text.removesuffix("\n").split("\n") if text else []
    old = new = 0
    for line in every[:_LINES]:
        sign = line[:1]
        if sign == "@":
            old, new = _starts(line)
            lines.append(("hunk", "", "", line))
        elif sign == "+":
            lines.append(("add", "", str(new), line[1:]))
            new += 1
        elif sign == "-":
            lines.append(("del", str(old), "", line[1:]))
            old += 1
        elif sign == "\\":
            lines.append(("note", "", "", line[2:]))
        else:
            lines.append(("same", str(old), str(new), line[1:]))
            old, new = old + 1, new + 1
    kind = record.get("kind", "modified")
    return {
        "mark": _MARKS.get(kind, "?"),
        "kind": "permissions" if kind == "metadata" else kind,
        "path": record.get("path", ""),
        "old_path": record.get("old_path"),
        "added": record.get("added", 0),
        "removed": record.get("removed", 0),
        "note": "binary" if record.get("binary") else "large" if record.get("too_large") else "",
        "lines": lines,
        "more_lines": max(0, len(every) - _LINES),
    }


def _starts(line: str) -> tuple[int, int]:
    """First line numbers out of ``@@ -1,2 +3,4 @@``; zeros if it is not one."""
    try:
        _, old, new, *_ = line.split(" ")
        return int(old[1:].split(",")[0]), int(new[1:].split(",")[0])
    except ValueError:
        return 0, 0


def ago(then: float, now: float) -> str:
    """Return how long ago ``then`` was, in the largest unit that fits."""
    seconds = max(0, int(now - then))
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now" if seconds < 5 else f"{seconds} seconds ago"


def stamp(when: float) -> str:
    """Return a time for reading, UTC; the page's script turns it into the reader's own."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(when))


def iso(when: float) -> str:
    """Return a time for ``<time datetime>``."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))


def duration(milliseconds: float) -> str:
    """Return a duration in the unit in which it is easiest to read."""
    if milliseconds >= 10_000:
        return f"{milliseconds / 1000:.1f} s"
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.2f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"
