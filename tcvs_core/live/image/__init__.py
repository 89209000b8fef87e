"""Images: the systems that workspaces start from, built from a recipe or imported."""

from __future__ import annotations

from tcvs_core.live.image.build import build
from tcvs_core.live.image.errors import ImageBuildFailed, NotAnImage, UnknownRecipe
from tcvs_core.live.image.import_ import import_tree
from tcvs_core.live.image.recipes import RECIPES, Recipe

__all__ = [
    "RECIPES",
    "ImageBuildFailed",
    "NotAnImage",
    "Recipe",
    "UnknownRecipe",
    "build",
    "import_tree",
]
