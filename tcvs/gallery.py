"""The pictures and the page that ``tcvs log`` writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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

    directory.mkdir(parents=True, exist_ok=True)
    branches = here.call("branch_list")
    render_log_page(
        result["commits"], branches, directory, screenshots=lambda commit: _picture(here, commit)
    )
    return str(directory / "index.html")


def _picture(here: Context, commit: str) -> bytes | None:
    picture: bytes | None = here.call("show", revision=commit).get("screenshot")
    return picture
