"""tcvs screenshot"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tcvs.context import Context
from tcvs.render import units
from tcvs_core.errors import UsageError

EXAMPLES = """
tcvs screenshot
tcvs screenshot now.jpg -b explore-1 --quality 70
tcvs screenshot - --scale 0.5 | display
"""

_FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}


def screenshot(
    here: Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Where to; `-` is standard output.")
    ] = "screenshot.png",
    branch: Annotated[
        str | None, typer.Option("--branch", "-b", metavar="BRANCH", help="Whose screen.")
    ] = None,
    kind: Annotated[
        Literal["png", "jpeg"] | None,
        typer.Option("--format", help="By FILE's name, else png."),
    ] = None,
    quality: Annotated[
        int, typer.Option(metavar="1-100", help="Quality of a JPEG.", min=1, max=100)
    ] = 80,
    region: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="Only this part, in pixels.")
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(metavar="F", help="Make it smaller, such as 0.5.", min=0.01, max=1),
    ] = None,
) -> None:
    """Save a picture of a desktop's screen."""
    chosen = kind or _format(file)
    part = _region(region) if region is not None else None
    if file == "-" and here.out.is_tty:
        raise UsageError(
            "a picture would garble this terminal", hint="name a FILE, or send it through a pipe"
        )
    if file == "-" and here.json:
        raise UsageError("standard output cannot take both a picture and JSON")
    shot = here.call(
        "screenshot", branch=branch, format=chosen, quality=quality, region=part, scale=scale
    )
    data: bytes = shot["data"]
    if file == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    Path(file).write_bytes(data)
    facts: dict[str, Any] = {key: value for key, value in shot.items() if key != "data"}
    result = {"path": str(Path(file).absolute()), "bytes": len(data), **facts}
    where = f"{shot['width']}x{shot['height']}, {units.size(len(data))}"
    here.say(result, lambda: f"{file}: {where}, {units.milliseconds(shot.get('ms'))}")


def _format(file: str) -> str:
    suffix = Path(file).suffix.lower()
    if file == "-" or not suffix:
        return "png"
    if suffix not in _FORMATS:
        raise UsageError(
            f"no picture format goes by the name {suffix!r}",
            subject=file,
            hint="use .png or .jpg, or --format",
        )
    return _FORMATS[suffix]


def _region(text: str) -> list[int]:
    parts = text.replace("x", ",").split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise UsageError(f"{text!r} is no region", subject=text, hint="such as 0,0,640,360")
    return [int(part) for part in parts]


COMMAND = screenshot
