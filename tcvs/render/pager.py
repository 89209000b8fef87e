"""Long output through a pager, where a person sits before a terminal.

``TCVS_PAGER``, else ``PAGER``, else ``less``; empty or ``cat`` means none.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterable

from tcvs.render.terminal import Terminal


def page(terminal: Terminal, lines: Iterable[str]) -> None:
    """Print ``lines`` as they come, through the pager on a terminal.  Raises BrokenPipeError."""
    argv = _command() if terminal.is_tty and sys.stdin is not None and sys.stdin.isatty() else None
    if argv is None:
        for line in lines:
            sys.stdout.write(line + "\n")
        return
    import subprocess

    environment = {"LESS": "FRX", **os.environ}
    sys.stdout.flush()
    with subprocess.Popen(argv, stdin=subprocess.PIPE, env=environment) as pager:
        assert pager.stdin is not None
        try:
            for line in lines:
                pager.stdin.write(line.encode("utf-8", "surrogateescape") + b"\n")
            pager.stdin.close()
        except (BrokenPipeError, KeyboardInterrupt):
            pass  # the reader has seen enough; leaving waits for the pager


def _command() -> list[str] | None:
    chosen = os.environ.get("TCVS_PAGER", os.environ.get("PAGER", "less"))
    try:
        argv = shlex.split(chosen)
    except ValueError:
        return None
    if not argv or argv == ["cat"] or shutil.which(argv[0]) is None:
        return None
    return argv
