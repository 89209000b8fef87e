"""The one place where errors become a message, a hint and an exit status.

0 done, 1 failed, 2 wrong usage (nothing changed), 3 busy, 4 conflict, 130 interrupted, 141 the
reader of our output went away.  ``exec`` answers with the status of its command instead.
"""

from __future__ import annotations

import errno
import sys
from typing import Any

from tcvs.render.terminal import Terminal, safe
from tcvs_core.errors import EXIT_FAILED, EXIT_USAGE, TcvsError

EXIT_INTERRUPTED = 130
EXIT_PIPE = 141
#: What writing to stdout can fail with; other failures come with the name of a file.
_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def report(error: BaseException, *, json: bool = False) -> int:
    """Tell the user about ``error`` on stderr and return the exit status.

    Anything that is no TcvsError, no usage error and no signal is a bug and shows its traceback.
    """
    if isinstance(error, KeyboardInterrupt):
        _write("\n")
        return EXIT_INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return EXIT_PIPE
    if isinstance(error, TcvsError):
        return _tell(error.to_dict(), json)
    if hasattr(error, "format_message"):
        return _tell(_usage(error), json)
    if isinstance(error, UnicodeEncodeError):
        text = f"{error.object!r} is not UTF-8"
        return _tell(_plain("usage", text, exit_status=EXIT_USAGE), json)
    if isinstance(error, OSError) and error.filename is None and error.errno in _OUTPUT:
        return cannot_write(error, json=json)
    if isinstance(error, OSError) and error.filename is not None:
        name = str(error.filename)
        message = f"{name}: {error.strerror or error}"
        return _tell(_plain("os", message, subject=name, errno=error.errno), json)
    return _bug(error)


def cannot_write(error: OSError, *, json: bool = False) -> int:
    """Tell the user that stdout takes no more, and return the exit status."""
    return _tell(_plain("output", f"cannot write the output: {error.strerror}"), json)


def _plain(code: str, message: str, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "operation": None,
        "subject": None,
        "errno": None,
        "hint": None,
        "details": {},
    }
    return {"code": code, "message": message, **empty, "exit_status": EXIT_FAILED, **more}


def _usage(error: Any) -> dict[str, Any]:
    """Turn Typer's usage error into the same shape as ours."""
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    hint = None
    if context is not None:
        hint = f"`{context.command_path} --help` explains"
    near = getattr(error, "possibilities", None)
    if near:
        message = error.message
        hint = f"did you mean {' or '.join(sorted(near))}?"
    message = message[:1].lower() + message[1:]
    return _plain("usage", message, hint=hint, exit_status=EXIT_USAGE)


def _tell(data: dict[str, Any], json: bool) -> int:
    if json:
        from tcvs.render.plain import to_json

        _write(to_json({"error": data}) + "\n")
    else:
        terminal = Terminal(sys.stderr)
        lines = [f"{terminal.style('error:', 'bold red')} {safe(str(data['message']))}"]
        if data.get("hint"):
            lines.append(f"{terminal.style('hint:', 'cyan')} {safe(str(data['hint']))}")
        _write("\n".join(lines) + "\n")
    return int(data.get("exit_status") or EXIT_FAILED)


def _bug(error: BaseException) -> int:
    import traceback

    _write("".join(traceback.format_exception(error)))
    _write("error: this is a bug in tcvs\nhint: please report it with the lines above\n")
    return EXIT_FAILED


def _write(text: str) -> None:
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # nobody listens; the exit status still tells
