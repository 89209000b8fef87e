"""What the demo claims, and how it finds out whether that is so."""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image, ImageChops

from tcvs_core.errors import TcvsError

Box = tuple[int, int, int, int]  # left, top, right, bottom
#: Pixels of a text cursor: it blinks, so one picture has it and the next may not.
CURSOR = 64


class NotSo(TcvsError):
    """Something that the demo claims is not so."""

    code = "not-so"


@dataclass
class Claims:
    """The claims made so far; each was true, for the first that is not ends the demo."""

    made: list[str] = field(default_factory=list)

    def check(self, true: bool, claim: str, found: object = "") -> None:
        """Note ``claim``.  Raises NotSo when it is not true; ``found`` says what was there."""
        if not true:
            raise NotSo(f"it is not so that {claim}" + (f"; found: {found}" if found else ""))
        self.made.append(claim)


def differing(one: Image.Image, other: Image.Image, box: Box | None = None) -> int:
    """Return how many pixels differ between two pictures, within ``box`` if given."""
    if one.size != other.size:
        return max(one.width * one.height, other.width * other.height)
    if box is not None:
        one, other = one.crop(box), other.crop(box)
    grey = ImageChops.difference(one, other).convert("L", (1, 1, 1, 0))
    return one.width * one.height - grey.histogram()[0]


def find_colour(picture: Image.Image, colour: tuple[int, int, int], box: Box) -> tuple[int, int]:
    """Return the middle of the area that has ``colour``.  Raises NotSo where there is none."""
    part = picture.crop(box)
    flat = Image.new("RGB", part.size, colour)
    mask = ImageChops.difference(part, flat).convert("L", (1, 1, 1, 0))
    found = mask.point([255] + [0] * 255).getbbox()
    if found is None:
        raise NotSo(f"nothing on the screen has the colour #{bytes(colour).hex()}")
    return (box[0] + (found[0] + found[2]) // 2, box[1] + (found[1] + found[3]) // 2)
