"""What all benchmarks share: options, statistics, the table, the JSON file.

JSON: ``{"machine": {...}, "results": [{"name", "engine", "metric", "unit", "median", "p10", "p90",
"n"}], "ratios": {...}}``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

DEFAULT_REPO = Path("/var/lib/tcvs")


@dataclass(frozen=True)
class Result:
    """One measured quantity; ``p10`` and ``p90`` are percentiles of the ``n`` samples."""

    name: str
    engine: str
    metric: str
    unit: str
    median: float
    p10: float
    p90: float
    n: int


def summary(name: str, engine: str, metric: str, unit: str, samples: Sequence[float]) -> Result:
    """Sum up ``samples``, of which there is at least one."""
    low, high = min(samples), max(samples)
    if len(samples) > 1:
        tenths = statistics.quantiles(samples, n=10, method="inclusive")
        low, high = tenths[0], tenths[-1]
    median = statistics.median(samples)
    return Result(
        name, engine, metric, unit, round(median, 3), round(low, 3), round(high, 3), len(samples)
    )


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="few rounds, for a first look")
    made.add_argument("--rounds", type=int, metavar="N", help="how often; default 20, quick 3")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    made.add_argument(
        "--desktop", choices=("desktop", "mini"), default="desktop", help="which image is forked"
    )
    made.add_argument(
        "--repo", type=Path, default=DEFAULT_REPO, metavar="DIR", help="made when missing"
    )
    return made


def rounds(options: argparse.Namespace) -> int:
    """Return how often to measure."""
    return int(options.rounds or (3 if options.quick else 20))


def machine() -> dict[str, Any]:
    """Describe the machine, and how busy it is with other things at the moment."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpus": os.cpu_count(),
        "cpu": model,
        "memory_mb": pages >> 20,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def show(title: str, results: Sequence[Result], notes: Sequence[str] = ()) -> None:
    """Print the results as a table."""
    table = Table(title=title, title_justify="left")
    for number, head in enumerate(("metric", "median", "p10", "p90", "unit", "n")):
        table.add_column(head, justify="left" if number in (0, 4) else "right")
    for result in results:
        numbers = [f"{value:,.1f}" for value in (result.median, result.p10, result.p90)]
        table.add_row(result.metric, *numbers, result.unit, str(result.n))
    console = Console()
    console.print(table)
    for note in notes:
        console.print(note, highlight=False)


def write(path: Path, results: Sequence[Result], ratios: dict[str, float]) -> None:
    """Write the JSON file."""
    data = {
        "machine": machine(),
        "results": [asdict(result) for result in results],
        "ratios": ratios,
    }
    path.write_text(json.dumps(data, indent=1) + "\n")
