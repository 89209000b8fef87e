"""Sizes, durations and times as people read them, and sizes as people type them."""

from __future__ import annotations

import re
import time
from typing import Any

from tcvs_core.errors import UsageError

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?\Z", re.IGNORECASE)
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(count: float | None) -> str:
    """Return a number of bytes as ``512 B``, ``1.5 MiB``; ``-`` for None."""
    if count is None:
        return "-"
    value = float(count)
    for unit in _UNITS:
        if abs(value) < 1024 or unit == _UNITS[-1]:
            break
        value /= 1024
    if unit == "B" or value >= 100:
        return f"{value:.0f} {unit}"
    return f"{value:.1f} {unit}"


def parse_size(text: str, what: str) -> int:
    """Return ``4G``, ``512M``, ``1.5GiB`` as bytes.  Raises UsageError."""
    match = _SIZE.match(text.strip())
    if match is None or float(match.group(1)) == 0:
        raise UsageError(
            f"{text!r} is not a size", operation=what, subject=text, hint="such as 512M or 4G"
        )
    power = " kmgtp".index(match.group(2).lower()) if match.group(2) else 0
    return int(float(match.group(1)) * 1024**power)


def milliseconds(value: float | None) -> str:
    """Return a duration given in milliseconds: ``0.4 ms``, ``38 ms``, ``1.24 s``, ``2 min 3 s``."""
    if value is None:
        return "-"
    if value < 9.95:
        return f"{value:.1f} ms"
    if value < 999.5:
        return f"{value:.0f} ms"
    return seconds(value / 1000)


def seconds(value: float | None) -> str:
    """Return a duration given in seconds: ``0.31 s``, ``12.4 s``, ``3 min 5 s``, ``2 h 4 min``."""
    if value is None:
        return "-"
    if value < 9.995:
        return f"{value:.2f} s"
    if value < 59.95:
        return f"{value:.1f} s"
    return age(value)


def age(value: float | None) -> str:
    """Return a span in its two largest units: ``45 s``, ``3 min 5 s``, ``3 d 1 h``."""
    if value is None:
        return "-"
    left = int(value)
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def moment(unix: float | None, now: float | None = None) -> str:
    """Return local time with its zone, and for the last week how long ago that is."""
    if not unix:
        return "-"
    text = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(unix))
    ago = (time.time() if now is None else now) - unix
    return f"{text} ({age(ago)} ago)" if 0 <= ago < 7 * 86400 else text


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 file``, ``3 files``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def times(values: dict[str, Any] | None) -> str:
    """Return stages with their milliseconds on one line."""
    return ", ".join(f"{name} {milliseconds(value)}" for name, value in (values or {}).items())
