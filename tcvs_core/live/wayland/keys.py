"""Names of keys, in the spellings of xdotool, Anthropic, OpenAI, PyAutoGUI and X11 keysyms.

Codes are those of the kernel (linux/input-event-codes.h) on a US keyboard.  What the US keyboard
does not have is a *symbol*, the keysym's text as a keymap spells it (``U00E9``, ``F13``), and gets
a key of its own in ``keymap``.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from tcvs_core.errors import UsageError

SHIFT, CONTROL, ALT, SUPER, LEVEL3 = 0x01, 0x04, 0x08, 0x40, 0x80

#: Keysym name to code, for keys that make no character.
NAMED: dict[str, int] = {
    "Escape": 1, "BackSpace": 14, "Tab": 15, "Return": 28, "Control_L": 29, "Shift_L": 42,
    "Shift_R": 54, "KP_Multiply": 55, "Alt_L": 56, "Caps_Lock": 58, "Num_Lock": 69,
    "Scroll_Lock": 70, "KP_7": 71, "KP_8": 72, "KP_9": 73, "KP_Subtract": 74, "KP_4": 75,
    "KP_5": 76, "KP_6": 77, "KP_Add": 78, "KP_1": 79, "KP_2": 80, "KP_3": 81, "KP_0": 82,
    "KP_Decimal": 83, "F11": 87, "F12": 88, "KP_Enter": 96, "Control_R": 97, "KP_Divide": 98,
    "Print": 99, "ISO_Level3_Shift": 84, "Alt_R": 100, "Home": 102, "Up": 103, "Prior": 104,
    "Left": 105, "Right": 106, "End": 107, "Down": 108, "Next": 109, "Insert": 110, "Delete": 111,
    "XF86AudioMute": 113, "XF86AudioLowerVolume": 114, "XF86AudioRaiseVolume": 115,
    "KP_Equal": 117, "Pause": 119, "Super_L": 125, "Super_R": 126, "Menu": 127, "Cancel": 128,
    "Redo": 129, "Undo": 131, "XF86Copy": 133, "XF86Open": 134, "XF86Paste": 135, "Find": 136,
    "XF86Cut": 137, "Help": 138, "XF86Calculator": 140, "XF86WWW": 150, "XF86Mail": 155,
    "XF86Favorites": 156, "XF86Back": 158, "XF86Forward": 159, "XF86AudioNext": 163,
    "XF86AudioPlay": 164, "XF86AudioPrev": 165, "XF86AudioStop": 166, "XF86HomePage": 172,
    "XF86Reload": 173, "XF86MonBrightnessDown": 224, "XF86MonBrightnessUp": 225,
    **{f"F{number}": 58 + number for number in range(1, 11)},
}  # fmt: skip

#: Code of a modifier key to its mask.
MODIFIERS: dict[int, int] = {
    NAMED["Shift_L"]: SHIFT, NAMED["Shift_R"]: SHIFT,
    NAMED["Control_L"]: CONTROL, NAMED["Control_R"]: CONTROL,
    NAMED["Alt_L"]: ALT, NAMED["Alt_R"]: ALT,
    NAMED["Super_L"]: SUPER, NAMED["Super_R"]: SUPER,
    NAMED["ISO_Level3_Shift"]: LEVEL3,
}  # fmt: skip

#: First code, characters without and with shift.
_ROWS = (
    (41, "`", "~"),
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'", 'ASDFGHJKL:"'),
    (43, "\\", "|"),
    (44, "zxcvbnm,./", "ZXCVBNM<>?"),
    (57, " ", " "),
)

#: Code to the characters without and with shift.
PRINTED: dict[int, tuple[str, str]] = {
    first + at: pair
    for first, plain, shifted in _ROWS
    for at, pair in enumerate(zip(plain, shifted, strict=True))
}

#: Names without a symbol on the US keyboard that are pressed as they are.
_SYMBOLS = {f"F{number}": f"F{number}" for number in range(13, 25)}

#: Keysym names of characters, and some words that people use.
_CHARACTERS = {
    "space": " ", "exclam": "!", "quotedbl": '"', "numbersign": "#", "hash": "#", "dollar": "$",
    "percent": "%", "ampersand": "&", "apostrophe": "'", "quoteright": "'", "quote": "'",
    "parenleft": "(", "parenright": ")", "asterisk": "*", "plus": "+", "comma": ",",
    "minus": "-", "dash": "-", "hyphen": "-", "period": ".", "dot": ".", "slash": "/",
    "colon": ":", "semicolon": ";", "less": "<", "equal": "=", "equals": "=", "greater": ">",
    "question": "?", "at": "@", "bracketleft": "[", "backslash": "\\", "bracketright": "]",
    "asciicircum": "^", "underscore": "_", "grave": "`", "quoteleft": "`", "backtick": "`",
    "braceleft": "{", "bar": "|", "pipe": "|", "braceright": "}", "asciitilde": "~",
    "tilde": "~",
}  # fmt: skip

#: Other spellings, already folded, to keysym names.
_ALIASES = {
    "ctrl": "Control_L", "control": "Control_L", "ctl": "Control_L", "lctrl": "Control_L",
    "ctrlleft": "Control_L", "controlleft": "Control_L", "rctrl": "Control_R",
    "ctrlright": "Control_R", "controlright": "Control_R",
    "shift": "Shift_L", "lshift": "Shift_L", "shiftleft": "Shift_L", "rshift": "Shift_R",
    "shiftright": "Shift_R",
    "alt": "Alt_L", "option": "Alt_L", "lalt": "Alt_L", "altleft": "Alt_L",
    "optionleft": "Alt_L", "ralt": "Alt_R", "altright": "Alt_R", "optionright": "Alt_R",
    "altgr": "ISO_Level3_Shift", "modeswitch": "ISO_Level3_Shift",
    "super": "Super_L", "meta": "Super_L", "metal": "Super_L", "cmd": "Super_L",
    "command": "Super_L", "win": "Super_L", "windows": "Super_L", "winleft": "Super_L",
    "metaleft": "Super_L", "lwin": "Super_L", "os": "Super_L", "hyper": "Super_L",
    "metar": "Super_R", "winright": "Super_R", "metaright": "Super_R", "rwin": "Super_R",
    "enter": "Return", "ret": "Return", "linefeed": "Return", "kpreturn": "KP_Enter",
    "numpadenter": "KP_Enter",
    "esc": "Escape", "backspace": "BackSpace", "back": "BackSpace", "bksp": "BackSpace",
    "del": "Delete", "ins": "Insert", "isolefttab": "Tab",
    "pageup": "Prior", "pgup": "Prior", "pagedown": "Next", "pgdn": "Next", "pgdown": "Next",
    "arrowup": "Up", "arrowdown": "Down", "arrowleft": "Left", "arrowright": "Right",
    "uparrow": "Up", "downarrow": "Down", "leftarrow": "Left", "rightarrow": "Right",
    "caps": "Caps_Lock", "scroll": "Scroll_Lock",
    "printscreen": "Print", "prtsc": "Print", "prtscr": "Print", "prntscrn": "Print",
    "sysrq": "Print", "break": "Pause", "contextmenu": "Menu", "apps": "Menu",
    "multiply": "KP_Multiply", "add": "KP_Add", "subtract": "KP_Subtract",
    "decimal": "KP_Decimal", "divide": "KP_Divide",
    "volumemute": "XF86AudioMute", "volumedown": "XF86AudioLowerVolume",
    "volumeup": "XF86AudioRaiseVolume", "playpause": "XF86AudioPlay",
    "nexttrack": "XF86AudioNext", "prevtrack": "XF86AudioPrev",
    "browserback": "XF86Back", "browserforward": "XF86Forward",
    "browserrefresh": "XF86Reload", "browserhome": "XF86HomePage",
    **{f"numpad{digit}": f"KP_{digit}" for digit in range(10)},
    **{f"num{digit}": f"KP_{digit}" for digit in range(10)},
}  # fmt: skip

#: Characters of a text that are keys.
_CONTROLS = {"\n": "Return", "\r": "Return", "\t": "Tab", "\b": "BackSpace", "\x1b": "Escape"}


@dataclass(frozen=True)
class Stroke:
    """One key to press: either ``code`` of the US keyboard, with shift or not, or ``symbol``."""

    code: int = 0
    shift: bool = False
    symbol: str | None = None


@dataclass(frozen=True)
class Chord:
    """A key pressed while ``modifiers`` (codes) are down; a lone modifier is ``stroke`` itself."""

    modifiers: tuple[int, ...]
    stroke: Stroke


def _folded(name: str) -> str:
    return "".join(char for char in name.casefold() if char not in "_- ")


_BY_NAME: dict[str, Stroke] = {
    **{_folded(name): Stroke(code) for name, code in NAMED.items()},
    **{_folded(name): Stroke(symbol=symbol) for name, symbol in _SYMBOLS.items()},
}
_BY_NAME.update({alias: Stroke(NAMED[name]) for alias, name in _ALIASES.items()})

_BY_CHARACTER: dict[str, Stroke] = {
    **{shifted: Stroke(code, shift=True) for code, (_, shifted) in PRINTED.items()},
    **{plain: Stroke(code) for code, (plain, _) in PRINTED.items()},
    **{char: Stroke(NAMED[name]) for char, name in _CONTROLS.items()},
}
_BY_NAME.update({_folded(name): _BY_CHARACTER[char] for name, char in _CHARACTERS.items()})


def _bad(message: str, text: str, hint: str | None = None) -> UsageError:
    return UsageError(message, operation="key", subject=text, hint=hint)


def stroke_for(character: str) -> Stroke:
    """Return how to type one character.  Raises UsageError for what has no key at all."""
    known = _BY_CHARACTER.get(character)
    if known is not None:
        return known
    number = ord(character)
    if number < 0xA0 or 0xD800 <= number < 0xE000 or number & 0xFFFE == 0xFFFE:
        raise _bad(f"the character U+{number:04X} cannot be typed", character)
    return Stroke(symbol=f"U{number:04X}")


def strokes_for(text: str) -> list[Stroke]:
    """Return how to type ``text``; a line break of two characters is one Return."""
    return [stroke_for(character) for character in text.replace("\r\n", "\n")]


def _key(name: str, text: str, *, in_chord: bool) -> Stroke:
    if len(name) == 1:
        # "ctrl+S" means ctrl+s to everybody who writes it; shift is then said as such.
        return stroke_for(name.lower() if in_chord and name.isascii() else name)
    known = _BY_NAME.get(_folded(name))
    if known is None and name[:1] in "Uu" and 5 <= len(name) <= 7:
        try:
            return stroke_for(chr(int(name[1:].removeprefix("+"), 16)))
        except (ValueError, OverflowError):
            pass
    if known is None:
        close = difflib.get_close_matches(_folded(name), _BY_NAME, n=3)
        hint = f"did you mean {', '.join(close)}?" if close else "for example Return, ctrl+s, F5"
        raise _bad(f"unknown key {name!r}", text, hint)
    return known


def chord_of(parts: list[str], text: str) -> Chord:
    """Return the chord of key names, modifiers first.  ``text`` is for the error message."""
    if not parts or not all(parts):
        raise _bad(f"no key in {text!r}", text, "for example Return, ctrl+s, F5")
    strokes = [_key(part, text, in_chord=len(parts) > 1) for part in parts]
    for part, stroke in zip(parts[:-1], strokes[:-1], strict=True):
        if stroke.code not in MODIFIERS:
            raise _bad(f"{part!r} is not a modifier", text, "modifiers are ctrl, shift, alt, super")
    return Chord(tuple(stroke.code for stroke in strokes[:-1]), strokes[-1])


def parse_chord(text: str) -> Chord:
    """Parse ``ctrl+shift+t``, ``Return``, ``ctrl++``, ``+`` or ``a``.  Raises UsageError."""
    parts = text.split("+")
    if text == "+":
        parts = ["+"]
    elif text.endswith("++"):
        parts = [*parts[:-2], "+"]
    return chord_of([part if part == " " else part.strip() for part in parts], text)


def parse_chords(text: str) -> list[Chord]:
    """Parse chords with blanks between, to be pressed one after the other."""
    if text == " ":
        return [parse_chord(text)]
    if not text.strip():
        raise _bad("no key given", text, "for example Return, ctrl+s, F5")
    try:
        return [parse_chord(part) for part in text.replace(" + ", "+").split()]
    except UsageError:
        # Names such as "page down" hold blanks themselves.
        try:
            return [parse_chord(text)]
        except UsageError:
            pass
        raise
