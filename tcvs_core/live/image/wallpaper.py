"""The picture behind the desktop: drawn here, so that no foreign picture is shipped."""

from __future__ import annotations

import io
import math

from PIL import Image, ImageDraw, ImageFilter

WALLPAPER = "usr/share/backgrounds/tcvs.png"
_SIZE = (1920, 1080)


def wallpaper(size: tuple[int, int] = _SIZE) -> bytes:
    """Draw the wallpaper: hills of branching lines at dusk.  Returns a PNG, the same every time."""
    width, height = size
    sky = _gradient(size, (24, 38, 66), (96, 128, 158))
    sun = Image.new("L", size, 0)
    radius = width // 3
    x, y = int(width * 0.74), int(height * 0.62)
    ImageDraw.Draw(sun).ellipse((x - radius, y - radius, x + radius, y + radius), fill=96)
    sun = sun.filter(ImageFilter.GaussianBlur(width / 9))
    picture = Image.composite(Image.new("RGB", size, (232, 190, 160)), sky, sun)
    hills = (
        (0.66, 0.070, 1.3, 0.4, (70, 98, 130)),
        (0.75, 0.055, 1.9, 2.1, (50, 76, 108)),
        (0.84, 0.045, 1.5, 4.0, (34, 56, 86)),
        (0.93, 0.035, 2.3, 5.5, (22, 38, 64)),
    )
    for level, swing, waves, phase, color in hills:
        mask = _hill(size, level, swing, waves, phase)
        shade = _gradient(size, color, tuple(int(part * 0.75) for part in color))
        picture = Image.composite(shade, picture, mask)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def _gradient(size: tuple[int, int], top: tuple[int, ...], bottom: tuple[int, ...]) -> Image.Image:
    column = Image.new("RGB", (1, size[1]))
    for y in range(size[1]):
        part = y / max(1, size[1] - 1)
        color = tuple(round(a + (b - a) * part) for a, b in zip(top, bottom, strict=True))
        column.putpixel((0, y), color)
    return column.resize(size)


def _hill(
    size: tuple[int, int], level: float, swing: float, waves: float, phase: float
) -> Image.Image:
    """Return a mask of everything below a wavy line; drawn twice as large for smooth edges."""
    width, height = size[0] * 2, size[1] * 2
    points = []
    for x in range(0, width + 8, 8):
        turn = x / width * 2 * math.pi
        wave = math.sin(turn * waves + phase) + 0.45 * math.sin(turn * waves * 2.3 + phase * 1.7)
        points.append((x, height * (level + swing * wave)))
    mask = Image.new("L", (width, height), 0)
    ImageDraw.Draw(mask).polygon([(0, height), *points, (width, height)], fill=255)
    return mask.resize(size, Image.Resampling.LANCZOS)
