"""Where a repository's keeper can be found: its run directory and socket.

Kept apart from the keeper itself because the thin client needs nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path

from tcvs_core.errors import UsageError

#: Parent of all run directories; a tmpfs, so that nothing in it outlives a reboot.
RUN = Path("/run/tcvs")


class NotARepository(UsageError):
    """The directory holds no tcvs repository."""

    code = "not-a-repository"


def repository_id(repo: Path) -> str:
    """Return the 8 hex digits that name the repository at ``repo``.  Raises NotARepository."""
    marker = repo / "tcvs.json"
    try:
        identity = json.loads(marker.read_text())["id"]
    except FileNotFoundError:
        identity = None
    except PermissionError as error:
        raise NotARepository(
            f"cannot read {marker}", errno=error.errno, subject=str(repo), hint="run as root"
        ) from error
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise NotARepository(
            f"{marker} is damaged: {error}", operation="open repository", subject=str(repo)
        ) from error
    if not isinstance(identity, str):
        raise NotARepository(
            f"{repo} is not a tcvs repository",
            operation="open repository",
            subject=str(repo),
            hint=f"make one with `tcvs init {repo}`, or name another with --repo or TCVS_REPO",
        )
    return identity


def run_directory(repo: Path) -> Path:
    """Return the run directory of the repository at ``repo`` (it may not exist yet)."""
    return RUN / repository_id(repo)


def socket_path(repo: Path) -> Path:
    """Return the path of the keeper's socket."""
    return run_directory(repo) / "keeper.sock"
