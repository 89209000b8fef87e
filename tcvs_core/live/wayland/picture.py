"""A picture of the screen in memory, and its encodings."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from tcvs_core.errors import UsageError
from tcvs_core.live.wayland.wire import ScreenError

#: wl_shm formats (names as in the protocol) to Pillow's name of the same bytes in memory.
_LAYOUTS = {
    0: ("BGRX", 4),  # argb8888: a screen has no transparency
    1: ("BGRX", 4),  # xrgb8888
    0x34324258: ("RGBX", 4),  # xbgr8888
    0x34324241: ("RGBX", 4),  # abgr8888
    0x34324742: ("RGB", 3),  # bgr888
    0x34324752: ("BGR", 3),  # rgb888
}

#: x, y, width, height in pixels of the screen.
Region = tuple[int, int, int, int]
#: A factor, or the wanted width and height in pixels.
Scale = float | tuple[int, int]


def bytes_per_pixel(shm_format: int) -> int:
    """Return 3 or 4.  Raises ScreenError for a format that is not known."""
    if shm_format not in _LAYOUTS:
        raise ScreenError(f"unknown pixel format {shm_format:#x}", operation="screenshot")
    return _LAYOUTS[shm_format][1]


@dataclass(frozen=True)
class Picture:
    """Pixels as the compositor gave them; ``time`` is the compositor's, seconds, monotonic."""

    width: int
    height: int
    stride: int
    shm_format: int
    data: bytes
    flipped: bool
    time: float

    def image(self, region: Region | None = None, scale: Scale | None = None) -> Image.Image:
        """Return the RGB image, cut, then scaled.  Raises UsageError."""
        image = Image.frombytes(
            "RGB",
            (self.width, self.height),
            self.data,
            "raw",
            _LAYOUTS[self.shm_format][0],
            self.stride,
            -1 if self.flipped else 1,
        )
        if region is not None:
            x, y, width, height = region
            inside = 0 <= x < x + width <= self.width and 0 <= y < y + height <= self.height
            if not inside:
                raise UsageError(
                    f"the region {x},{y} {width}x{height} is not within the screen",
                    operation="screenshot",
                    subject="region",
                    hint=f"the screen is {self.width}x{self.height}",
                )
            image = image.crop((x, y, x + width, y + height))
        if scale is not None:
            image = _scaled(image, scale)
        return image


def _scaled(image: Image.Image, scale: Scale) -> Image.Image:
    if isinstance(scale, tuple):
        size = scale
    else:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if not (0 < size[0] <= 8192 and 0 < size[1] <= 8192):
        raise UsageError(
            f"cannot scale a picture to {size[0]}x{size[1]}",
            operation="screenshot",
            subject="scale",
        )
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def encoded(image: Image.Image, picture_format: str, quality: int = 80) -> bytes:
    """Return ``image`` as "png" (level 1: fast), "jpeg" or "raw" (rows of BGRX without padding).

    ``quality`` 1 to 100 is for JPEG.  Raises UsageError.
    """
    out = io.BytesIO()
    if picture_format == "png":
        image.save(out, "PNG", compress_level=1)
    elif picture_format in ("jpeg", "jpg"):
        if not 1 <= quality <= 100:
            raise UsageError(
                f"quality {quality} is not within 1 to 100",
                operation="screenshot",
                subject="quality",
            )
        image.save(out, "JPEG", quality=quality)
    elif picture_format == "raw":
        return image.tobytes("raw", "BGRX")
    else:
        raise UsageError(
            f"unknown picture format {picture_format!r}",
            operation="screenshot",
            subject="format",
            hint="use png, jpeg or raw",
        )
    return out.getvalue()
