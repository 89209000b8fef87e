"""How long a fork of a running desktop takes, through the real keeper.

Each round forks a desktop, types other text into both sides, looks whether each side has its own
and not the other's, waits until the fork point is durable, and deletes the branch.

    pause_ms            how long the source stood still, as the engine tells
    heartbeat_ms        the same, as a program in the source saw it: its longest gap
    running_ms          from the request until the branch takes input
    first_frame_ms      from the request until a program in the branch has drawn something new
    total_ms            from the request to the answer
    outside_ms          total_ms without what the engine did (capturing and restoring)
    added_mb            memory of the branch: sum of the PSS of its processes
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import harness

from tcvs.demo import documents
from tcvs.demo.claims import NotSo
from tcvs.demo.desktop import Desktop
from tcvs.demo.stage import open_repository
from tcvs_core.errors import RemoteError, TcvsError
from tcvs_core.keeper.client import Keeper
from tcvs_core.live.container import WAYLAND
from tcvs_core.live.screen import Screen

SOURCE, COPY = "bench-source", "bench-copy"
TEXT = "/home/user/bench.txt"
GAPS = "/home/user/gaps.txt"
#: Runs in a terminal of the desktop: notes its gaps, and draws a number fifty times a second.
HEARTBEAT = f"""
import time
last = shown = time.monotonic()
count = 0
while True:
    time.sleep(0.002)
    now = time.monotonic()
    if now - last > 0.02:
        with open({GAPS!r}, "a") as file:
            file.write(f"{{now}} {{(now - last) * 1000}}\\n")
    last = now
    if now - shown > 0.02:
        count, shown = count + 1, now
        print(f"\\r{{count}}", end="", flush=True)
"""
UNITS = {"added_mb": "MB"}
METRICS = (
    "pause_ms",
    "heartbeat_ms",
    "running_ms",
    "first_frame_ms",
    "total_ms",
    "outside_ms",
    "added_mb",
)


def start(keeper: Keeper, image: str) -> Desktop:
    """Start the source with its programs; return it when nothing but the heartbeat moves."""
    if not any(found["name"] == image for found in keeper.call("image_list")):
        print(f"building the image {image}, this takes minutes", file=sys.stderr)
        keeper.call("image_build", recipe=image)
    remove(keeper)
    left = {found["name"]: found for found in keeper.call("branch_list")}
    if SOURCE in left:  # it is the current branch, so it could not be removed
        keeper.call("up", branch=SOURCE, fresh=True)
    else:
        keeper.call("up", branch=SOURCE, image=image)
    source = Desktop(keeper, SOURCE)
    source.run("rm", "-f", GAPS)
    source.write(TEXT, b"Typed here:\n")
    source.write("/home/user/heartbeat.py", HEARTBEAT.encode())
    source.start("foot", "-T", "heartbeat", "python3", "/home/user/heartbeat.py")
    titles = ["heartbeat"]
    if image == "desktop":
        source.write(documents.PLAN, documents.plan())
        source.write(documents.PAGE, documents.page().encode())
        source.start("thunar")
        source.start("chromium", f"file://{documents.PAGE}")
        source.start("soffice", "--writer", "--norestore", documents.PLAN)
        titles += ["Thunar", "Votes:", "plan.odt"]
    for title in titles:
        source.wait_window(title)
    time.sleep(5)  # programs go on loading behind their first window
    source.start("mousepad", TEXT)
    source.wait_window("bench.txt")
    time.sleep(1)
    return source


def remove(keeper: Keeper) -> None:
    """Take away what an earlier run left."""
    for branch in keeper.call("branch_list"):
        if branch["name"] in (SOURCE, COPY):
            if branch["running"]:
                keeper.call("down", branch=branch["name"], commit=False)
            if not branch["current"]:
                keeper.call("branch_delete", names=[branch["name"]], force=True)


def one_round(source: Desktop, number: int) -> dict[str, float]:
    """Fork once; return what was measured.  Raises NotSo when a side is not as it should be."""
    keeper = source.keeper
    source.act({"do": "activate", "window": "heartbeat"}, {"do": "wait", "seconds": 0.5})
    begin = time.monotonic()
    made = keeper.call("branch_create", name=COPY, source=SOURCE)
    end = time.monotonic()
    (branch,) = made["branches"]
    first_frame = wait_frame(branch["pid"]) - begin
    copy = Desktop(keeper, COPY)
    rows = {row["branch"]: row for row in keeper.call("ps")}
    total = (end - begin) * 1000
    times = made["times_ms"]
    prove(source, copy, number)
    found = {
        "pause_ms": made["pause_ms"],
        "heartbeat_ms": longest_gap(source, begin, end + 0.1),
        "running_ms": branch["running_ms"],
        "first_frame_ms": first_frame * 1000,
        "total_ms": total,
        "outside_ms": total - times["dump"] - times[f"restore[{COPY}]"],
        "added_mb": rows[COPY]["memory"] / 1e6,
    }
    keeper.call("wait", revision=made["commit"])
    keeper.call("branch_delete", names=[COPY], force=True)
    return found


def wait_frame(pid: int) -> float:
    """Wait until the picture changes on the screen of the desktop whose first process is ``pid``.

    Returns time.monotonic().  Raises NotSo.
    """
    limit = time.monotonic() + 20
    with Screen(Path(f"/proc/{pid}/root") / WAYLAND) as screen:
        first = screen.capture(cursor=False).data
        while time.monotonic() < limit:
            if screen.capture(cursor=False).data != first:
                return time.monotonic()
    raise NotSo("nothing moves in the branch")


def prove(source: Desktop, copy: Desktop, number: int) -> None:
    """Type other text into both, save, and compare the files.  Raises NotSo."""
    words = {source: f"source {number}.", copy: f"branch {number}."}
    for desktop, word in words.items():
        desktop.act({"do": "activate", "window": "bench.txt"}, {"do": "wait", "seconds": 0.2})
        for _ in range(5):  # a busy program may not listen yet to a keyboard that has just come
            desktop.act({"do": "key", "keys": "ctrl+End"}, {"do": "type", "text": f"{word}\n"})
            time.sleep(0.1)
            desktop.act({"do": "key", "keys": "ctrl+s"})
            time.sleep(0.2)
            if word in desktop.read(TEXT).decode():
                break
    texts = {desktop: desktop.read(TEXT).decode() for desktop in words}
    for desktop, word in words.items():
        for other, text in texts.items():
            if (word in text) != (desktop is other):
                raise NotSo(f"{other.branch} has the text {text!r} after {word!r} was typed")


def longest_gap(source: Desktop, begin: float, end: float) -> float:
    """Return the longest gap in milliseconds that ended between two monotonic times."""
    gaps = [line.split() for line in source.read(GAPS).decode().splitlines()]
    return max((float(gap) for when, gap in gaps if begin <= float(when) <= end), default=0.0)


def main() -> int:
    """Measure; exit status 0 when every fork succeeded."""
    options = harness.parser(__doc__).parse_args()
    wanted = harness.rounds(options)
    samples: list[dict[str, float]] = []
    failures: list[str] = []
    try:
        keeper = open_repository(options.repo.absolute())
        engine = keeper.call("ping")["engine"]
        source = start(keeper, options.desktop)
        count = len(keeper.call("status", branch=SOURCE)["processes"])
        for number in range(1, wanted + 1):
            try:
                samples.append(one_round(source, number))
                print(f"{number}/{wanted}: {describe(samples[-1])}", file=sys.stderr)
            except (NotSo, RemoteError) as error:
                failures.append(f"round {number}: {error}")
                print(failures[-1], file=sys.stderr)
                if COPY in {branch["name"] for branch in keeper.call("branch_list")}:
                    keeper.call("branch_delete", names=[COPY], force=True)
        remove(keeper)
    except TcvsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    results: list[Any] = [
        harness.summary(f"fork-{options.desktop}", engine, metric, UNITS.get(metric, "ms"),
                        [sample[metric] for sample in samples])
        for metric in METRICS if samples
    ]  # fmt: skip
    harness.show(
        f"Fork of {options.desktop}, {count} processes, engine {engine}",
        results,
        [f"{len(samples)} of {wanted} forks in a row: both sides alive, typed text differs."],
    )
    if options.json is not None:
        by_metric = {result.metric: result.median for result in results}
        ratios = {}
        if by_metric.get("pause_ms"):
            ratios["heartbeat_ms/pause_ms"] = round(
                by_metric["heartbeat_ms"] / by_metric["pause_ms"], 3
            )
        harness.write(options.json, results, ratios)
    return 1 if failures else 0


def describe(sample: dict[str, float]) -> str:
    """Return one sample on one line."""
    return ", ".join(f"{name} {value:.0f}" for name, value in sample.items())


if __name__ == "__main__":
    sys.exit(main())
