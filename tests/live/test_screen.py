"""A real compositor and real programs, seen and driven from outside."""

from __future__ import annotations

import io
import random
import string
import time
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from screen_desktop import Desktop, focus, save_in_mousepad, type_into_foot

from tcvs_core.errors import UsageError
from tcvs_core.live.actions import perform
from tcvs_core.live.screen import NoSuchWindow, Screen
from tcvs_core.live.wayland.keymap import SLOTS

pytestmark = pytest.mark.live
pytest_plugins = ("conftest_screen",)


def _printable(count: int, seed: int) -> str:
    """Return ``count`` characters in lines of 50 that a terminal takes as they are."""
    letters = string.ascii_letters + string.digits + string.punctuation + " "
    chosen = random.Random(seed).choices(letters, k=count)
    return "".join("\n" if at % 50 == 49 else letter for at, letter in enumerate(chosen))


# Pictures


def test_pictures_in_every_format_show_the_same_screen(screen: Screen) -> None:
    size = screen.size()
    png = Image.open(io.BytesIO(screen.screenshot("png")))
    jpeg = Image.open(io.BytesIO(screen.screenshot("jpeg", quality=90)))
    raw = screen.screenshot("raw")
    image = screen.screenshot("image")
    assert png.size == jpeg.size == image.size == size
    assert (png.format, jpeg.format) == ("PNG", "JPEG")
    assert len(raw) == size[0] * size[1] * 4
    assert Image.frombytes("RGB", size, raw, "raw", "BGRX").tobytes() == image.tobytes()
    assert len(image.getcolors(1 << 24) or []) > 50, "nothing is on the screen"


def test_a_region_is_cut_before_it_is_scaled(screen: Screen) -> None:
    whole = screen.screenshot("image", cursor=False)
    part = screen.screenshot("image", region=(300, 100, 200, 80), cursor=False)
    assert part.tobytes() == whole.crop((300, 100, 500, 180)).tobytes()
    assert screen.screenshot("image", region=(300, 100, 200, 80), scale=0.5).size == (100, 40)
    assert screen.screenshot("image", scale=(64, 36)).size == (64, 36)


@pytest.mark.parametrize("region", [(-1, 0, 5, 5), (0, 0, 0, 5), (1270, 0, 20, 5)])
def test_a_region_outside_is_refused(screen: Screen, region: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError, match="region"):
        screen.screenshot(region=region)


def test_the_first_picture_comes_quickly(desktop: Desktop, screen: Screen) -> None:
    screen.close()
    start = time.monotonic()
    screen.screenshot("jpeg")
    first = screen.last_frame_time
    assert time.monotonic() - start < 1.0
    screen.screenshot("jpeg")
    assert first is not None
    assert screen.last_frame_time is not None
    assert screen.last_frame_time > first


def test_stable_means_that_nothing_moves(screen: Screen, desktop: Desktop) -> None:
    assert screen.wait_stable(5, quiet=0.3)
    focus(screen, "foot")
    screen.type_text("while sleep 0.05; do date +%N; done\n")
    assert not screen.wait_stable(1, quiet=0.3)
    end = time.monotonic() + 10
    while True:
        screen.key("ctrl+c")  # bash sometimes misses one between two commands
        if screen.wait_stable(1, quiet=0.3):
            break
        assert time.monotonic() < end


# Typing


@pytest.mark.parametrize("seed", [1, 2])
def test_no_character_is_lost_in_a_terminal(screen: Screen, desktop: Desktop, seed: int) -> None:
    text = _printable(500, seed)
    assert type_into_foot(screen, desktop, text) == text


def test_no_character_is_lost_in_an_editor(screen: Screen, desktop: Desktop) -> None:
    focus(screen, "mousepad")
    text = _printable(500, 3) + "Käse für 3 €, “ja”; Ωμέγα, Привет, 日本語 🙂\n"
    screen.key("ctrl+a")
    screen.type_text(text)
    assert save_in_mousepad(screen, desktop, text) == text


def test_more_characters_than_the_keymap_holds(screen: Screen, desktop: Desktop) -> None:
    many = "".join(chr(0x4E00 + at) for at in range(3 * len(SLOTS)))
    text = f"{many[:70]}\nplain Text\n{many[70:]}\n{many[:5]}\n"
    assert type_into_foot(screen, desktop, text) == text


def test_the_first_keys_after_every_connect_arrive(screen: Screen, desktop: Desktop) -> None:
    focus(screen, "mousepad")
    for round_ in range(5):
        screen.close()
        screen.key("ctrl+a")
        screen.close()
        text = f"Round {round_} é"
        screen.type_text(text)
        screen.close()
        assert save_in_mousepad(screen, desktop, text) == text


def test_a_character_without_a_key_types_nothing(screen: Screen, desktop: Desktop) -> None:
    with pytest.raises(UsageError, match="U\\+0007"):
        screen.type_text("abc\a")
    assert type_into_foot(screen, desktop, "clean\n") == "clean\n"


def test_modifiers_are_released_after_an_error(screen: Screen, desktop: Desktop) -> None:
    focus(screen, "foot")

    def fail() -> None:
        with screen.holding("ctrl+shift"):
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError):
        fail()
    assert type_into_foot(screen, desktop, "lower case\n") == "lower case\n"


def test_a_held_key_repeats(screen: Screen, desktop: Desktop) -> None:
    focus(screen, "foot")
    screen.type_text("cat > held\n")
    screen.hold_key("x", 1.2)
    screen.key("Return ctrl+d")
    end = time.monotonic() + 5
    while not (text := desktop.read("held", "", 0.1)).endswith("\n"):
        assert time.monotonic() < end
    assert set(text.strip()) == {"x"}
    assert len(text.strip()) > 3


# The mouse


@pytest.fixture
def editor(screen: Screen) -> Iterator[Screen]:
    """The screen with an editor that fills it, ten lines of one word in it."""
    focus(screen, "mousepad")
    screen.key("super+a")
    screen.key("ctrl+a")
    screen.type_text("word\n" * 10)
    assert screen.wait_stable()
    assert next(w for w in screen.windows() if w.app_id == "mousepad").maximized
    yield screen
    screen.key("super+a")


#: In a maximized mousepad with line numbers: the height of the first line of text, where it begins
#: and within its first word.
_LINE, _BEGIN, _WORD = 71, 25, 40


def test_a_double_click_selects_a_word(editor: Screen, desktop: Desktop) -> None:
    editor.click(_WORD, _LINE, count=2)
    editor.type_text("other")
    wanted = "other\n" + "word\n" * 9
    assert save_in_mousepad(editor, desktop, wanted) == wanted
    # Two clicks with shift between select a range.
    editor.click(_BEGIN, _LINE)
    editor.click(600, _LINE, modifiers="shift")
    editor.type_text("range")
    wanted = "range\n" + "word\n" * 9
    assert save_in_mousepad(editor, desktop, wanted) == wanted


def test_a_drag_selects_what_it_passes(editor: Screen, desktop: Desktop) -> None:
    editor.drag(_BEGIN, _LINE, 600, _LINE)
    editor.type_text("dragged")
    wanted = "dragged\n" + "word\n" * 9
    assert save_in_mousepad(editor, desktop, wanted) == wanted


def test_the_wheel_scrolls(editor: Screen) -> None:
    editor.key("ctrl+a")
    editor.type_text("".join(f"{number}\n" for number in range(150)))
    assert editor.wait_stable()
    text = (8, 60, 52, 650)  # without the column of the text cursor

    def shown() -> bytes:
        assert editor.wait_stable()
        return editor.screenshot("image", region=text, cursor=False).tobytes()

    bottom = shown()
    editor.scroll(400, 400, dy=-3)
    higher = shown()
    assert higher != bottom
    editor.key("ctrl+Home")
    editor.scroll(400, 400, dy=-100)
    top = shown()
    editor.scroll(400, 400, dy=2)
    editor.scroll(400, 400, dy=-2)
    assert shown() == top


def test_points_outside_and_bad_buttons_are_refused(screen: Screen) -> None:
    width, height = screen.size()
    for point in ((width, 0), (0, height), (-1, 5)):
        with pytest.raises(UsageError, match="not on the screen"):
            screen.click(*point)
    with pytest.raises(UsageError, match="button"):
        screen.click(1, 1, "leftish")


# Windows


def test_windows_are_listed_and_found(screen: Screen) -> None:
    assert {window.app_id for window in screen.windows()} == {"foot", "mousepad"}
    assert screen.activate("MOUSEPAD").app_id == "mousepad"
    with pytest.raises(NoSuchWindow) as caught:
        screen.activate("no such window")
    assert caught.value.hint is not None
    assert "note.txt" in caught.value.hint


# The clipboard


def test_the_clipboard_goes_both_ways(screen: Screen, desktop: Desktop) -> None:
    focus(screen, "mousepad")
    screen.clipboard_set("from outside, ünïcode 🙂\n")
    screen.key("ctrl+a ctrl+v")
    screen.wait_stable()  # pasting asks this process for the text
    wanted = "from outside, ünïcode 🙂\n"
    assert save_in_mousepad(screen, desktop, wanted) == wanted
    screen.type_text("inside\n")
    screen.key("ctrl+a ctrl+c")
    end = time.monotonic() + 5
    while screen.clipboard_get() != wanted + "inside\n":
        assert time.monotonic() < end, screen.clipboard_get()
        time.sleep(0.05)
    assert screen.clipboard_offered is None


def test_an_offer_is_made_again_after_a_connect(screen: Screen, desktop: Desktop) -> None:
    large = "large " * 500_000
    screen.clipboard_set(large)
    screen.close()
    assert screen.clipboard_offered == large
    with Screen(desktop.socket) as other:
        assert other.clipboard_get() is None
        screen.size()
        assert other.clipboard_get() == large
        screen.close()
        other.clipboard_set("newer")
        assert screen.clipboard_get() == "newer"
        assert screen.clipboard_offered is None


# Actions


def test_three_dialects_do_the_same(screen: Screen, desktop: Desktop) -> None:
    def typed(name: str, actions: list[dict[str, Any]]) -> str:
        focus(screen, "foot")
        screen.key("ctrl+u")
        for action in actions:
            perform(screen, action)
        return desktop.read(name, "Hello!\n")

    own = [{"do": "type", "text": "echo Hello! > own"}, {"do": "key", "keys": "Return"}]
    assert typed("own", own) == "Hello!\n"
    anthropic = [
        {"action": "type", "text": "echo Hello! > anthropic"},
        {"action": "key", "text": "Return"},
    ]
    assert typed("anthropic", anthropic) == "Hello!\n"
    openai: list[dict[str, Any]] = [
        {"type": "type", "text": "echo Hello! > openai"},
        {"type": "computer_call", "action": {"type": "keypress", "keys": ["ENTER"]}},
    ]
    assert typed("openai", openai) == "Hello!\n"


def test_actions_tell_what_they_found(screen: Screen) -> None:
    width, height = screen.size()
    shot = perform(screen, {"action": "screenshot"})
    assert Image.open(io.BytesIO(shot["data"])).size == (width, height)
    zoomed = perform(screen, {"action": "zoom", "region": [0, 0, width // 4, height // 4]})
    assert (zoomed["width"], zoomed["height"]) == (width, height)
    perform(screen, {"action": "mouse_move", "coordinate": [12, 34]})
    assert perform(screen, {"action": "cursor_position"}) == {
        "action": "cursor_position",
        "x": 12,
        "y": 34,
    }
    assert perform(screen, {"type": "scroll", "x": 5, "y": 5, "scroll_x": 0, "scroll_y": 120})
    assert perform(screen, {"type": "drag", "path": [{"x": 5, "y": 700}, {"x": 9, "y": 710}]})
    perform(screen, {"do": "key", "keys": "Escape"})
    assert len(perform(screen, {"do": "windows"})["windows"]) == 2
    assert perform(screen, {"do": "size"})["width"] == width
