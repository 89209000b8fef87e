"""Screenshots beside the page: the whole picture, and a small one for the row."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

#: Width of the small picture; the page shows it at half of that, for sharp displays.
SMALL = 440


@dataclass(frozen=True)
class Picture:
    """Addresses relative to the page, and the size of the whole picture in pixels."""

    whole: str
    small: str
    width: int
    height: int


class Pictures:
    """Writes what ``source`` gives for a commit id to ``directory`` of the page, once each."""

    def __init__(self, directory: Path, source: Callable[[str], bytes | None]) -> None:
        self.directory = directory
        self.source = source
        self._known: dict[str, Picture | None] = {}

    def of(self, commit: str) -> Picture | None:
        """Return the picture of a commit; None when it has none or it cannot be read."""
        data = self.source(commit)
        if not data:
            return None
        digest = hashlib.sha256(data).hexdigest()[:20]
        if digest not in self._known:
            self._known[digest] = self._write(data, digest)
        return self._known[digest]

    def _write(self, data: bytes, digest: str) -> Picture | None:
        try:
            with Image.open(io.BytesIO(data)) as picture:
                suffix = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}[picture.format or ""]
                size = picture.size
                small = picture.convert("RGB")
                small.thumbnail((SMALL, SMALL), Image.Resampling.LANCZOS)
        except (OSError, ValueError, KeyError, SyntaxError, Image.DecompressionBombError):
            return None
        self.directory.mkdir(parents=True, exist_ok=True)
        whole = self.directory / f"{digest}.{suffix}"
        whole.write_bytes(data)
        little = self.directory / f"{digest}-small.jpg"
        small.save(little, "JPEG", quality=84)
        name = self.directory.name
        return Picture(f"{name}/{whole.name}", f"{name}/{little.name}", *size)
