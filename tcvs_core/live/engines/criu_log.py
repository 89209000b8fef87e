"""What CRIU says: its logs, turned into errors, and its statistics.

``stats-dump`` is two u32 magics (0x57093306 for service images, then the image's own), then a u32
length and one protobuf ``stats_entry``; field 1 is ``dump_stats_entry`` whose fields 1 and 2 are
the freezing and the frozen time in microseconds (CRIU's ``images/stats.proto``).
"""

from __future__ import annotations

import struct
from pathlib import Path

from tcvs_core.live.engines.protocol import EngineError

#: Said by every run, also by those that succeed.
_BENIGN = ("Can't setup RLIMIT_NOFILE", "address already assigned")
_STAGES = {1: "freezing", 2: "frozen", 3: "memory", 4: "memory_write"}


def failure(operation: str, branch: str, log: Path, stderr: bytes) -> EngineError:
    """Make the error for a failed run from its log."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        lines = stderr.decode(errors="replace").splitlines()
    errors = [line for line in lines if "Error" in line and not any(b in line for b in _BENIGN)]
    reasons = [line.partition("): ")[2] or line for line in errors]
    first = reasons[0] if reasons else (lines[-1] if lines else "no message")
    return EngineError(
        f"CRIU could not {operation} {branch}: {first}",
        operation=operation,
        subject=branch,
        details={"log": lines[-40:], "errors": reasons[:10]},
    )


def pause_times(stats: Path) -> dict[str, float]:
    """Return milliseconds by stage from stats-dump; ``pause`` is the source's standstill."""
    try:
        raw = stats.read_bytes()
        entry = _fields(raw[12 : 12 + struct.unpack("<I", raw[8:12])[0]])
        dump = _fields(entry[1]) if isinstance(entry.get(1), bytes) else {}
    except (OSError, ValueError, IndexError, struct.error):
        return {}
    times = {
        name: value / 1000
        for number, name in _STAGES.items()
        if isinstance(value := dump.get(number), int)
    }
    if "frozen" in times:
        times["pause"] = times.get("freezing", 0.0) + times["frozen"]
    return times


def _fields(raw: bytes | int) -> dict[int, bytes | int]:
    """Split one protobuf message into its varint and length-delimited fields."""
    if isinstance(raw, int):
        raise ValueError("not a message")
    found: dict[int, bytes | int] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = raw[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while at < len(raw):
        key = varint()
        if key & 7 == 0:
            found[key >> 3] = varint()
        elif key & 7 == 2:
            length = varint()
            found[key >> 3] = raw[at : at + length]
            at += length
        else:
            raise ValueError(f"unexpected wire type {key & 7}")
    return found
