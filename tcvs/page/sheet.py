"""Contact sheets: many screenshots on one picture, each with its label."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

#: Width of one picture on the sheet, pixels.
TILE = 480
_GAP = 24
_LABEL = 34
_PAPER = (246, 246, 244)
_INK = (38, 40, 44)
_EDGE = (205, 205, 200)
_EMPTY = (228, 228, 224)


def contact_sheet(pictures: Sequence[tuple[str, bytes]], columns: int = 3) -> bytes:
    """Return a PNG with all ``pictures`` (label, PNG or JPEG bytes) in rows of ``columns``.

    A picture that cannot be read is shown as an empty frame.  Raises ValueError when there are no
    pictures or no columns.
    """
    if not pictures or columns < 1:
        raise ValueError("a contact sheet needs at least one picture and one column")
    columns = min(columns, len(pictures))
    tiles = [_tile(data) for _, data in pictures]
    height = (
        max(tile.height for tile in tiles if tile is not None) if any(tiles) else TILE * 9 // 16
    )
    rows = -(-len(pictures) // columns)
    sheet = Image.new(
        "RGB",
        (_GAP + columns * (TILE + _GAP), _GAP + rows * (height + _LABEL + _GAP)),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=18)
    for index, ((label, _), tile) in enumerate(zip(pictures, tiles, strict=True)):
        row, column = divmod(index, columns)
        x = _GAP + column * (TILE + _GAP)
        y = _GAP + row * (height + _LABEL + _GAP)
        frame = (x - 1, y - 1, x + TILE, y + (tile.height if tile is not None else height))
        draw.rectangle(frame, fill=_EMPTY, outline=_EDGE)
        if tile is not None:
            sheet.paste(tile, (x, y))
        bottom = frame[3] + 9
        draw.text((x, bottom), _shorten(draw, label, font), fill=_INK, font=font)
    output = io.BytesIO()
    sheet.save(output, "PNG", optimize=True)
    return output.getvalue()


def _tile(data: bytes) -> Image.Image | None:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            height = max(1, round(picture.height * TILE / picture.width))
            return picture.convert("RGB").resize((TILE, height), Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _shorten(
    draw: ImageDraw.ImageDraw, label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> str:
    label = " ".join(label.split())
    if draw.textlength(label, font=font) <= TILE:
        return label
    while label and draw.textlength(label + "...", font=font) > TILE:
        label = label[:-1]
    return label + "..."
