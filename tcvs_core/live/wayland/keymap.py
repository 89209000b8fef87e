"""The keymap that the virtual keyboard uploads: a US keyboard and keys for other characters.

It spells out its own keycodes and symbols, so that it means the same with every version of
xkeyboard-config; types and compatibility come from there, by names that have been the same since
XKB exists.  Key names have four characters and codes stay below 256: Xwayland takes no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tcvs_core.live.wayland.keys import NAMED, PRINTED

#: XKB codes are the kernel's and 8.
OFFSET: Final = 8

#: XKB codes for other characters.  Chosen so that programs which look at codes do not take them
#: for "back", "mute" or "sleep".
SLOTS: Final[tuple[int, ...]] = (
    103, 120, 149, 154, 162, 168, 178, 183, 184, 189, 190, *range(191, 208), 210, 211, 217, 219,
    221, 222, 226, 227, 228, 229, 230, 243, 244, 247, 248,
)  # fmt: skip

_MODIFIER_MAP = (
    ("Shift", ("Shift_L", "Shift_R")),
    ("Lock", ("Caps_Lock",)),
    ("Control", ("Control_L", "Control_R")),
    ("Mod1", ("Alt_L", "Alt_R")),
    ("Mod2", ("Num_Lock",)),
    ("Mod4", ("Super_L", "Super_R")),
    ("Mod5", ("ISO_Level3_Shift",)),
)


def _symbol(character: str) -> str:
    return f"U{ord(character):04X}"


def keymap_text(slots: Iterable[tuple[int, str]] = ()) -> str:
    """Return the keymap as text; ``slots`` gives symbols to codes of ``SLOTS``."""
    keys = [(code + OFFSET, f"{_symbol(a)}, {_symbol(b)}") for code, (a, b) in PRINTED.items()]
    keys += [(code + OFFSET, name) for name, code in NAMED.items()]
    keys += slots
    codes = "\n".join(f"    <K{code:03}> = {code};" for code, _ in keys)
    symbols = "\n".join(f"    key <K{code:03}> {{ [ {names} ] }};" for code, names in keys)
    modifiers = "\n".join(
        f"    modifier_map {modifier} {{ "
        + ", ".join(f"<K{NAMED[name] + OFFSET:03}>" for name in names)
        + " };"
        for modifier, names in _MODIFIER_MAP
    )
    return f"""xkb_keymap {{
xkb_keycodes "tcvs" {{
    minimum = 8;
    maximum = 255;
{codes}
}};
xkb_types "tcvs" {{ include "complete" }};
xkb_compatibility "tcvs" {{ include "complete" }};
xkb_symbols "tcvs" {{
    name[Group1] = "English (US)";
{symbols}
{modifiers}
}};
}};
"""
