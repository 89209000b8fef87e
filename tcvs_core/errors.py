"""The root of every error that tcvs raises on purpose.

Kinds of errors are defined beside their cause (``store/``, ``live/`` ...), never here.  An error
carries what failed (``operation``), on what (``subject``), the kernel's ``errno`` where there is
one, and a ``hint``: what the reader can do about it.  ``code`` is the stable machine-readable
name; ``exit_status`` is what the command line exits with.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

#: Exit statuses of the command line.  2 is for arguments that name nothing or the wrong thing.
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_BUSY = 3
EXIT_CONFLICT = 4


class TcvsError(Exception):
    """Something went wrong that a user can understand and often mend."""

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = EXIT_FAILED

    def __init__(
        self,
        message: str,
        *,
        operation: str | None = None,
        subject: str | None = None,
        errno: int | None = None,
        hint: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.subject = subject
        self.errno = errno
        self.hint = hint
        self.details = details or {}

    def __str__(self) -> str:
        if self.errno is not None:
            return f"{self.message}: {os.strerror(self.errno)}"
        return self.message

    def to_dict(self) -> dict[str, Any]:
        """Return the error as plain data, for the socket and for ``--json``."""
        return {
            "code": self.code,
            "message": str(self),
            "operation": self.operation,
            "subject": self.subject,
            "errno": self.errno,
            "hint": self.hint,
            "details": self.details,
            "exit_status": self.exit_status,
        }


class UsageError(TcvsError):
    """The arguments name nothing, the wrong thing, or something impossible.  Nothing changed."""

    code = "usage"
    exit_status = EXIT_USAGE


class BusyError(TcvsError):
    """Somebody else holds what is needed; trying again later may work."""

    code = "busy"
    exit_status = EXIT_BUSY


class RemoteError(TcvsError):
    """An error that the keeper answered with; ``code`` and ``exit_status`` are the original's."""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(
            str(data.get("message", "unknown error")),
            operation=data.get("operation"),
            subject=data.get("subject"),
            hint=data.get("hint"),
            details=data.get("details"),
        )
        self.code = str(data.get("code", "error"))  # type: ignore[misc]
        self.exit_status = int(data.get("exit_status", EXIT_FAILED))  # type: ignore[misc]
