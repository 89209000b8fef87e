"""Images: the systems that branches begin from."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tcvs_core.errors import UsageError
from tcvs_core.faults import Fault, hit
from tcvs_core.ids import image_name
from tcvs_core.live.image import build, import_tree
from tcvs_core.workspace.repository import Progress, Repository, silent


def image_list(repo: Repository) -> list[dict[str, Any]]:
    """Return all images: name, recipe, size in bytes, packages, created, branches from it."""
    users: dict[str, int] = {}
    for name in repo.branches.names():
        image = repo.branches.facts(name).image
        users[image] = users.get(image, 0) + 1
    return [
        {"name": name, "branches": users.get(name, 0)} | repo.files.image_metadata(name)
        for name in repo.files.images()
    ]


def image_build(
    repo: Repository,
    *,
    recipe: str,
    name: str | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Build an image from a recipe.  An interrupted build leaves nothing."""
    image = image_name(name or recipe)
    begin = time.monotonic()
    metadata: dict[str, Any] = {}
    with repo.locks.hold("build image", f"image {image}"):
        if image in repo.files.images():
            if not force:
                raise UsageError(
                    f"image {image} exists",
                    operation="build image",
                    subject=image,
                    hint="--force builds it anew; branches from the old one are not touched",
                )
        with repo.files.new_image(image, metadata, replace=force) as tree:
            metadata |= build(recipe, tree, progress)
            hit(Fault.IMAGE_BUILT)
    return {"name": image, "seconds": time.monotonic() - begin} | metadata


def image_import(
    repo: Repository, *, source: str, name: str, progress: Progress = silent
) -> dict[str, Any]:
    """Make an image from a directory or a tar archive (a path on the keeper's machine)."""
    image = image_name(name)
    begin = time.monotonic()
    metadata: dict[str, Any] = {}
    with repo.locks.hold("import image", f"image {image}"):
        if image in repo.files.images():
            raise UsageError(
                f"image {image} exists",
                operation="import image",
                subject=image,
                hint=f"`tcvs image rm {image}` first, or another --name",
            )
        with repo.files.new_image(image, metadata) as tree:
            metadata |= import_tree(Path(source), tree, progress)
            hit(Fault.IMAGE_BUILT)
    return {"name": image, "seconds": time.monotonic() - begin} | metadata


def image_remove(repo: Repository, *, name: str) -> dict[str, Any]:
    """Remove an image that no branch comes from."""
    image = image_name(name)
    with repo.locks.hold("remove image", f"image {image}"):
        users = [b for b in repo.branches.names() if repo.branches.facts(b).image == image]
        if users:
            raise UsageError(
                f"image {image} is in use by {', '.join(users)}",
                operation="remove image",
                subject=image,
                hint="delete those branches first",
            )
        repo.files.delete_image(image)
    return {"name": image}
