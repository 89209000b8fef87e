"""Results as JSON for programs.

ASCII only: text that was not UTF-8 keeps its bytes as lone surrogates (``\\udcNN``), which Python's
``json`` and ``os.fsencode`` turn back into those bytes.  Pictures and
other bytes are never printed.
"""

from __future__ import annotations

import json
import os
from typing import Any

_PATHS = ("path", "old_path")


def to_json(data: Any) -> str:
    """Return ``data`` as JSON, with every bytes value replaced by its length."""
    return json.dumps(_plain(data), indent=2, sort_keys=True)


def _plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key): _plain(_path(key, value)) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_plain(value) for value in data]
    if isinstance(data, (bytes, bytearray, memoryview)):
        return {"bytes": len(data)}
    return data


def _path(key: Any, value: Any) -> Any:
    return os.fsdecode(value) if key in _PATHS and isinstance(value, bytes) else value
