"""The background writer: makes commits durable, in order, one at a time.

A command captures a state, submits a ``Job`` and goes on; the scribe's thread then writes the
memory image to the store, the commit to Git, and moves the refs, in this order, so that whoever
can reach a commit finds all of it.  The journal holds every job from before the command returns
until its refs have moved.

What a crash leaves, by how far a job was:

* before its journal entry: nothing was acknowledged; the snapshot and the image are swept;
* entry there, image still in the run directory (only the keeper died): the job is done again;
* entry there, image gone (reboot): the job is dropped and said so; refs never moved.

Journal record: {"commit", "parents", "message", "state": State, "screenshot": bytes|None,
"image": path|None, "moves": [[branch, commit, reason]...]}.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tcvs_core.capture.image import save
from tcvs_core.errors import TcvsError
from tcvs_core.faults import Fault, hit
from tcvs_core.ids import BranchName, CommitId, StateId
from tcvs_core.model import Commit, State
from tcvs_core.store.history import History
from tcvs_core.store.journal import Journal
from tcvs_core.store.memory import MemoryStore

#: How much the background writer stands back.
_NICE = 10


class CommitLost(TcvsError):
    """A commit could not be made durable."""

    code = "commit-lost"


@dataclass
class Job:
    """One commit on its way to the disk."""

    commit: CommitId
    parents: list[CommitId]
    message: str
    state: State
    screenshot: bytes | None
    image: Path | None
    #: Refs to move once it is durable, in order: (branch, commit, reason for the reflog).
    moves: list[tuple[BranchName, CommitId, str]]
    stage: str = "waiting"
    fraction: float = 0.0
    error: TcvsError | None = None
    stored: dict[str, Any] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)
    submitted: float = field(default_factory=time.time)

    def to_record(self) -> dict[str, Any]:
        """Return the journal's record."""
        return {
            "commit": self.commit,
            "parents": list(self.parents),
            "message": self.message,
            "state": self.state.to_dict(),
            "screenshot": self.screenshot,
            "image": str(self.image) if self.image else None,
            "moves": [list(move) for move in self.moves],
            "submitted": self.submitted,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Job:
        """The reverse of ``to_record``."""
        return cls(
            commit=CommitId(record["commit"]),
            parents=[CommitId(p) for p in record["parents"]],
            message=record["message"],
            state=State.from_dict(record["state"]),
            screenshot=record["screenshot"],
            image=Path(record["image"]) if record["image"] else None,
            moves=[(BranchName(b), CommitId(c), why) for b, c, why in record["moves"]],
            submitted=record.get("submitted", 0.0),
        )

    def to_commit(self) -> Commit:
        """Return the commit as readers see it while it is being written."""
        return Commit(
            id=self.commit,
            parents=list(self.parents),
            message=self.message,
            state=self.state,
            memory="pending" if self.image else "none",
        )


class Scribe:
    """See the module's docstring.  One thread; ``submit`` from any."""

    def __init__(
        self,
        history: History,
        memory: MemoryStore,
        journal: Journal,
        notice: Callable[[str], None],
        make_room: Callable[[], object],
        lost: Callable[[Job], None] = lambda job: None,
    ) -> None:
        self._history = history
        self._memory = memory
        self._journal = journal
        self._notice = notice
        self._make_room = make_room
        self._tell_lost = lost
        self._lost: set[str] = set()
        self._jobs: dict[CommitId, Job] = {}
        self._queue: queue.Queue[Job | None] = queue.Queue()
        self._guard = threading.Lock()
        self._moving = threading.Lock()  # a job's moves do not grow while they are being made
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._work, name="scribe", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish what has been submitted, then end the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def submit(self, job: Job, *, journaled: bool = False) -> None:
        """Take ``job``; when this returns it is in the journal."""
        if not journaled:
            self._journal.put(StateId(job.state.state), job.to_record())
        hit(Fault.COMMIT_JOURNALED)
        with self._guard:
            self._jobs[job.commit] = job
        self._queue.put(job)

    def move_later(self, job: Job, branch: BranchName, commit: CommitId, reason: str) -> None:
        """Move the ref of ``branch`` to ``commit`` once ``job`` is durable; now, where it is.

        When this returns the move is in the journal, or made.
        """
        with self._moving:
            if job.commit in self.pending():
                job.moves.append((branch, commit, reason))
                self._journal.put(StateId(job.state.state), job.to_record())
            else:
                old = self._history.branches().get(branch)
                self._history.set_branch(branch, commit, old, reason)

    def pending(self) -> dict[CommitId, Job]:
        """Return the jobs that are not done, oldest first."""
        with self._guard:
            return dict(self._jobs)

    def wait(
        self, commit: CommitId, progress: Callable[[str, float], None] | None = None
    ) -> Job | None:
        """Wait until ``commit`` is durable; None when it is not pending.  Raises its error."""
        job = self.pending().get(commit)
        if job is None:
            return None
        while not job.done.wait(0.1):
            if progress is not None:
                progress(job.stage, job.fraction)
        if job.error is not None:
            raise job.error
        return job

    def drain(self) -> None:
        """Wait until all that has been submitted so far is done, whatever came of it."""
        for job in self.pending().values():
            job.done.wait()

    def _work(self) -> None:
        # Desktops and captures come first; threads that this one starts inherit it.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while (job := self._queue.get()) is not None:
            try:
                if self._lost.intersection(job.parents):
                    raise CommitLost(f"the commit before {job.commit[:10]} could not be written")
                self.write(job)
            except Exception as error:  # a bug must not end the thread that keeps people's work
                known = isinstance(error, TcvsError)
                why = str(error) if known else repr(error)
                job.error = CommitLost(f"cannot write commit {job.commit[:10]}: {why}")
                job.error.__cause__ = error
                if job.stage == "durable":
                    self._notice(f"commit {job.commit[:10]} has no memory half: {why}")
                else:
                    self._give_up(job)
                    self._notice(f"{job.error}; it is lost, and its branch where it was before")
            finally:
                with self._guard:
                    self._jobs.pop(job.commit, None)
                job.done.set()

    def _give_up(self, job: Job) -> None:
        """Forget a job that cannot be written: done later it would move refs back."""
        self._lost.add(job.commit)
        with contextlib.suppress(TcvsError):
            self._journal.remove(StateId(job.state.state))
        if job.image is not None:
            shutil.rmtree(job.image, ignore_errors=True)
        self._tell_lost(job)

    def write(self, job: Job) -> None:
        """Make one job durable.  Doing it twice does no harm."""
        state = StateId(job.state.state)
        try:
            if job.image is not None and not self._memory.has(state):
                self._write_memory(job, job.image, state)
        finally:
            # The files are worth keeping also where there was no room for the memory: readers
            # then find a commit without a memory half.
            job.stage = "history"
            self._history.commit(job.state, job.parents, job.message, job.screenshot)
            hit(Fault.COMMIT_OBJECT)
            with self._moving:
                self._move_refs(job)
                hit(Fault.COMMIT_REF)
                self._journal.remove(state)
                with self._guard:
                    self._jobs.pop(job.commit, None)
            if job.image is not None:
                shutil.rmtree(job.image, ignore_errors=True)
            job.stage, job.fraction = "durable", 1.0

    def _write_memory(self, job: Job, image: Path, state: StateId) -> None:
        job.stage = "memory"

        def progress(_stage: str, fraction: float, _detail: str) -> None:
            job.fraction = fraction

        with contextlib.suppress(TcvsError):
            self._make_room()
        job.stored = save(image, self._memory.writer(state), progress)

    def _move_refs(self, job: Job) -> None:
        branches = self._history.branches()
        for branch, commit, reason in job.moves:
            old = branches.get(branch)
            if old == commit:
                continue
            self._history.set_branch(branch, commit, old, reason)
            branches[branch] = commit

    def recover(self) -> list[Job]:
        """Submit again what the journal holds and can still be done; return what was dropped.

        A job whose memory image is gone is dropped, and with it all that descend from it.
        """
        jobs = [Job.from_record(record) for _state, record in self._journal.entries()]
        jobs.sort(key=lambda job: job.submitted)
        dropped: list[Job] = []
        lost: set[str] = set()
        for job in jobs:
            state = StateId(job.state.state)
            gone = job.image is not None and not job.image.is_dir() and not self._memory.has(state)
            if gone or lost.intersection(job.parents):
                lost.add(job.commit)
                dropped.append(job)
                self._journal.remove(state)
            else:
                self.submit(job, journaled=True)
        return dropped
