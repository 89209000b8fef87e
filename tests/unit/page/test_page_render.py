"""The history page: everything is on it, nothing on it comes from elsewhere or runs."""

from __future__ import annotations

import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tcvs.page import PageError, contact_sheet, render_log_page
from tcvs.page.render import ago, duration
from tcvs_core.model import Author, Commit, State, Window

NOW = 1_800_000_000.0


def name(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def commit(text: str, parents: list[str], **extra: Any) -> dict[str, Any]:
    state = State(
        state="s",
        branch=extra.pop("branch", "main"),
        kind=extra.pop("kind", "commit"),
        image="mini",
        created=NOW - extra.pop("age", 60),
        **extra,
    )
    return Commit(name(text), [name(p) for p in parents], text, state, "durable").to_dict()


def png(colour: str) -> bytes:
    output = io.BytesIO()
    Image.new("RGB", (1280, 720), colour).save(output, "PNG")
    return output.getvalue()


class Elements(HTMLParser):
    """All elements of a page; fails on ones that are not closed in order."""

    VOID = frozenset({"meta", "img", "br", "circle", "line", "path"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.found if found == tag]


def render(tmp_path: Path, commits: list[dict[str, Any]], **extra: Any) -> str:
    settings: dict[str, Any] = {
        "head": "main",
        "branches": {"main": commits[0]["id"]} if commits else {},
        "screenshots": lambda _: None,
        "now": NOW,
        **extra,
    }
    return render_log_page(commits, tmp_path / "out", **settings).read_text(encoding="utf-8")


def test_tells_who_did_what_when(tmp_path: Path) -> None:
    commits = [
        commit(
            "Second\n\nand why",
            ["First"],
            author=Author("robo", kind="agent"),
            action="click 1 2",
            times_ms={"pause": 41.4, "dump": 1234.0},
            windows=[Window("Notes", "mousepad")],
        ),
        commit("First", [], kind="root", age=7200),
    ]
    html = render(tmp_path, commits, title="Desk & co")
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    for expected in (
        "Desk &amp; co",
        "Second",
        "and why",
        "robo agent",
        "click 1 2",
        "pause 41 ms",
        "dump 1.23 s",
        "1 window",
        "Notes",
        "1 minute ago",
        "2 hours ago",
        "2027-01-15 07:59:00 UTC",
        "fresh image",
        name("Second\n\nand why")[:10],
    ):
        assert expected in text, expected


def test_nothing_from_elsewhere_and_nothing_injected(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    commits = [
        commit(
            evil,
            [],
            action=evil,
            author=Author(evil),
            branch=evil,
            windows=[Window(evil, evil)],
            merge={"from": evil, "theirs": evil, "paths": [evil]},
        )
    ]
    record = {
        "path": evil,
        "old_path": evil,
        "kind": "modified",
        "binary": False,
        "hunks_text": f"@@ -1 +1 @@\n-{evil}\n+{evil}\n",
        "added": 1,
        "removed": 1,
    }
    html = render(
        tmp_path,
        commits,
        title=evil,
        branches={evil: commits[0]["id"]},
        diffs={commits[0]["id"]: [record]},
        screenshots=lambda _: png("red"),
    )
    page = Elements(html)
    assert len(page.all("script")) == 1
    for _, attributes in page.found:
        assert not any(key.startswith("on") for key in attributes)
        for key in ("src", "href"):
            if (address := attributes.get(key)) is not None:
                assert address.startswith(("#", "pictures/")), address
    assert not page.all("link")
    assert "http://" not in html and "https://" not in html and "url(" not in html


def test_its_script_is_the_one_that_the_policy_allows(tmp_path: Path) -> None:
    import base64

    html = render(tmp_path, [commit("One", [])])
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = next(m["content"] for m in Elements(html).all("meta") if "http-equiv" in m)
    assert f"script-src 'sha256-{digest}'" in (policy or "")


def test_screenshots_are_written_once_and_linked(tmp_path: Path) -> None:
    commits = [commit("Three", ["Two"]), commit("Two", ["One"]), commit("One", [])]
    given = {name("Three"): png("red"), name("Two"): png("red"), name("One"): b"no picture"}
    html = render(tmp_path, commits, screenshots=given.get)
    page = Elements(html)
    wholes = [a["href"] for a in page.all("a") if a.get("class") == "thumb"]
    assert len(wholes) == 2 and len(set(wholes)) == 1
    assert (tmp_path / "out" / str(wholes[0])).read_bytes() == png("red")
    smalls = [i["src"] for i in page.all("img") if i.get("src")]
    for small in smalls:
        with Image.open(tmp_path / "out" / str(small)) as picture:
            assert picture.width <= 440
    assert len(list((tmp_path / "out" / "pictures").iterdir())) == 2


def test_diffs_have_line_numbers_and_limits(tmp_path: Path) -> None:
    hunks = "@@ -3,2 +5,3 @@\n same\n-old\n+new\n+newer\n\\ No newline at end of file\n"
    long = "@@ -0,0 +1,1000 @@\n" + "+x\n" * 1000
    records = [
        {
            "path": "a.txt",
            "old_path": "b.txt",
            "kind": "modified",
            "binary": False,
            "hunks_text": hunks,
            "added": 2,
            "removed": 1,
        },
        {"path": "long", "kind": "added", "hunks_text": long, "added": 1000, "removed": 0},
        {"path": "pic\udcff", "kind": "added", "binary": True, "hunks_text": ""},
    ]
    records += [{"path": f"f{n}", "kind": "deleted"} for n in range(300)]
    html = render(tmp_path, [commit("One", [])], diffs={name("One"): records})
    rows = re.findall(r'<tr class="(\w+)"><td class="n">(\d*)</td><td class="n">(\d*)</td>', html)
    assert rows[:6] == [
        ("hunk", "", ""),
        ("same", "3", "5"),
        ("del", "4", ""),
        ("add", "", "6"),
        ("add", "", "7"),
        ("note", "", ""),
    ]
    assert "201 more lines" in html
    assert "and 103 more" in html
    assert "303 files changed" in html
    assert "b.txt" in html and "pic?" in html and "binary" in html


def test_graph_tips_and_sections(tmp_path: Path) -> None:
    commits = [
        commit("Merge", ["Main", "Side"], kind="merge"),
        commit("Side", ["Base"], branch="side", age=70),
        commit("Main", ["Base"], age=80),
        commit("Base", [], age=90),
    ]
    html = render(
        tmp_path,
        commits,
        branches={"main": name("Merge"), "side": name("Side"), "old": "f" * 40},
        extra_sections=[("Times", "<table><tr><td>x</td></tr></table>")],
    )
    page = Elements(html)
    assert len([s for s in page.all("svg") if s.get("class") == "graph"]) == 4
    assert "<td>x</td>" in html and '<h2 id="section-0">Times</h2>' in html
    links = [a["href"] for a in page.all("a")]
    assert f"#c-{name('Side')}" in links
    assert "#c-" + "f" * 40 not in links  # that commit is not on the page
    ids = [a["id"] for _, a in page.found if "id" in a]
    assert len(ids) == len(set(ids))


def test_no_commits(tmp_path: Path) -> None:
    assert "No commits yet" in render(tmp_path, [])


def test_unwritable(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(PageError):
        render(tmp_path, [commit("One", [])])


def test_times_for_reading() -> None:
    assert [ago(0, s) for s in (0, 30, 60, 7200, 90000, 200000)] == [
        "just now", "30 seconds ago", "1 minute ago", "2 hours ago", "1 day ago", "2 days ago",
    ]  # fmt: skip
    assert [duration(ms) for ms in (3.14, 41.4, 1234, 12345)] == [
        "3.1 ms",
        "41 ms",
        "1.23 s",
        "12.3 s",
    ]


def test_contact_sheet() -> None:
    sheet = contact_sheet([("a", png("red")), ("b" * 200, png("blue")), ("c", b"bad")], 2)
    with Image.open(io.BytesIO(sheet)) as picture:
        assert picture.format == "PNG"
        assert picture.size == (24 + 2 * 504, 24 + 2 * (270 + 34 + 24))
        assert picture.getpixel((100, 100)) == (255, 0, 0)
        assert picture.getpixel((24 + 504 + 100, 100)) == (0, 0, 255)
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([], 3)
