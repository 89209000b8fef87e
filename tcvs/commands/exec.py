"""tcvs exec"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from tcvs.context import Context
from tcvs_core.errors import UsageError

EXAMPLES = """
tcvs exec ls -l /home/user
tcvs exec -b explore-1 -- python3 -c 'print(1)'
tcvs exec --user root -e DEBIAN_FRONTEND=noninteractive apt-get install -y jq
tcvs exec -d mousepad /home/user/notes.txt
"""
SETTINGS = {"allow_interspersed_args": False}


def exec_(
    here: Context,
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND...", help="The program and its arguments.")
    ],
    branch: Annotated[
        str | None, typer.Option("--branch", "-b", metavar="BRANCH", help="In which desktop.")
    ] = None,
    user: Annotated[str, typer.Option("--user", "-u", metavar="NAME", help="As whom.")] = "user",
    cwd: Annotated[
        str | None, typer.Option("--cwd", "-w", metavar="DIR", help="Where; else their home.")
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", "-e", metavar="NAME=VALUE", help="Set a variable; repeatable."),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Let it run and return at once.")
    ] = False,
    no_tty: Annotated[
        bool, typer.Option("--no-tty", "-T", help="Give it no terminal, even from one.")
    ] = False,
) -> int:
    """Run a command inside a desktop.

    The exit status is the command's.  Options for tcvs stand before the command.  Programs with
    windows find the desktop's screen.
    """
    variables = _variables(env or [])
    tty = not (no_tty or detach or here.json) and _is_tty()
    if tty:
        variables.setdefault("TERM", os.environ.get("TERM", "xterm"))
    from tcvs.relay import Relay

    with Relay(tty=tty) as relay:
        result = here.keeper().call(
            "exec",
            on_event=relay.event,
            signals=relay.forward_signals,
            fds=relay.descriptors,
            branch=branch,
            argv=command,
            user=user,
            cwd=cwd,
            env=variables,
            tty=tty,
            size=list(os.get_terminal_size(0)) if tty else None,
            detach=detach,
        )
    if detach:
        here.say(result, lambda: str(result["pid"]))
        return 0
    if here.json:
        # The command owns stdout; what tcvs has to say goes beside it.
        from tcvs.render.plain import to_json

        print(to_json(result), file=sys.stderr)
    return int(result["exit_status"])


def _is_tty() -> bool:
    return all(s is not None and s.isatty() for s in (sys.stdin, sys.stdout))


def _variables(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"{pair!r} sets no variable", subject=pair, hint="--env NAME=VALUE")
        found[name] = value
    return found


COMMAND = exec_
