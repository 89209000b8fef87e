"""What happens in the demo, step by step, and what is checked at each."""

from __future__ import annotations

import io
import time
from itertools import zip_longest
from typing import Any

from PIL import Image

from tcvs.demo import documents, drive, windows
from tcvs.demo.claims import CURSOR, Claims, differing
from tcvs.demo.desktop import Desktop
from tcvs.demo.drive import MAIN, SCRIPTS
from tcvs.demo.stage import AUTHOR, IMAGE, LAST, Names
from tcvs.demo.tell import Teller
from tcvs_core.keeper.client import Keeper

#: So many pixels of a window at least differ after something was typed, clicked or scrolled.
_VISIBLE = 100
#: Programs that a desktop cannot lack; services that end by themselves are not among them.
_PROGRAMS = ("labwc", "xfce4-panel", "xfdesktop", "mousepad", "chromium", "soffice.bin")
_NOTES = "Main's own file, written after the branches had left.\n"


class Story:
    """One run.  Every method raises NotSo when something that it claims is not so."""

    def __init__(self, keeper: Keeper, names: Names, teller: Teller) -> None:
        self.keeper = keeper
        self.names = names
        self.teller = teller
        self.main = Desktop(keeper, names.main)
        self.explore = {letter: Desktop(keeper, names.explore(letter)) for letter in SCRIPTS}
        self.pictures: dict[str, Image.Image] = {}  # by what they show
        self.first = ""  # the commit "Documents open"
        self.merged = ""  # the commit of the second merge

    @property
    def claims(self) -> Claims:
        return self.teller.claims

    def build(self) -> None:
        """Build the image where the repository has none."""
        if any(image["name"] == IMAGE for image in self.keeper.call("image_list")):
            return
        with (
            self.teller.step("Build the image: a Debian desktop with browser and office"),
            self.teller.bar("image") as bar,
        ):
            self.keeper.call("image_build", recipe=IMAGE, on_event=bar.event)

    def start(self) -> None:
        """Start the desktop and open the documents."""
        width, height = windows.SCREEN
        with self.teller.step(f"Start the desktop {self.names.main}"):
            begin = time.monotonic()
            self.keeper.call(
                "up", branch=self.names.main, image=IMAGE, screen=f"{width}x{height}", net=False
            )
            self.teller.timed("start", None, (time.monotonic() - begin) * 1000)
        with self.teller.step("Open a report in the editor, a plan in Writer, a page in Chromium"):
            drive.open_documents(self.main)
            self._look("start", self.main)
            titles = self.main.titles()
            self.claims.check(
                all(any(p.title in title for title in titles) for p in windows.PLACES),
                "editor, Writer and Chromium show their documents",
                titles,
            )

    def commit(self) -> None:
        """Commit the running desktop."""
        with self.teller.step("Commit the running desktop"):
            begin = time.monotonic()
            made = self.keeper.call(
                "commit", branch=self.names.main, message="Documents open", author=AUTHOR
            )
            self.teller.timed("commit", made["pause_ms"], (time.monotonic() - begin) * 1000)
            self.first = made["id"]

    def fork(self) -> None:
        """Fork the running desktop into three."""
        for letter, desktop in self.explore.items():
            with self.teller.step(f"Fork the live desktop: {desktop.branch}"):
                begin = time.monotonic()
                made = self.keeper.call(
                    "branch_create",
                    name=desktop.branch,
                    source=self.names.main,
                    author=AUTHOR,
                    action=f"try idea {letter}",
                )
                total = (time.monotonic() - begin) * 1000
                self.teller.timed(f"fork {desktop.branch}", made["pause_ms"], total)
        with self.teller.step("Compare the four desktops"):
            titles, programs = self.main.titles(), self.main.programs(_PROGRAMS)
            self.claims.check(
                len(programs) == len(_PROGRAMS), "main runs all its programs", programs
            )
            for desktop in self.explore.values():
                self._look(f"born {desktop.branch}", desktop)
                self._same("start", f"born {desktop.branch}", f"{desktop.branch} looks as main did")
                self.claims.check(
                    desktop.titles() == titles, f"{desktop.branch} has the windows of main"
                )
                found = desktop.programs(_PROGRAMS)
                self.claims.check(
                    found == programs,
                    f"{desktop.branch} runs the programs of main, as the same processes",
                    found,
                )

    def work(self) -> None:
        """Drive each desktop in its own way; what is done in one must be in no other."""
        for letter, desktop in self.explore.items():
            with self.teller.step(f"Work in {desktop.branch}: type, save, vote in the browser"):
                drive.drive(desktop, SCRIPTS[letter])
                self._look(desktop.branch, desktop)
                self._look("main meanwhile", self.main)
                self._same("start", "main meanwhile", f"main saw nothing of {desktop.branch}")
        with self.teller.step("Work in main as well"):
            drive.write_report(self.main, MAIN)
            self.main.write(documents.NOTES, _NOTES.encode())
            self.main.settle()
            self._look(self.names.main, self.main)
        with self.teller.step("Compare files and pictures of all branches"):
            self._isolated()

    def _isolated(self) -> None:
        for letter, desktop in self.explore.items():
            script, name = SCRIPTS[letter], desktop.branch
            self._file(desktop, documents.REPORT, drive.expected_report(script))
            text = documents.plan_text(desktop.read(documents.PLAN))
            ideas = [s.idea for s in SCRIPTS.values() if s.idea is not None and s.idea in text]
            self.claims.check(ideas == [script.idea], f"the plan of {name} holds its idea only")
            self.claims.check(
                desktop.has_window(script.title), f"{name} counts {script.votes} votes"
            )
            self.claims.check(not desktop.read(documents.NOTES), f"{name} has no notes of main's")
            self._look("again", desktop)
            self._same(name, "again", f"{name} did not change while main and others worked")
            for place in windows.PLACES:
                count = differing(self.pictures["start"], self.pictures[name], place.box)
                self.claims.check(
                    count >= _VISIBLE, f"{place.title} of {name} looks different now", count
                )
        self._file(self.main, documents.REPORT, drive.expected_report(MAIN))
        untouched = self.main.read(documents.PLAN) == documents.plan()
        self.claims.check(untouched, "the plan of main is untouched")
        self.claims.check(self.main.has_window("Votes: 0"), "main counts no votes")

    def merge(self) -> None:
        """Bring one document from each of two branches home."""
        a, b = self.explore["a"], self.explore["b"]
        windows_before = self.main.titles()
        for desktop, path in ((a, documents.REPORT), (b, documents.PLAN)):
            with self.teller.step(f"Merge {path.rpartition('/')[2]} of {desktop.branch} into main"):
                begin = time.monotonic()
                result = self.keeper.call(
                    "merge",
                    branch=desktop.branch,
                    into=self.names.main,
                    paths=[path.replace("/home/user", "~")],
                    author=AUTHOR,
                )
                total = (time.monotonic() - begin) * 1000
                self.teller.timed(f"merge {desktop.branch}", result["pause_ms"], total)
                self.claims.check(
                    result["applied"] and not result["conflicts"], "it merged without a conflict"
                )
                self.merged = result["commit"]
        with self.teller.step("Look at what the merges did"):
            self._file(self.main, documents.REPORT, drive.expected_report(SCRIPTS["a"], MAIN))
            self.claims.check(
                self.main.read(documents.PLAN) == b.read(documents.PLAN),
                f"main has the plan of {b.branch}, byte for byte",
            )
            self._file(self.main, documents.NOTES, _NOTES)
            self.claims.check(self.main.titles() == windows_before, "main kept its windows")
        with self.teller.step("Read the merged documents again in main's windows"):
            drive.reload(self.main)
            self._look("merged", self.main)
            for place in (windows.EDITOR, windows.WRITER):
                count = differing(
                    self.pictures[self.names.main], self.pictures["merged"], place.page
                )
                self.claims.check(count >= _VISIBLE, f"{place.title} shows what was merged", count)
            self._file(self.main, documents.REPORT, drive.expected_report(SCRIPTS["a"], MAIN))

    def roll_back(self) -> None:
        """Put main back to its first commit, and take that back."""
        with self.teller.step("Roll main back to the commit"):
            result = self.keeper.call("rollback", target=self.first, branch=self.names.main)
            self.teller.timed("rollback", None, result["seconds"] * 1000)
            self.main.settle()
            self._look("rolled back", self.main)
            self._same("start", "rolled back", "main looks as it did at the commit")
            self._file(self.main, documents.REPORT, documents.REPORT_TEXT)
            self.claims.check(
                self.main.read(documents.PLAN) == documents.plan(), "main has its first plan"
            )
            self.claims.check(not self.main.read(documents.NOTES), "main's later notes are gone")
            for desktop in self.explore.values():
                self._look("again", desktop)
                self._same(desktop.branch, "again", f"{desktop.branch} was not touched")
        with self.teller.step("Take the rollback back"):
            result = self.keeper.call("undo", branch=self.names.main)
            self.teller.timed("undo", None, result["seconds"] * 1000)
            self.main.settle()
            self._look("undone", self.main)
            self._same("merged", "undone", "main looks as it did after the merges")
            self._file(self.main, documents.REPORT, drive.expected_report(SCRIPTS["a"], MAIN))
            self._file(self.main, documents.NOTES, _NOTES)

    def end(self, keep: bool) -> None:
        """Wait until all is durable; stop the desktops unless they are to be kept."""
        with self.teller.step("Wait until every commit is on disk"):
            tips = {branch["name"]: branch["commit"] for branch in self.keeper.call("branch_list")}
            for name in self.names.all:
                memory = self.keeper.call("wait", revision=tips[name])["memory"]
                self.claims.check(memory == "durable", f"{name} is durable, memory and files")
        if not keep:
            with self.teller.step("Stop the desktops"):
                for name in (self.names.explore(letter) for letter in "abc"):
                    self.keeper.call("down", branch=name, commit=False)
                self.keeper.call("down", branch=self.names.main, message=LAST)

    # -- looking

    def _look(self, what: str, desktop: Desktop) -> None:
        self.pictures[what] = desktop.picture()

    def _same(self, one: str, other: str, claim: str) -> None:
        """Claim that two pictures show the same in all windows, but for a cursor that blinks."""
        for place in windows.PLACES:
            count = differing(self.pictures[one], self.pictures[other], place.box)
            if count > CURSOR:
                self.claims.check(False, claim, f"{count} pixels differ in {place.title}")
        self.claims.check(True, claim)

    def _file(self, desktop: Desktop, path: str, text: str) -> None:
        found = desktop.read(path).decode(errors="replace")
        name = path.rpartition("/")[2]
        self.claims.check(
            found == text, f"{name} of {desktop.branch} is as it should be", _first(found, text)
        )


def _first(found: str, wanted: str) -> str:
    """Say where a text is not what was wanted."""
    pairs = zip_longest(found.splitlines(), wanted.splitlines())
    for number, (is_, ought) in enumerate(pairs, 1):
        if is_ != ought:
            return f"line {number} is {is_!r} and not {ought!r}"
    return ""


def png(picture: Image.Image) -> bytes:
    """Return ``picture`` as PNG."""
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=6)
    return out.getvalue()


def log_of(keeper: Keeper, names: Names) -> dict[str, Any]:
    """Return the log of the demo's branches."""
    result: dict[str, Any] = keeper.call("log", revisions=names.all)
    return result
