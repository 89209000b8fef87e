"""What an image is made of: a list of Debian packages and the skeletons laid over them.

A skeleton is a directory beneath ``skeleton/`` whose files are copied over the installed system,
see ``configure.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcvs_core.live.image.errors import UnknownRecipe

SUITE = "trixie"

_BASE = (
    "catatonit",
    "dbus",
    "labwc",
    "wlr-randr",
    "foot",
    "mousepad",
    "grim",
    "wl-clipboard",
    "python3",
    "at-spi2-core",
    "adwaita-icon-theme",
    "gsettings-desktop-schemas",
    "fonts-dejavu-core",
    "procps",
    "iproute2",
    "less",
    "ca-certificates",
)

_DESKTOP = (
    "libglib2.0-bin",
    "swaybg",
    "xwayland",
    "xfce4-panel",
    "xfdesktop4",
    "xfce4-settings",
    "xfce4-terminal",
    "thunar",
    "ristretto",
    "atril",
    "geany",
    "greybird-gtk-theme",
    "elementary-xfce-icon-theme",
    "chromium",
    "firefox-esr",
    "libreoffice-writer",
    "libreoffice-calc",
    "libreoffice-impress",
    "libreoffice-gtk3",
    "fonts-noto-core",
    "fonts-noto-color-emoji",
    "fonts-liberation",
    "python3-gi",
    "gir1.2-atspi-2.0",
    "xdg-utils",
    "xdg-user-dirs",
    "wlrctl",
    "wtype",
    "curl",
    "git",
    "tmux",
    "nano",
    "sqlite3",
)


@dataclass(frozen=True)
class Recipe:
    """One kind of image.

    ``expected`` is about how many packages get installed, dependencies included; it only scales
    the progress bar.
    """

    name: str
    packages: tuple[str, ...]
    skeletons: tuple[str, ...]
    expected: int
    summary: str


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="mini",
            packages=_BASE,
            skeletons=("common",),
            expected=310,
            summary="labwc, terminal, editor, Python: small, for tests",
        ),
        Recipe(
            name="desktop",
            packages=_BASE + _DESKTOP,
            skeletons=("common", "desktop"),
            expected=610,
            summary="panel, desktop, files, editors, two browsers, office, PDF and pictures",
        ),
    )
}


def recipe_named(name: str) -> Recipe:
    """Return the recipe.  Raises UnknownRecipe."""
    try:
        return RECIPES[name]
    except KeyError:
        raise UnknownRecipe(
            f"there is no image recipe {name!r}",
            operation="image build",
            subject=name,
            hint=f"use one of: {', '.join(sorted(RECIPES))}",
        ) from None
