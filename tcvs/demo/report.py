"""What the demo leaves to look at: pictures, a contact sheet, and the history as a page."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from tcvs.demo.stage import Names
from tcvs.demo.story import Story, png
from tcvs.demo.tell import milliseconds
from tcvs.page import contact_sheet, render_log_page
from tcvs_core.errors import RemoteError
from tcvs_core.keeper.client import Keeper

SHEET = "contact-sheet.png"


def write(story: Story, log: dict[str, Any], directory: Path) -> Path:
    """Write pictures, sheet and page into ``directory``; return the path of the page."""
    directory.mkdir(parents=True, exist_ok=True)
    shown = _pictures(story)
    for label, data in shown:
        (directory / f"{_slug(label)}.png").write_bytes(data)
    (directory / SHEET).write_bytes(contact_sheet(shown, columns=3))
    names = story.names
    commits = log["commits"]
    branches = {name: tip for name, tip in log["branches"].items() if name in names.all}
    return render_log_page(
        commits,
        directory,
        head=names.main,
        branches=branches,
        screenshots=lambda commit: story.keeper.call("show", revision=commit)["screenshot"],
        diffs=_diffs(story.keeper, commits),
        title="tcvs: one desktop, four lives",
        extra_sections=_sections(story),
    )


def _pictures(story: Story) -> list[tuple[str, bytes]]:
    names: Names = story.names
    wanted = [("start", f"{names.main}, committed")]
    wanted += [(names.explore(letter), names.explore(letter)) for letter in story.explore]
    wanted += [("merged", f"{names.main}, after the merges")]
    wanted += [("rolled back", f"{names.main}, rolled back")]
    return [(label, png(story.pictures[what])) for what, label in wanted]


def _slug(label: str) -> str:
    return "-".join(label.replace(",", " ").split())


def _diffs(keeper: Keeper, commits: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the text records of each commit against its first parent, documents only."""
    found: dict[str, list[dict[str, Any]]] = {}
    for commit in commits:
        if not commit["parents"]:
            continue
        try:
            result = keeper.call(
                "diff", a=commit["parents"][0], b=commit["id"], paths=["~/Documents"]
            )
        except RemoteError:
            continue  # files of a state may have been removed since
        found[commit["id"]] = [r for r in result["files"] if "/.~lock." not in r["path"]]
    return found


def _sections(story: Story) -> list[tuple[str, str]]:
    teller = story.teller
    sheet = (
        f'<a href="{SHEET}"><img src="{SHEET}" style="max-width:100%;height:auto" '
        'alt="Screenshots of all branches, side by side"></a>'
    )
    engine = _table(
        ("operation", "source stood still", "in all"),
        [(name, milliseconds(pause), milliseconds(total)) for name, pause, total in teller.engine],
    )
    steps = _table(("step", "time"), [(n, f"{s:.1f} s") for n, s, _ in teller.steps])
    claims = "<ul>" + "".join(f"<li>{escape(c)}</li>" for c in teller.claims.made) + "</ul>"
    count = len(teller.claims.made)
    return [
        ("All branches", sheet),
        ("Times", engine),
        (
            "What was checked",
            f"<details><summary>{count} claims, all of them so</summary>{claims}</details>",
        ),
        ("Steps", f"<details><summary>{len(teller.steps)} steps</summary>{steps}</details>"),
    ]


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...], tag: str) -> str:
        return (
            "<tr>"
            + "".join(
                f'<{tag} style="text-align:{"right" if i else "left"};padding:0 1.2em 0 0">'
                f"{escape(cell)}</{tag}>"
                for i, cell in enumerate(cells)
            )
            + "</tr>"
        )

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(heads, 'th')}</thead><tbody>{body}</tbody></table>"
