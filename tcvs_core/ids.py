"""Names and identities, as types: never bare strings across a boundary.

* ``CommitId``: 40 hex digits, the Git object name of a commit in ``store/git``.
* ``StateId``: names the two halves of a saved state, its file snapshot ``snap/<state>`` and its
  memory manifest ``store/manifests/<state>``.  Made before the commit that points to it, so that a
  commit's id is known while its memory is still being written.  Sorts by time of creation.
* ``BranchName``: what users type; also a file name (``br/<branch>``), so it holds no slash.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import NewType

from tcvs_core.errors import UsageError

CommitId = NewType("CommitId", str)
StateId = NewType("StateId", str)
BranchName = NewType("BranchName", str)
ImageName = NewType("ImageName", str)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_HEX40 = re.compile(r"[0-9a-f]{40}\Z")
_STATE = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{12}\Z")
_RESERVED = {"HEAD", "FETCH_HEAD", "ORIG_HEAD"}


def _name(text: str, what: str) -> str:
    bad = (
        not _NAME.match(text) or ".." in text or text.endswith((".lock", ".")) or text in _RESERVED
    )
    if bad or _HEX40.match(text):
        raise UsageError(
            f"{text!r} is not a valid {what} name",
            operation="name",
            subject=text,
            hint="use letters, digits, '-', '_', '.'; at most 64, the first a letter or digit",
        )
    return text


def branch_name(text: str) -> BranchName:
    """Return ``text`` as a branch name.  Raises UsageError."""
    return BranchName(_name(text, "branch"))


def image_name(text: str) -> ImageName:
    """Return ``text`` as an image name.  Raises UsageError."""
    return ImageName(_name(text, "image"))


def tag_name(text: str) -> str:
    """Return ``text`` as a tag name.  Raises UsageError."""
    return _name(text, "tag")


def state_id(text: str) -> StateId:
    """Return ``text`` as a state id.  Raises ValueError."""
    if not _STATE.match(text):
        raise ValueError(f"not a state id: {text!r}")
    return StateId(text)


def new_state_id() -> StateId:
    """Make a fresh state id: UTC time in seconds, then 48 random bits."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    return StateId(f"{stamp}-{secrets.token_hex(6)}")
