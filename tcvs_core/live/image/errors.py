"""What can go wrong while an image is made.  Only this room raises these."""

from __future__ import annotations

from tcvs_core.errors import TcvsError, UsageError


class ImageBuildFailed(TcvsError):
    """Building or importing stopped half-way.  The caller removes the target."""

    code = "image-build-failed"


class UnknownRecipe(UsageError):
    """There is no recipe of that name."""

    code = "unknown-recipe"


class NotAnImage(UsageError):
    """The tree to import cannot run as a desktop."""

    code = "not-an-image"
