"""The file halves of images, branches and states: trees that are copied whole, at once.

What both kinds of trees (``files``) share.

    base/<image>      read-only; store/images/<image>.json holds what is known about it
    br/<branch>       read-write
    snap/<state>      read-only
    base/.tmp-*, snap/.tmp-*, br/.tmp-*    being made; ``flock`` on the directory says "alive"

Opening removes what a dead process left under ``.tmp-`` names.
"""

from __future__ import annotations

import abc
import contextlib
import errno
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from tcvs_core.errors import BusyError, TcvsError, UsageError
from tcvs_core.ids import BranchName, ImageName, StateId
from tcvs_core.store.atomic import (
    TEMPORARY,
    clean,
    disk_errors,
    remove_file,
    sync_directory,
    write_file,
)

Kind = Literal["image", "branch", "state"]


class TreeMissing(UsageError):
    """An image, branch or state has no files."""

    code = "tree-missing"


class TreeExists(UsageError):
    """There is one of that name already."""

    code = "tree-exists"


class ImageDamaged(TcvsError):
    """What is known about an image cannot be read."""

    code = "image-damaged"


class Trees(abc.ABC):
    """What ``Files`` and ``PlainFiles`` share.  All methods raise PoolFull and StoreError."""

    def __init__(self, base: Path, br: Path, snap: Path, store: Path) -> None:
        self._base, self._br, self._snap = base, br, snap
        self._images = store / "images"
        self.recover()

    # What the two do differently

    @abc.abstractmethod
    def _make(self, target: Path) -> None:
        """Make an empty tree."""

    @abc.abstractmethod
    def _copy(self, source: Path, target: Path, read_only: bool) -> None:
        """Make ``target`` a copy of ``source``, whole or not at all."""

    @abc.abstractmethod
    def _delete(self, target: Path) -> None:
        """Delete a tree."""

    @abc.abstractmethod
    def _seal(self, target: Path) -> None:
        """Make a tree read-only."""

    @abc.abstractmethod
    def _in_use(self, target: Path) -> str | None:
        """Say who uses a tree in a way that forbids deleting it."""

    @abc.abstractmethod
    def _sync(self, tree: Path) -> None:
        """Write what is dirty to disk."""

    # Names

    def base_path(self, image: ImageName) -> Path:
        """Return where the image's files are, there or not."""
        return self._base / image

    def branch_path(self, branch: BranchName) -> Path:
        """Return where the branch's files are, there or not."""
        return self._br / branch

    def snap_path(self, state: StateId) -> Path:
        """Return where the state's files are, there or not."""
        return self._snap / state

    def has_image(self, image: ImageName) -> bool:
        return self.base_path(image).is_dir()

    def has_branch(self, branch: BranchName) -> bool:
        return self.branch_path(branch).is_dir()

    def has_state(self, state: StateId) -> bool:
        return self.snap_path(state).is_dir()

    def images(self) -> list[ImageName]:
        """Return the names of all images, sorted."""
        return [ImageName(name) for name in _listed(self._base)]

    def branches(self) -> list[BranchName]:
        """Return the names of all branches that have files, sorted."""
        return [BranchName(name) for name in _listed(self._br)]

    def states(self) -> list[StateId]:
        """Return all states that have files, oldest first."""
        return [StateId(name) for name in _listed(self._snap)]

    # Images

    @contextlib.contextmanager
    def new_image(
        self, image: ImageName, metadata: dict[str, Any], *, replace: bool = False
    ) -> Iterator[Path]:
        """Give an empty tree to fill; the image appears, whole and read-only, when the block ends.

        ``metadata`` (JSON-able) is read at the end of the block, so it may be filled in meanwhile.
        Nothing stays when the block raises.  Raises TreeExists, unless ``replace``: then an older
        image of that name goes when the new one is whole.
        """
        if not replace:
            self._want_absent("image", self.base_path(image))
        with self._temporary(self._base, None) as target:
            yield target
            with disk_errors("finish image", image):
                self._sync(target)
                self._seal(target)
                if replace and self.has_image(image):
                    self.delete_image(image)
                self._want_absent("image", self.base_path(image))
                self.set_image_metadata(image, metadata)
                os.rename(target, self.base_path(image))
                sync_directory(self._base)

    def image_metadata(self, image: ImageName) -> dict[str, Any]:
        """Return what was recorded when the image was made.  Raises TreeMissing, ImageDamaged."""
        self._want("image", self.base_path(image))
        path = self._images / f"{image}.json"
        with disk_errors("read", path):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return {}
        try:
            record = json.loads(data)
        except ValueError as error:
            raise ImageDamaged(
                f"{path} is damaged",
                operation="read",
                subject=str(path),
                hint=f"build the image again: `tcvs image build {image} --force`",
            ) from error
        return record if isinstance(record, dict) else {}

    def set_image_metadata(self, image: ImageName, metadata: dict[str, Any]) -> None:
        """Record what is to be known about an image."""
        text = json.dumps(metadata, indent=1, sort_keys=True)
        write_file(self._images / f"{image}.json", text.encode() + b"\n")

    def delete_image(self, image: ImageName) -> None:
        """Delete an image; branches made from it are not affected.  Raises TreeMissing."""
        self._remove("image", self.base_path(image))
        remove_file(self._images / f"{image}.json")

    # Branches and states

    def create_branch_from_image(self, image: ImageName, branch: BranchName) -> None:
        """Make a branch with the image's files.  Raises TreeMissing, TreeExists."""
        self._copy_named("image", self.base_path(image), "branch", self.branch_path(branch))

    def create_branch_from_state(self, state: StateId, branch: BranchName) -> None:
        """Make a branch with the state's files.  Raises TreeMissing, TreeExists."""
        self._copy_named("state", self.snap_path(state), "branch", self.branch_path(branch))

    def presync(self, branch: BranchName) -> None:
        """Write dirty data to disk, so that ``snapshot_branch`` has little left to flush."""
        self._want("branch", self.branch_path(branch))
        with disk_errors("sync branch", branch):
            self._sync(self.branch_path(branch))

    def snapshot_branch(self, branch: BranchName, state: StateId) -> None:
        """Make a state of the branch's files as they are now: the call inside the pause.

        It is on disk when this returns.  Raises TreeMissing, TreeExists.
        """
        self._copy_named("branch", self.branch_path(branch), "state", self.snap_path(state))

    def delete_branch(self, branch: BranchName) -> None:
        """Delete a branch's files.  Raises TreeMissing; BusyError while it is mounted."""
        self._remove("branch", self.branch_path(branch))

    def rename_branch(self, old: BranchName, new: BranchName) -> None:
        """Rename a branch's files.  Raises TreeMissing, TreeExists."""
        self._want("branch", self.branch_path(old))
        self._want_absent("branch", self.branch_path(new))
        with disk_errors("rename branch", old):
            os.rename(self.branch_path(old), self.branch_path(new))
            sync_directory(self._br)

    def delete_state(self, state: StateId) -> None:
        """Delete a state's files.  Raises TreeMissing."""
        self._remove("state", self.snap_path(state))

    @contextlib.contextmanager
    def temporary_snapshot(self, branch: BranchName) -> Iterator[Path]:
        """Give a read-only copy of the branch's files, removed after the block."""
        source = self.branch_path(branch)
        self._want("branch", source)
        with self._temporary(self._snap, source) as target:
            yield target

    def recover(self) -> int:
        """Remove what dead processes left half-made; return how many trees that were."""
        removed = 0
        for place in (self._base, self._br, self._snap):
            with disk_errors("recover", place), _locked(place):
                for path in place.glob(TEMPORARY + "*"):
                    removed += self._remove_dead(path)
        with disk_errors("recover", self._images):
            clean(self._images)
        return removed

    # Helpers

    @contextlib.contextmanager
    def _temporary(self, place: Path, source: Path | None) -> Iterator[Path]:
        """A new tree under a temporary name, locked for as long as the block runs."""
        target = place / f"{TEMPORARY}{secrets.token_hex(6)}"
        # The lock on the place keeps `recover` of another process off until ours is locked.
        with disk_errors("make", target), _locked(place):
            if source is None:
                self._make(target)
            else:
                self._copy(source, target, read_only=True)
            fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            yield target
        finally:
            os.close(fd)
            if target.is_dir():  # else it was published under another name
                with disk_errors("remove", target):
                    self._delete(target)

    def _remove_dead(self, path: Path) -> bool:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._delete(path)
        except OSError:  # alive, or something in it is still mounted: another time
            return False
        else:
            return True
        finally:
            os.close(fd)

    def _copy_named(self, what: Kind, source: Path, target_what: Kind, target: Path) -> None:
        try:
            with disk_errors(f"copy {what} {source.name} to", target):
                self._copy(source, target, read_only=target_what == "state")
        except TcvsError as error:
            # Looked at only now: inside a pause the good case costs one system call.
            self._want(what, source)
            if error.errno == errno.EEXIST:
                self._want_absent(target_what, target)
            raise

    def _remove(self, what: Kind, target: Path) -> None:
        self._want(what, target)
        user = self._in_use(target)
        if user is not None:
            raise BusyError(
                f"{what} {target.name} is in use by {user}",
                operation=f"delete {what}",
                subject=target.name,
                errno=errno.EBUSY,
                hint="stop the workspace that uses it: `tcvs down`",
            )
        with disk_errors(f"delete {what}", target):
            self._delete(target)

    def _want(self, what: Kind, path: Path) -> None:
        if not path.is_dir():
            lister = {
                "image": "tcvs image list",
                "branch": "tcvs branch",
                "state": "tcvs log",
            }
            raise TreeMissing(
                f"there are no files of {what} {path.name}",
                operation=f"find {what}",
                subject=path.name,
                hint=f"see `{lister[what]}`",
            )

    def _want_absent(self, what: Kind, path: Path) -> None:
        if os.path.lexists(path):
            raise TreeExists(
                f"{what} {path.name} exists already",
                operation=f"make {what}",
                subject=path.name,
                hint="choose another name",
            )


def _listed(place: Path) -> list[str]:
    with disk_errors("list", place):
        return sorted(name for name in os.listdir(place) if not name.startswith("."))


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
