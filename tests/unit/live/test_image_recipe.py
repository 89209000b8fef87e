"""Recipes, mirrors, skeletons and the picture: everything about images that needs no root."""

from __future__ import annotations

import io
import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

from tcvs_core.live.image import RECIPES, UnknownRecipe, build
from tcvs_core.live.image.configure import skeleton
from tcvs_core.live.image.debian import _Counter, command, mirrors
from tcvs_core.live.image.recipes import recipe_named
from tcvs_core.live.image.wallpaper import wallpaper

DEBIAN_12 = """\
Debian|Debian|bookworm|http://mirror.example/debian/
Debian|Debian|bookworm-updates|http://mirror.example/debian/
Debian|Debian Backports|bookworm-backports|http://mirror.example/debian/
Debian|Debian-Security|bookworm-security|http://other.example/security/
Somebody|Somebody|bookworm|http://third.example/packages/
"""


def test_the_hosts_mirrors_are_used_for_the_images_release() -> None:
    assert mirrors(DEBIAN_12) == [
        "deb http://mirror.example/debian/ trixie main",
        "deb http://mirror.example/debian/ trixie-updates main",
        "deb http://other.example/security/ trixie-security main",
    ]


@pytest.mark.parametrize(
    "listing",
    [
        "",
        "garbage",
        "Ubuntu|Ubuntu|noble|http://mirror.example/ubuntu/",
        "Debian|Debian-Security|bookworm-security|http://other.example/security/",
    ],
)
def test_without_a_debian_mirror_there_are_no_sources(listing: str) -> None:
    assert mirrors(listing) == []


def test_unknown_recipe(tmp_path: Path) -> None:
    with pytest.raises(UnknownRecipe) as caught:
        build("nonsense", tmp_path)
    assert caught.value.exit_status == 2
    assert "desktop, mini" in str(caught.value.hint)


def test_mini_is_part_of_desktop() -> None:
    assert set(RECIPES["mini"].packages) < set(RECIPES["desktop"].packages)
    for recipe in RECIPES.values():
        assert len(set(recipe.packages)) == len(recipe.packages)


def test_the_command_names_target_and_packages() -> None:
    argv = command(recipe_named("mini"), Path("/target"), ["deb http://m.example/ trixie main"])
    assert argv[-3:] == ["trixie", "/target", "deb http://m.example/ trixie main"]
    assert any(word.startswith("--include=") and ",labwc," in word for word in argv)


def test_progress_counts_packages_and_never_goes_back() -> None:
    seen: list[tuple[str, float, str]] = []
    counter = _Counter(2, lambda *said: seen.append(said))
    for line in (
        "Get:1 http://m.example/debian trixie InRelease [140 kB]",
        "Get:4 http://m.example/debian trixie/main amd64 labwc amd64 0.8.3-1 [9678 kB]",
        "Selecting previously unselected package labwc.",
        "Unpacking labwc (0.8.3-1) ...",
        "Setting up labwc (0.8.3-1) ...",
        *["Setting up foot (1) ..."] * 9,
    ):
        counter.line(line)
    assert seen[0] == ("download", pytest.approx(1 / 6), "labwc")
    assert [stage for stage, _, _ in seen[:3]] == ["download", "unpack", "configure"]
    fractions = [fraction for _, fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] < 1


def test_skeletons_are_well_formed() -> None:
    found: set[str] = set()
    for name in ("common", "desktop"):
        for path, data in skeleton(name):
            found.add(path)
            assert "dot-" not in path
            if path.endswith((".xml", ".xcu")):
                ET.fromstring(data)
            elif path.endswith(".json"):
                json.loads(data)
            elif data.startswith(b"#!/bin/sh") or path.endswith(("/autostart", "/environment")):
                subprocess.run(["sh", "-n"], input=data, check=True)
    assert "etc/tcvs/session" in found
    assert "home/user/.config/libreoffice/4/user/registrymodifications.xcu" in found


def test_only_programs_of_the_skeleton_are_executable() -> None:
    programs = {path for path, data in skeleton("common") if data.startswith(b"#!")}
    assert programs == {"etc/tcvs/session", "etc/tcvs/run"}


def test_the_wallpaper_is_the_same_every_time() -> None:
    data = wallpaper((320, 180))
    assert data == wallpaper((320, 180))
    picture = Image.open(io.BytesIO(data))
    assert picture.size == (320, 180)
    colors = picture.convert("RGB").getcolors(1 << 16)
    assert colors is not None
    assert len(colors) > 100
