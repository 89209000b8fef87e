"""Where a repository's keeper can be found: its run directory and socket.

Kept apart from the keeper itself because the thin client needs nothing else.
"""

from __future__ import annotations

from pathlib import Path

from tcvs_core.store.marker import read_marker

#: Parent of all run directories; a tmpfs, so that nothing in it outlives a reboot.
RUN = Path("/run/tcvs")


def run_directory(repo: Path) -> Path:
    """Return the run directory of the repository at ``repo``, which may not exist yet.

    Raises NotARepository, PoolGone, StoreError.
    """
    return RUN / read_marker(repo).id


def socket_path(repo: Path) -> Path:
    """Return the path of the keeper's socket."""
    return run_directory(repo) / "keeper.sock"
