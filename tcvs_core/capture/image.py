"""An engine's image directory, to a Sink.

An image is a flat directory of ordinary files that one engine writes and reads.  Saving gives each
file to a ``Sink`` under its name; nothing is interpreted here, so that a new engine needs no new
store.  A state's memory exists only after ``commit`` has returned.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

#: Told a stage, the fraction of the whole done (0 to 1), and a detail.
Progress = Callable[[str, float, str], None]

#: Logs and scratch files of an engine that are of no use for bringing the image back.
_SKIP_SUFFIXES = (".log", ".tmp")


class Sink(Protocol):
    """Where the files of one image go; all or none of them."""

    def add_file(self, name: str, path: Path, progress: Progress | None = None) -> None:
        """Take one file; ``progress`` is told the fraction of it that is done."""

    def commit(self) -> dict[str, Any]:
        """Make all of it durable and return statistics."""

    def abort(self) -> None:
        """Forget all of it."""


def members(image: Path) -> list[Path]:
    """Return the files of ``image`` that are worth keeping, sorted by name."""
    return sorted(p for p in image.iterdir() if p.is_file() and not p.name.endswith(_SKIP_SUFFIXES))


def save(image: Path, sink: Sink, progress: Progress | None = None) -> dict[str, Any]:
    """Write the image in directory ``image`` to ``sink``; return the sink's statistics.

    On any error the sink is aborted.
    """
    files = members(image)
    sizes = {file.name: file.stat().st_size for file in files}
    total = sum(sizes.values()) or 1
    before = 0

    def advance(stage: str, fraction: float, detail: str) -> None:
        if progress is not None:
            progress(stage, (before + fraction * sizes[file.name]) / total, detail)

    try:
        for file in files:
            sink.add_file(file.name, file, advance)
            before += sizes[file.name]
        return sink.commit()
    except BaseException:
        sink.abort()
        raise
