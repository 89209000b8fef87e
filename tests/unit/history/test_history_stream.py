"""The send stream's parser: the format of its docstring, and nothing but StreamError."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcvs_core.history.stream import MAGIC, Attribute, Kind, StreamError, crc32c, parse

HEAD = MAGIC + struct.pack("<I", 1)


def command(kind: int, *attributes: tuple[int, bytes]) -> bytes:
    body = b"".join(struct.pack("<HH", t, len(v)) + v for t, v in attributes)
    crc = crc32c(struct.pack("<IHI", len(body), kind, 0) + body)
    return struct.pack("<IHI", len(body), kind, crc) + body


END = command(Kind.END)
GOOD = HEAD + command(Kind.MKFILE, (15, b"a\xff"), (3, (260).to_bytes(8, "little"))) + END


def test_checksum_is_that_of_the_kernel() -> None:
    # CRC-32C of "123456789" is E3069283 with start and inversion of all ones; btrfs uses neither.
    assert crc32c(b"123456789", 0xFFFFFFFF) ^ 0xFFFFFFFF == 0xE3069283
    assert crc32c(b"") == 0


def test_commands_come_in_order() -> None:
    first, last = parse(GOOD)
    assert first.kind is Kind.MKFILE
    assert first.path() == "a\udcff"
    assert first.number(Attribute.INO) == 260
    assert last.kind is Kind.END


def test_second_version_ends_with_data_without_length() -> None:
    body = struct.pack("<HH", 15, 1) + b"f" + struct.pack("<H", 19) + b"x" * 70000
    crc = crc32c(struct.pack("<IHI", len(body), Kind.WRITE, 0) + body)
    stream = MAGIC + struct.pack("<I", 2) + struct.pack("<IHI", len(body), Kind.WRITE, crc) + body
    assert next(parse(stream + END)).attributes[19] == b"x" * 70000


REJECTED = {
    "magic": b"btrfs-strean\0" + GOOD[13:],
    "empty": b"",
    "version": MAGIC + struct.pack("<I", 9) + GOOD[17:],
    "no end": GOOD[: -len(END)],
    "within a command": GOOD[:-3],
    "within its body": GOOD[:30],
    "checksum": GOOD[:28] + b"X" + GOOD[29:],
    "unknown command": HEAD + command(99) + END,
    "after the end": GOOD + b"x",
    "attribute too long": HEAD + command(Kind.MKFILE, (15, b"a"))[:-1] + b"" + END,
}


@pytest.mark.parametrize("reason", REJECTED)
def test_rejects(reason: str) -> None:
    with pytest.raises(StreamError):
        list(parse(REJECTED[reason]))


def test_missing_and_short_attributes() -> None:
    (first, _) = parse(HEAD + command(Kind.MKFILE, (3, b"123")) + END)
    with pytest.raises(StreamError, match="lacks PATH"):
        first.path()
    with pytest.raises(StreamError, match="3 bytes"):
        first.number(Attribute.INO)


@given(st.binary(max_size=200), st.integers(0, len(GOOD)), st.booleans())
def test_raises_only_its_own_error(noise: bytes, at: int, keep: bool) -> None:
    for data in (noise, HEAD + noise, GOOD[:at] + noise + (GOOD[at:] if keep else b"")):
        try:
            for read in parse(data):
                read.path() if Attribute.PATH in read.attributes else None
        except StreamError:
            pass
