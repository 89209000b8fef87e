"""Building an image from a recipe.

The caller gives an empty directory (in the product a fresh subvolume) and removes it when
``build`` raises; everything else that a build uses ends with it.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path
from typing import Any

from tcvs_core.live.image import debian
from tcvs_core.live.image.configure import SESSION, UID, USER, configure, lay
from tcvs_core.live.image.debian import Progress
from tcvs_core.live.image.errors import ImageBuildFailed
from tcvs_core.live.image.recipes import recipe_named
from tcvs_core.live.image.tree import Tree
from tcvs_core.live.image.wallpaper import WALLPAPER, wallpaper

_PACKAGE = re.compile(rb"^Package: (.+)\n(?:.*\n)*?^Status: install ok installed$", re.MULTILINE)


def silent(_stage: str, _fraction: float, _detail: str) -> None:
    """Report no progress."""


def build(recipe: str, target: Path, progress: Progress = silent) -> dict[str, Any]:
    """Build ``recipe`` into ``target``, an empty existing directory; return its metadata.

    Needs root.  Takes about 40 s for ``mini`` and 100 s for ``desktop``; ``progress`` gets the
    stage (index, download, unpack, configure, finish), 0 to 1, and a package's name.  Raises
    UnknownRecipe, ImageBuildFailed.
    """
    chosen = recipe_named(recipe)
    check_target(target)
    debian.install(chosen, target, progress)
    progress("finish", 0.99, "")
    with Tree(target) as tree:
        configure(tree, chosen.skeletons)
        if "desktop" in chosen.skeletons:
            lay(tree, WALLPAPER, wallpaper())
        result = metadata(tree, recipe)
    progress("finish", 1.0, "")
    return result


def check_target(target: Path) -> None:
    """Raise ImageBuildFailed unless ``target`` is an empty directory and this process is root."""
    if os.geteuid() != 0:
        raise ImageBuildFailed(
            "making an image needs root", operation="image build", hint="run it with sudo"
        )
    try:
        full = any(target.iterdir())
    except OSError as error:
        raise ImageBuildFailed(
            f"cannot use {target}",
            operation="image build",
            subject=str(target),
            errno=error.errno,
        ) from error
    if full:
        raise ImageBuildFailed(
            f"{target} is not empty", operation="image build", subject=str(target)
        )


def metadata(tree: Tree, recipe: str) -> dict[str, Any]:
    """Describe a finished image.

    ``packages`` is a count, ``size`` bytes on disk, ``created`` Unix seconds, ``digest`` the
    SHA-256 of the package database (equal when the same versions are installed).
    """
    status = tree.read("var/lib/dpkg/status") or b""
    return {
        "recipe": recipe,
        "packages": len(_PACKAGE.findall(status)),
        "size": tree.size(),
        "digest": hashlib.sha256(status).hexdigest(),
        "created": time.time(),
        "session": {
            "command": f"/{SESSION}",
            "user": USER,
            "uid": UID,
            "gid": UID,
            "runtime_dir": f"/run/user/{UID}",
            "display": "wayland-0",
            "log": "/var/log/tcvs/session.log",
        },
    }
