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

    Text that is not Unicode (names of files, with surrogate escapes) becomes the bytes that it
    stands for.
    """
    try:
        return cbor2.dumps(value, canonical=True)
    except UnicodeEncodeError:
        return cbor2.dumps(_without_surrogates(value), canonical=True)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode(errors="surrogateescape")
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_surrogates(item) for key, item in value.items()}
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
