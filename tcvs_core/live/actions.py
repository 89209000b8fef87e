"""What agents do to a screen, as data, in three dialects; ``perform`` does it.

==========  ============  =====================================================================
dialect     told by       actions
==========  ============  =====================================================================
tcvs        key ``do``    methods of ``Screen``: move, click, mouse_down, mouse_up, drag, scroll,
                          type, key, hold_key, wait, wait_stable, screenshot, size, position,
                          windows, activate, close_window, clipboard_get, clipboard_set
Anthropic   ``action``    computer_20241022, computer_20250124, computer_20251124
OpenAI      ``type``      click, double_click, drag, keypress, move, screenshot, scroll, type, wait
==========  ============  =====================================================================

The envelopes in which the two vendors send actions (``{"type": "tool_use", "input": ...}``,
``{"type": "computer_call", "action": ...}``) are taken off.  Fields that an action does not know
are an error in the tcvs dialect and ignored in the others, which grow without asking.

A result is ``{"action": name}`` and what the action tells: ``data`` (bytes), ``format``, ``width``
and ``height`` for pictures, ``x`` and ``y`` (null when unknown) for the mouse, ``text``,
``windows``, ``stable``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from tcvs_core.errors import UsageError
from tcvs_core.live.fields import Fields
from tcvs_core.live.screen import Screen
from tcvs_core.live.wayland.keys import Chord, parse_chord, parse_chords
from tcvs_core.live.wayland.picture import Region, Scale, encoded

Result = dict[str, Any]
Handler = Callable[[Screen, Fields], Result | None]

MAX_WAIT = 60.0
#: What OpenAI's model means by a scroll: pixels a notch, as browsers do it.
_PIXELS_PER_NOTCH = 100
_DIRECTIONS = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}


def perform(screen: Screen, action: Mapping[str, Any]) -> Result:
    """Do ``action``.  Raises UsageError naming the field that is wrong, and what Screen raises."""
    plain = _without_envelope(action)
    for dialect, (tag, handlers) in _DIALECTS.items():
        if tag in plain:
            fields = Fields(plain, tag)
            name = fields.text(tag)
            handler = handlers.get(name)
            if handler is None:
                raise fields.bad(tag, f"names no {dialect} action", ", ".join(handlers))
            if handlers is _TCVS:
                fields.refuse_others(tag, *_TCVS_FIELDS.get(name, "").split())
            return {"action": name, **(handler(screen, fields) or {})}
    raise UsageError(
        "an action needs one of the fields do, action, type",
        operation="input",
        subject="do",
        hint='for example {"do": "click", "x": 10, "y": 20}',
    )


def _without_envelope(action: Any) -> Mapping[str, Any]:
    inner = action
    if isinstance(action, Mapping):
        if action.get("type") == "tool_use" and "do" not in action:
            inner = action.get("input")
        elif action.get("type") == "computer_call":
            inner = action.get("action")
    if not isinstance(inner, Mapping) or not all(isinstance(key, str) for key in inner):
        raise UsageError("an action must be an object with named fields", operation="input")
    return inner


def _picture(
    screen: Screen,
    picture_format: str = "png",
    quality: int = 80,
    region: Region | None = None,
    scale: Scale | None = None,
) -> Result:
    image = screen.capture().image(region, scale)
    data = encoded(image, picture_format, quality)
    return {"data": data, "format": picture_format, "width": image.width, "height": image.height}


# The dialect of tcvs.


def _do_move(screen: Screen, fields: Fields) -> None:
    x, y = fields.integer("x"), fields.integer("y")
    screen.move(x, y)


def _do_click(screen: Screen, fields: Fields) -> None:
    x, y = fields.optional_integer("x"), fields.optional_integer("y")
    button, count = fields.text("button", "left"), fields.integer("count", 1)
    modifiers = fields.optional_text("modifiers")
    screen.click(x, y, button, count, modifiers)


def _do_button(pressed: bool) -> Handler:
    def handler(screen: Screen, fields: Fields) -> None:
        x, y = fields.optional_integer("x"), fields.optional_integer("y")
        button = fields.text("button", "left")
        (screen.mouse_down if pressed else screen.mouse_up)(x, y, button)

    return handler


def _do_drag(screen: Screen, fields: Fields) -> None:
    x1, y1, x2, y2 = (fields.integer(name) for name in ("x1", "y1", "x2", "y2"))
    button, duration = fields.text("button", "left"), fields.number("duration", 0.15, 0, MAX_WAIT)
    screen.drag(x1, y1, x2, y2, button=button, duration=duration)


def _do_scroll(screen: Screen, fields: Fields) -> None:
    x, y = fields.optional_integer("x"), fields.optional_integer("y")
    dx, dy = fields.integer("dx", 0), fields.integer("dy", 0)
    screen.scroll(x, y, dx, dy)


def _do_type(screen: Screen, fields: Fields) -> None:
    text, interval = fields.text("text"), fields.number("interval_ms", 0, 0, 1000)
    screen.type_text(text, interval)


def _do_key(screen: Screen, fields: Fields) -> None:
    keys = fields.text("keys")
    screen.key(keys)


def _do_hold_key(screen: Screen, fields: Fields) -> None:
    keys, duration = fields.text("keys"), fields.number("duration", None, 0, MAX_WAIT)
    screen.hold_key(keys, duration)


def _do_wait(_screen: Screen, fields: Fields) -> None:
    time.sleep(fields.number("seconds", None, 0, MAX_WAIT))


def _do_wait_stable(screen: Screen, fields: Fields) -> Result:
    timeout = fields.number("timeout", 5, 0, MAX_WAIT)
    quiet = fields.number("quiet", 0.3, 0, MAX_WAIT)
    return {"stable": screen.wait_stable(timeout, quiet)}


def _do_screenshot(screen: Screen, fields: Fields) -> Result:
    picture_format = fields.text("format", "png")
    quality = fields.integer("quality", 80)
    region = fields.optional_integers("region", 4)
    scale = fields.number("scale", 1, 0.01, 8)
    where = None if region is None else (region[0], region[1], region[2], region[3])
    return _picture(screen, picture_format, quality, where, None if scale == 1 else scale)


def _do_size(screen: Screen, _fields: Fields) -> Result:
    width, height = screen.size()
    return {"width": width, "height": height}


def _position(screen: Screen, _fields: Fields) -> Result:
    x, y = screen.position() or (None, None)
    return {"x": x, "y": y}


def _do_windows(screen: Screen, _fields: Fields) -> Result:
    return {"windows": [window.to_dict() for window in screen.windows()]}


def _do_activate(screen: Screen, fields: Fields) -> Result:
    name = fields.text("window")
    return {"windows": [screen.activate(name).to_dict()]}


def _do_close_window(screen: Screen, fields: Fields) -> Result:
    name = fields.text("window")
    return {"windows": [screen.close_window(name).to_dict()]}


def _do_clipboard_get(screen: Screen, _fields: Fields) -> Result:
    return {"text": screen.clipboard_get()}


def _do_clipboard_set(screen: Screen, fields: Fields) -> None:
    text = fields.text("text")
    screen.clipboard_set(text)


# Anthropic's dialect.


def _anthropic_click(button: str, count: int = 1) -> Handler:
    def handler(screen: Screen, fields: Fields) -> None:
        at = fields.optional_integers("coordinate", 2) or (None, None)
        modifiers = fields.optional_text("text") or fields.optional_text("key")
        screen.click(at[0], at[1], button, count, modifiers)

    return handler


def _anthropic_button(pressed: bool) -> Handler:
    def handler(screen: Screen, fields: Fields) -> None:
        at = fields.optional_integers("coordinate", 2) or (None, None)
        (screen.mouse_down if pressed else screen.mouse_up)(at[0], at[1])

    return handler


def _anthropic_move(screen: Screen, fields: Fields) -> None:
    screen.move(*fields.integers("coordinate", 2))


def _anthropic_drag(screen: Screen, fields: Fields) -> None:
    end = fields.integers("coordinate", 2)
    start = fields.optional_integers("start_coordinate", 2) or screen.position()
    if start is None:
        raise fields.bad("start_coordinate", "is missing, and the mouse has not been moved yet")
    screen.drag(start[0], start[1], end[0], end[1])


def _anthropic_scroll(screen: Screen, fields: Fields) -> None:
    at = fields.optional_integers("coordinate", 2) or (None, None)
    dx, dy = fields.choice("scroll_direction", _DIRECTIONS)
    amount = fields.integer("scroll_amount", 3)
    if amount < 0:
        raise fields.bad("scroll_amount", "must not be negative")
    modifiers = fields.optional_text("text")
    with screen.holding(modifiers or None):
        screen.scroll(at[0], at[1], dx * amount, dy * amount)


def _anthropic_zoom(screen: Screen, fields: Fields) -> Result:
    x1, y1, x2, y2 = fields.integers("region", 4)
    if x2 <= x1 or y2 <= y1:
        raise fields.bad("region", "must be left, top, right, bottom")
    width, height = screen.size()
    # As large as the screen allows, so that small print can be read.
    factor = min(width / (x2 - x1), height / (y2 - y1))
    return _picture(screen, region=(x1, y1, x2 - x1, y2 - y1), scale=factor)


def _anthropic_wait(_screen: Screen, fields: Fields) -> None:
    time.sleep(fields.number("duration", 1, 0, MAX_WAIT))


# OpenAI's dialect.


def _openai_held(fields: Fields) -> Chord | None:
    keys = fields.optional_texts("keys")
    return parse_chord("+".join(keys)) if keys else None


def _openai_click(count: int) -> Handler:
    def handler(screen: Screen, fields: Fields) -> None:
        x, y = fields.integer("x"), fields.integer("y")
        button, held = fields.text("button", "left"), _openai_held(fields)
        with screen.holding(held):
            screen.click(x, y, button, count)

    return handler


def _openai_drag(screen: Screen, fields: Fields) -> None:
    path, held = fields.points("path"), _openai_held(fields)
    with screen.holding(held):
        screen.drag_path(path)


def _openai_keypress(screen: Screen, fields: Fields) -> None:
    keys = fields.texts("keys")
    # ["CTRL", "L"] is one chord; without a modifier, ["DOWN", "DOWN"] are two keys.
    try:
        chords = [parse_chord("+".join(keys))]
    except UsageError:
        chords = [chord for key in keys for chord in parse_chords(key)]
    for chord in chords:
        screen.key(chord)


def _openai_move(screen: Screen, fields: Fields) -> None:
    x, y, held = fields.integer("x"), fields.integer("y"), _openai_held(fields)
    with screen.holding(held):
        screen.move(x, y)


def _notches(pixels: int) -> int:
    count = round(abs(pixels) / _PIXELS_PER_NOTCH) or (1 if pixels else 0)
    return count if pixels > 0 else -count


def _openai_scroll(screen: Screen, fields: Fields) -> None:
    x, y = fields.optional_integer("x"), fields.optional_integer("y")
    dx, dy = fields.integer("scroll_x", 0), fields.integer("scroll_y", 0)
    held = _openai_held(fields)
    with screen.holding(held):
        screen.scroll(x, y, _notches(dx), _notches(dy))


def _openai_wait(_screen: Screen, fields: Fields) -> None:
    time.sleep(fields.number("ms", 1000, 0, MAX_WAIT * 1000) / 1000)


def _plain_screenshot(screen: Screen, _fields: Fields) -> Result:
    return _picture(screen)


def _plain_type(screen: Screen, fields: Fields) -> None:
    screen.type_text(fields.text("text"))


def _plain_key(screen: Screen, fields: Fields) -> None:
    screen.key(fields.text("text"))


def _plain_hold_key(screen: Screen, fields: Fields) -> None:
    screen.hold_key(fields.text("text"), fields.number("duration", None, 0, MAX_WAIT))


_TCVS: dict[str, Handler] = {
    "move": _do_move,
    "click": _do_click,
    "mouse_down": _do_button(True),
    "mouse_up": _do_button(False),
    "drag": _do_drag,
    "scroll": _do_scroll,
    "type": _do_type,
    "key": _do_key,
    "hold_key": _do_hold_key,
    "wait": _do_wait,
    "wait_stable": _do_wait_stable,
    "screenshot": _do_screenshot,
    "size": _do_size,
    "position": _position,
    "windows": _do_windows,
    "activate": _do_activate,
    "close_window": _do_close_window,
    "clipboard_get": _do_clipboard_get,
    "clipboard_set": _do_clipboard_set,
}

_ANTHROPIC: dict[str, Handler] = {
    "key": _plain_key,
    "hold_key": _plain_hold_key,
    "type": _plain_type,
    "cursor_position": _position,
    "mouse_move": _anthropic_move,
    "left_mouse_down": _anthropic_button(True),
    "left_mouse_up": _anthropic_button(False),
    "left_click": _anthropic_click("left"),
    "left_click_drag": _anthropic_drag,
    "right_click": _anthropic_click("right"),
    "middle_click": _anthropic_click("middle"),
    "double_click": _anthropic_click("left", 2),
    "triple_click": _anthropic_click("left", 3),
    "scroll": _anthropic_scroll,
    "wait": _anthropic_wait,
    "screenshot": _plain_screenshot,
    "zoom": _anthropic_zoom,
}

_OPENAI: dict[str, Handler] = {
    "click": _openai_click(1),
    "double_click": _openai_click(2),
    "drag": _openai_drag,
    "keypress": _openai_keypress,
    "move": _openai_move,
    "screenshot": _plain_screenshot,
    "scroll": _openai_scroll,
    "type": _plain_type,
    "wait": _openai_wait,
}

#: The fields that an action of tcvs knows.
_TCVS_FIELDS = {
    "move": "x y",
    "click": "x y button count modifiers",
    "mouse_down": "x y button",
    "mouse_up": "x y button",
    "drag": "x1 y1 x2 y2 button duration",
    "scroll": "x y dx dy",
    "type": "text interval_ms",
    "key": "keys",
    "hold_key": "keys duration",
    "wait": "seconds",
    "wait_stable": "timeout quiet",
    "screenshot": "format quality region scale",
    "activate": "window",
    "close_window": "window",
    "clipboard_set": "text",
}

#: Dialect to the field that tells it, and its actions.
_DIALECTS: dict[str, tuple[str, dict[str, Handler]]] = {
    "tcvs": ("do", _TCVS),
    "Anthropic": ("action", _ANTHROPIC),
    "OpenAI": ("type", _OPENAI),
}
