"""The pictures and the page that ``tcvs log`` writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcvs.render.changes import has_text
from tcvs_core.errors import RemoteError

if TYPE_CHECKING:
    from tcvs.context import Context

_JPEG = b"\xff\xd8"


def write_pictures(here: Context, result: dict[str, Any], directory: Path) -> list[str]:
    """Save each commit's picture as ``<first digits>.png`` or ``.jpg``; return the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for commit in result["commits"]:
        data = _picture(here, commit["id"])
        if data is None:
            continue
        path = directory / f"{commit['id'][:10]}{'.jpg' if data.startswith(_JPEG) else '.png'}"
        path.write_bytes(data)
        written.append(str(path))
    return written


def write_page(here: Context, result: dict[str, Any], directory: Path) -> str:
    """Write the history page and return the path of its ``index.html``."""
    from tcvs.page import render_log_page

    commits = result["commits"]
    page = render_log_page(
        commits,
        directory,
        head=result.get("head"),
        branches=result.get("branches") or _tips(here),
        screenshots=lambda commit: _picture(here, commit),
        diffs=_differences(here, commits),
    )
    return str(page)


def _tips(here: Context) -> dict[str, str]:
    return {one["name"]: one["commit"] for one in here.call("branch_list") if one["commit"]}


def _picture(here: Context, commit: str) -> bytes | None:
    picture: bytes | None = here.call("show", revision=commit).get("screenshot")
    return picture


def _differences(here: Context, commits: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return by commit the text differences to its first parent, where they can be had."""
    found = {}
    for commit in commits:
        if not commit["parents"]:
            continue
        try:
            files = here.call("diff", a=commit["parents"][0], b=commit["id"])["files"]
        except RemoteError:
            continue  # such as a state that is still being written
        found[commit["id"]] = [record for record in files if has_text(record)]
    return found
