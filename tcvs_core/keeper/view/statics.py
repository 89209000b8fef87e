"""The files that the page is made of, read once at start.

Requests look names up in a table; no request ever becomes a path.  Reading early also means that
the process can give up its privileges before it talks to anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tcvs_core.errors import TcvsError

_HERE = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
#: The parts of noVNC that a page imports; its own application is left out.
_NOVNC_PARTS = ("core", "vendor")


class NoVncMissing(TcvsError):
    """noVNC's modules are not where they should be."""

    code = "novnc-missing"


@dataclass(frozen=True)
class StaticFile:
    """A file as it is served."""

    body: bytes
    content_type: str


def load(novnc: Path) -> dict[str, StaticFile]:
    """Return every file by its URL path, such as ``/novnc/core/rfb.js``.  Raises NoVncMissing."""
    files = {f"/{path.name}": _read(path) for path in _HERE.iterdir() if path.suffix in _TYPES}
    try:
        for part in _NOVNC_PARTS:
            for path in sorted((novnc / part).rglob("*.js")):
                files[f"/novnc/{path.relative_to(novnc).as_posix()}"] = _read(path)
    except OSError as error:
        raise NoVncMissing(
            f"cannot read noVNC in {novnc}",
            operation="start the viewer",
            subject=str(novnc),
            errno=error.errno,
        ) from error
    if "/novnc/core/rfb.js" not in files:
        raise NoVncMissing(
            f"{novnc} holds no noVNC",
            operation="start the viewer",
            subject=str(novnc),
            hint="`make setup` installs it",
        )
    return files


def _read(path: Path) -> StaticFile:
    return StaticFile(path.read_bytes(), _TYPES[path.suffix])
