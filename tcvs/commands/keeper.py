"""Start, stop or look at the resident keeper."""

from __future__ import annotations

from typing import Any

from tcvs.context import Context
from tcvs.render import units

EXAMPLES = {
    "start": "tcvs keeper start",
    "stop": "tcvs keeper stop",
    "status": "tcvs keeper status --json",
}


def start(here: Context) -> None:
    """Start the keeper; harmless where it runs.

    Every command that needs the keeper starts it, so this is seldom needed.
    """
    answer = here.call("ping")
    here.say(answer, lambda: f"The keeper of {here.repo} runs (pid {answer['pid']}).")


def stop(here: Context) -> None:
    """Stop the keeper; desktops go on and are found again."""
    if _ping(here) is None:
        here.say({"stopped": False}, lambda: f"No keeper runs for {here.repo}.")
        return
    here.keeper(start=False).call("stop")
    here.say({"stopped": True}, lambda: f"Stopped the keeper of {here.repo}.")


def status(here: Context) -> int:
    """Say whether the keeper runs; the exit status is 1 where it does not."""
    answer = _ping(here)
    if answer is None:
        none = {"running": False, "repo": str(here.repo)}
        here.write(none, lambda: f"No keeper runs for {here.repo}.")
        return 1
    here.write({"running": True, **answer}, lambda: _text(here, answer))
    return 0


def _text(here: Context, answer: dict[str, Any]) -> str:
    up = units.age(answer.get("uptime"))
    return f"The keeper of {here.repo} runs: pid {answer['pid']}, up {up}."


def _ping(here: Context) -> dict[str, Any] | None:
    from tcvs_core.keeper.client import KeeperUnavailable

    try:
        answer: dict[str, Any] = here.keeper(start=False).call("ping")
    except KeeperUnavailable as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        return None
    return answer


COMMAND = {"start": start, "stop": stop, "status": status}
