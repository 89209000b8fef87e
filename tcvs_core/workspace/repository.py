"""One repository, opened: the store, the running desktops, and what ties them together.

The verbs are functions in the other modules of this room; each takes the ``Repository`` first.
Only one process at a time may hold one: the keeper sees to that.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tcvs_core.errors import TcvsError, UsageError
from tcvs_core.ids import BranchName, CommitId, StateId, new_state_id
from tcvs_core.live.container import Container
from tcvs_core.live.runtime import Desktops
from tcvs_core.model import Author, Commit
from tcvs_core.store.files import Trees
from tcvs_core.store.history import History
from tcvs_core.store.journal import Journal
from tcvs_core.store.memory import MemoryStore
from tcvs_core.store.objects import ObjectStore
from tcvs_core.workspace.branches import Branches
from tcvs_core.workspace.locks import Locks
from tcvs_core.workspace.scribe import Job, Scribe

#: Told the stage's name, the fraction done (0 to 1) and a detail, any number of times.
Progress = Callable[[str, float, str], None]


def silent(_stage: str, _fraction: float, _detail: str) -> None:
    """A Progress that tells nobody."""


class Watchers(Protocol):
    """Those who look at desktops from outside: gone before a freeze, back after it."""

    def leave(self, branch: str) -> None:
        """Nobody is connected to ``branch`` when this returns."""

    def come_back(self, branch: str) -> None:
        """Look again at ``branch``: it runs, or has ended, or is no more."""


class NoWatchers:
    """Nobody looks."""

    def leave(self, branch: str) -> None:
        return None

    def come_back(self, branch: str) -> None:
        return None


@dataclass(frozen=True)
class Notice:
    """A sentence for the user."""

    text: str
    about: str | None = None


@dataclass
class Places:
    """Directories of a repository."""

    store: Path
    run: Path  # on a tmpfs if possible; gone after a reboot
    images: Path  # memory images on their way to the store; on a tmpfs


class Repository:
    """See the module's docstring."""

    def __init__(
        self,
        places: Places,
        files: Trees,
        runtime: Desktops,
        *,
        author: Author | None = None,
        make_room: Callable[[], object] = lambda: None,
    ) -> None:
        self.places = places
        self.files = files
        self.runtime = runtime
        self.author = author or Author("tcvs")
        self.watchers: Watchers = NoWatchers()
        self.notices: deque[Notice] = deque(maxlen=50)
        self.locks = Locks()
        store = places.store
        places.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        places.images.mkdir(mode=0o700, parents=True, exist_ok=True)
        git = store / "git"
        whole = (git / "logs" / "refs" / "heads").is_dir()  # made last
        self.history = History.open(git) if whole else History.create(git)
        self.objects = ObjectStore(store / "objects")
        self.memory = MemoryStore(self.objects, store / "manifests")
        self.journal = Journal(store / "journal")
        self.branches = Branches(store / "branches", places.run / "live", runtime)
        self.scribe = Scribe(
            self.history, self.memory, self.journal, self.notice, make_room, self._lost
        )
        self._screens: dict[str, Any] = {}
        self._tips: dict[BranchName, CommitId] = {}
        self._guard = threading.Lock()

    # -- opening and closing

    def open(self) -> None:
        """Finish what an earlier keeper left unfinished, then take work."""
        from tcvs_core.workspace.recover import recover

        recover(self)
        self.scribe.start()

    def close(self) -> None:
        """Write what is pending and let go.  Desktops run on."""
        self.scribe.stop()
        for branch in list(self._screens):
            self.close_screen(branch)
        self.history.close()
        self.objects.close()
        with contextlib.suppress(OSError):  # not empty: an image that could not be written
            self.places.images.rmdir()

    def notice(self, text: str, about: str | None = None) -> None:
        """Keep a sentence for `status` and `log`; one ``about`` a branch until that is started."""
        self.notices.append(Notice(text, about))

    def settle_notices(self, about: str) -> None:
        """Drop what was said about a branch: the user has seen to it."""
        kept = [notice for notice in self.notices if notice.about != about]
        self.notices.clear()
        self.notices.extend(kept)

    # -- branches and revisions

    def current(self) -> BranchName:
        """Return the name of the current branch."""
        return self.history.head()

    def tips(self) -> dict[BranchName, CommitId]:
        """Return the newest commit of every branch, those still being written included."""
        tips = dict(self.history.branches())
        with self._guard:
            tips.update({b: c for b, c in self._tips.items() if b in tips})
        return tips

    def tip(self, branch: BranchName) -> CommitId:
        """Return the newest commit of ``branch``.  Raises UsageError for an unknown one."""
        try:
            return self.tips()[branch]
        except KeyError:
            raise self.unknown(branch) from None

    def unknown(self, branch: str) -> UsageError:
        """Make the error for a branch that is not there."""
        names = sorted(self.tips())
        return UsageError(
            f"there is no branch {branch!r}",
            operation="branch",
            subject=branch,
            hint=f"branches: {', '.join(names)}" if names else "make one with `tcvs up`",
        )

    def _lost(self, job: Job) -> None:
        """Take back what was noted of a commit that could not be written."""
        for branch, _commit, _why in job.moves:
            self.set_tip(branch, None)
        with tidying():
            self.files.delete_state(StateId(job.state.state))

    def set_tip(self, branch: BranchName, commit: CommitId | None) -> None:
        """Note the newest commit of ``branch`` before its ref has moved."""
        with self._guard:
            if commit is None:
                self._tips.pop(branch, None)
            else:
                self._tips[branch] = commit

    def branch(self, name: str | None) -> BranchName:
        """Return ``name``, or the current branch, if it exists.  Raises UsageError."""
        found = BranchName(name) if name else self.current()
        if found not in self.tips():
            raise self.unknown(found)
        return found

    def resolve(self, revision: str) -> CommitId:
        """Return the commit that ``revision`` names, one still being written included."""
        jobs = self.scribe.pending()
        if revision in jobs:
            return CommitId(revision)
        return self.history.resolve(
            revision,
            pending={str(b): c for b, c in self.tips().items() if c in jobs},
            pending_parents={commit: job.parents for commit, job in jobs.items()},
        )

    def commit(self, commit: CommitId) -> Commit:
        """Read a commit, wherever it is, with what is true of its memory half."""
        job = self.scribe.pending().get(commit)
        if job is not None:
            return job.to_commit()
        found = self.history.read(commit)
        durable = self.memory.has(StateId(found.state.state))
        return Commit(
            found.id, found.parents, found.message, found.state, "durable" if durable else "none"
        )

    # -- running desktops

    def container(self, branch: BranchName) -> Container:
        """Return the running container of ``branch``.  Raises UsageError."""
        found = self.branches.live(branch)
        if found is None:
            raise UsageError(
                f"the desktop of {branch} is not running",
                operation="find desktop",
                subject=branch,
                hint=f"`tcvs up {branch}`",
            )
        return found

    def screen(self, branch: BranchName) -> Any:
        """Return eyes and hands for the running desktop of ``branch``."""
        container = self.container(branch)
        with self._guard:
            known = self._screens.get(branch)
            if known is not None and known[0] == container.pid:
                return known[1]
            screen = self.runtime.screen(container)
            self._screens[branch] = (container.pid, screen)
            return screen

    def close_screen(self, branch: str) -> None:
        """Leave the compositor of ``branch``."""
        with self._guard:
            known = self._screens.pop(branch, None)
        if known is not None:
            known[1].close()

    @contextlib.contextmanager
    def unwatched(self, branch: str) -> Iterator[None]:
        """Nobody from outside is connected to the desktop of ``branch`` during the block."""
        self.close_screen(branch)
        self.watchers.leave(branch)
        try:
            yield
        finally:
            self.watchers.come_back(branch)

    @contextlib.contextmanager
    def image_directory(self, state: StateId | None = None) -> Iterator[Path]:
        """Make a directory for a memory image; it is removed if the block fails."""
        image = self.places.images / (state or new_state_id())
        image.mkdir(mode=0o700)
        try:
            yield image
        except BaseException:
            shutil.rmtree(image, ignore_errors=True)
            raise

    def stop_container(self, branch: str) -> None:
        """End the desktop of ``branch``, if it runs."""
        self.close_screen(branch)
        self.watchers.leave(branch)
        container = self.branches.live(branch)
        if container is not None:
            self.runtime.stop(container)
        self.branches.set_live(branch, None)
        self.watchers.come_back(branch)

    @contextlib.contextmanager
    def loaded(self, state: StateId, progress: Progress = silent) -> Iterator[Path | None]:
        """Give the memory image of ``state``, read from the store; None where it has none."""
        if not self.memory.has(state):
            yield None
            return
        progress("memory", 0.0, state)
        with self.image_directory() as image:
            self.memory.restore(state, image, progress)
            try:
                yield image
            finally:
                shutil.rmtree(image, ignore_errors=True)

    def author_of(self, author: dict[str, Any] | None) -> Author:
        """Return the author that a request named, or the repository's."""
        if author is None:
            return self.author
        try:
            return Author.from_dict(author)
        except TypeError as error:
            raise UsageError("an author has at least a name", operation="author") from error


def tidying() -> contextlib.AbstractContextManager[None]:
    """A block that tidies up after a failure: errors of its own are of no interest any more."""
    return contextlib.suppress(TcvsError, OSError)
