"""Build, import, list and remove desktop images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tcvs.context import Context
from tcvs.render import units
from tcvs.render.table import Column
from tcvs_core.errors import UsageError

EXAMPLES = {
    "build": "tcvs image build desktop\ntcvs image build mini --name test --force",
    "import": "tcvs image import ./rootfs.tar.zst\ntcvs image import /srv/root --name office",
    "list": "tcvs image list\ntcvs image list --json",
    "rm": "tcvs image rm test",
}


def build(
    here: Context,
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="`desktop` or `mini`.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its name; the recipe's by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an image of that name.")] = False,
) -> None:
    """Build an image of Debian trixie from a recipe.

    `desktop` has a panel, terminal, file manager, editor, Chromium, Firefox and LibreOffice;
    `mini` is small and for tests.  An interrupted build leaves nothing behind.
    """
    result = here.call("image_build", progress="image", recipe=recipe, name=name, force=force)
    here.say(result, lambda: _made("Built", result))


def import_(
    here: Context,
    source: Annotated[str, typer.Argument(metavar="DIR|TAR", help="A root file system.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its name; the source's by default.")
    ] = None,
) -> None:
    """Make an image from a directory or a tar archive."""
    path = Path(source).absolute()
    if not path.exists():
        raise UsageError(f"{source} does not exist", operation="image import", subject=source)
    given = name or path.name.partition(".")[0]
    result = here.call("image_import", progress="image", source=str(path), name=given)
    here.say(result, lambda: _made("Imported", result))


def list_(here: Context) -> None:
    """List the images."""
    images = here.call("image_list")
    columns = [
        Column("IMAGE", style="bold"),
        Column("RECIPE"),
        Column("SIZE", right=True),
        Column("PACKAGES", right=True),
        Column("BRANCHES", right=True),
        Column("CREATED"),
    ]
    rows = [_row(image) for image in images]
    empty = "There are no images.  `tcvs image build desktop` makes one."
    here.write(images, lambda: here.table(columns, rows, empty))


def rm(
    here: Context,
    names: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Images to remove.")],
) -> None:
    """Remove images that no branch needs."""
    for name in names:
        here.call("image_remove", name=name)
    here.say({"removed": names}, lambda: "Removed " + ", ".join(names) + ".")


def _made(verb: str, image: dict[str, Any]) -> str:
    size = f" ({units.size(image['size'])})" if image.get("size") else ""
    return f"{verb} image {image['name']}{size}."


def _row(image: dict[str, Any]) -> list[str]:
    packages = image.get("packages")
    number = len(packages) if isinstance(packages, list) else packages
    return [
        str(image["name"]),
        str(image.get("recipe") or "-"),
        units.size(image.get("size")),
        "-" if number is None else str(number),
        str(image.get("branches", 0)),
        units.moment(image.get("created")),
    ]


COMMAND = {"build": build, "import": import_, "list": list_, "rm": rm}
