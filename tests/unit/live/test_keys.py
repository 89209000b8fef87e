"""Names of keys, keymaps, and the encodings of pictures."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tcvs_core.errors import UsageError
from tcvs_core.live.wayland.keymap import SLOTS, keymap_text
from tcvs_core.live.wayland.keys import (
    MODIFIERS,
    NAMED,
    PRINTED,
    Chord,
    Stroke,
    parse_chord,
    parse_chords,
    stroke_for,
    strokes_for,
)
from tcvs_core.live.wayland.picture import Picture, encoded

# Keys


def _chord(key: str | Stroke, *modifiers: str) -> Chord:
    stroke = Stroke(NAMED[key]) if isinstance(key, str) else key
    return Chord(tuple(NAMED[name] for name in modifiers), stroke)


@pytest.mark.parametrize(
    ("text", "chord"),
    [
        ("Return", _chord("Return")),
        ("enter", _chord("Return")),
        ("KP_Enter", _chord("KP_Enter")),
        ("Page_Down", _chord("Next")),
        ("PageDown", _chord("Next")),
        ("pgdn", _chord("Next")),
        ("ARROWUP", _chord("Up")),
        ("Control_L", _chord("Control_L")),
        ("cmd", _chord("Super_L")),
        ("ctrl+s", _chord(Stroke(31), "Control_L")),
        ("CTRL+S", _chord(Stroke(31), "Control_L")),
        ("Ctrl+Shift+T", _chord(Stroke(20), "Control_L", "Shift_L")),
        ("alt+Tab", _chord("Tab", "Alt_L")),
        ("super+space", _chord(Stroke(57), "Super_L")),
        ("ctrl++", _chord(Stroke(13, shift=True), "Control_L")),
        ("ctrl+plus", _chord(Stroke(13, shift=True), "Control_L")),
        ("+", _chord(Stroke(13, shift=True))),
        ("a", _chord(Stroke(30))),
        ("A", _chord(Stroke(30, shift=True))),
        ("F5", _chord("F5")),
        ("F13", _chord(Stroke(symbol="F13"))),
        ("é", _chord(Stroke(symbol="U00E9"))),
        ("U20AC", _chord(Stroke(symbol="U20AC"))),
        ("XF86AudioMute", _chord("XF86AudioMute")),
    ],
)
def test_keys_are_known_by_many_names(text: str, chord: Chord) -> None:
    assert parse_chord(text) == chord


def test_several_chords_and_names_with_blanks() -> None:
    assert len(parse_chords("Down Down  ctrl+a")) == 3
    assert parse_chords("page down") == [_chord("Next")]
    assert parse_chords("ctrl + c") == [parse_chord("ctrl+c")]
    assert parse_chords(" ") == [_chord(Stroke(57))]


@pytest.mark.parametrize("text", ["", "  ", "nokey", "a+b", "ctrl+", "ctrl+nokey", "\a", "U110000"])
def test_bad_keys_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_chords(text)
    assert caught.value.operation == "key"


def test_a_misspelt_key_gets_a_suggestion() -> None:
    with pytest.raises(UsageError) as caught:
        parse_chord("Retrun")
    assert "return" in str(caught.value.hint)


def test_every_printable_ascii_character_has_a_key() -> None:
    for number in range(0x20, 0x7F):
        stroke = stroke_for(chr(number))
        assert stroke.symbol is None
        assert PRINTED[stroke.code][stroke.shift] == chr(number)


def test_line_breaks_are_one_return() -> None:
    assert strokes_for("a\r\nb\tc") == strokes_for("a\nb\tc")
    assert strokes_for("\n") == [Stroke(NAMED["Return"])]


@given(st.text(max_size=20))
def test_any_text_is_typed_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert len(strokes_for(text)) <= len(text)


# Keymaps


def test_a_keymap_names_every_key_once() -> None:
    text = keymap_text([(SLOTS[0], "U00E9")])
    codes = re.findall(r"<(K\d{3})> = (\d+);", text)
    assert all(int(name[1:]) == int(code) for name, code in codes)
    assert all(8 <= int(code) <= 255 for _, code in codes)
    assert len({code for _, code in codes}) == len(codes) == len(PRINTED) + len(NAMED) + 1
    assert f"key <K{SLOTS[0]:03}> {{ [ U00E9 ] }};" in text
    assert "key <K038> { [ U0061, U0041 ] };" in text


def test_slots_are_free_keys() -> None:
    used = {code + 8 for code in (*PRINTED, *NAMED.values())}
    assert not used & set(SLOTS)
    assert len(set(SLOTS)) == len(SLOTS) >= 40


def test_every_modifier_is_mapped() -> None:
    mapped = re.findall(r"modifier_map \w+ \{ (.*?) \};", keymap_text())
    codes = {int(code) - 8 for codes in mapped for code in re.findall(r"<K(\d+)>", codes)}
    assert MODIFIERS.keys() <= codes


# Pictures


def _picture(**changes: Any) -> Picture:
    rows = [b"\x03\x02\x01\xff" * 2 + b"pad!", b"\x06\x05\x04\xff" * 2 + b"pad!"]
    fields: dict[str, Any] = {
        "width": 2,
        "height": 2,
        "stride": 12,
        "shm_format": 1,
        "data": b"".join(rows),
        "flipped": False,
        "time": 0.0,
    }
    return Picture(**{**fields, **changes})


def test_padding_order_and_direction_of_rows() -> None:
    assert _picture().image().tobytes() == b"\x01\x02\x03" * 2 + b"\x04\x05\x06" * 2
    assert _picture(flipped=True).image().tobytes() == b"\x04\x05\x06" * 2 + b"\x01\x02\x03" * 2
    assert _picture(shm_format=0x34324258).image().getpixel((0, 0)) == (3, 2, 1)


def test_bad_encodings_are_refused() -> None:
    image = Image.new("RGB", (2, 2))
    with pytest.raises(UsageError, match="format"):
        encoded(image, "gif")
    with pytest.raises(UsageError, match="quality"):
        encoded(image, "jpeg", 0)
    with pytest.raises(UsageError, match="scale"):
        _picture().image(scale=(0, 5))
