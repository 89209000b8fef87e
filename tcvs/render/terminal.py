"""What a stream can show: colours, width; and making foreign text safe to show.

Honours ``NO_COLOR`` (no colours) and ``TERM=dumb``.  Nothing is styled unless the stream is a
terminal.
"""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from typing import TextIO

_CODES = {
    "bold": "1", "dim": "2", "italic": "3", "reverse": "7",
    "red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35", "cyan": "36",
}  # fmt: skip
#: C0 except newline and tab, DEL, C1, lone surrogates, and the marks that reorder text.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


class Terminal:
    """Facts about ``stream``; ``width`` is None where it is no terminal and nothing need fit."""

    def __init__(self, stream: TextIO | None) -> None:
        self.is_tty = stream is not None and not stream.closed and stream.isatty()
        dumb = os.environ.get("TERM", "") in ("", "dumb")
        self.color = self.is_tty and not dumb and not os.environ.get("NO_COLOR")
        self.width = shutil.get_terminal_size().columns if self.is_tty else None

    def style(self, text: str, style: str) -> str:
        """Return ``text`` in ``style`` (words such as "bold red"), or as it is."""
        if not self.color or not style or not text:
            return text
        codes = ";".join(_CODES[word] for word in style.split())
        return f"\x1b[{codes}m{text}\x1b[0m"


def safe(text: str) -> str:
    """Return ``text`` with everything escaped that could steer a terminal or is no character.

    Bytes that were not UTF-8 (surrogateescape) appear as ``\\xNN``.  Tabs and newlines stay.
    """
    return _UNSAFE.sub(_escape, text) if _UNSAFE.search(text) else text


def one_line(text: str) -> str:
    """Return ``text`` safe and on one line."""
    return safe(text).replace("\n", " ").replace("\t", " ")


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def cells(text: str) -> int:
    """Return how many columns ``text`` (without escapes) takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_width(char) for char in text)


def _width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: str, width: int) -> str:
    """Return ``text`` cut to ``width`` columns, with an ellipsis where something was cut."""
    if cells(text) <= width:
        return text
    out, used = [], 0
    for char in text:
        used += _width(char)
        if used > width - 1:
            break
        out.append(char)
    return "".join(out) + "…" if width > 0 else ""


def pad(text: str, width: int, right: bool = False) -> str:
    """Return ``text`` filled with spaces to ``width`` columns."""
    fill = " " * max(0, width - cells(text))
    return fill + text if right else text + fill
