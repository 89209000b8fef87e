"""CBOR (RFC 8949) as tcvs uses it: deterministic encoding, strict decoding.

Every stored record and every message on the keeper's socket goes through here.  ``decode`` raises
only ``CodecError``, whatever the bytes are.
"""

from __future__ import annotations

from typing import Any

import cbor2

from tcvs_core.errors import TcvsError


class CodecError(TcvsError):
    """Bytes that are not what they should be."""

    code = "codec"


def encode(value: Any) -> bytes:
    """Encode plain data (None, bool, int, float, str, bytes, list, dict) canonically.

    Raises UnicodeEncodeError for text with surrogate escapes, see ``with_raw_names``.
    """
    return cbor2.dumps(value, canonical=True)


def with_raw_names(value: Any) -> Any:
    """Return ``value`` with text that is not Unicode (names of files) as its bytes."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode(errors="surrogateescape")
    if isinstance(value, list | tuple):
        return [with_raw_names(item) for item in value]
    if isinstance(value, dict):
        return {key: with_raw_names(item) for key, item in value.items()}
    return value


def decode(data: bytes) -> Any:
    """Decode exactly one value and nothing behind it.  Raises CodecError."""
    try:
        value = cbor2.loads(data)
        if cbor2.dumps(value, canonical=True) != data:
            raise CodecError("not canonical CBOR", operation="decode")
    except CodecError:
        raise
    except Exception as error:  # cbor2 raises many kinds, among them RecursionError and MemoryError
        raise CodecError(f"not valid CBOR: {error}", operation="decode") from error
    return value
