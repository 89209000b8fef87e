"""The codec: what goes in comes out, and arbitrary bytes raise its own error or nothing."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcvs_core.codec import CodecError, decode, encode, with_raw_names

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_round_trip(value: object) -> None:
    assert decode(encode(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    try:
        value = decode(data)
    except CodecError:
        return
    assert encode(value) == data


@given(PLAIN)
def test_one_value_and_nothing_behind_it(value: object) -> None:
    with pytest.raises(CodecError):
        decode(encode(value) + b"\x00")


@given(st.binary(min_size=1, max_size=20))
def test_any_name_of_a_file_can_be_sent(name: bytes) -> None:
    text = os.fsdecode(name)
    (sent,) = decode(encode(with_raw_names({"changes": [{"path": text}]})))["changes"]
    assert os.fsencode(sent["path"]) == name
