"""Paths inside a desktop, as typed in a shell outside of it."""

from __future__ import annotations

import os


def selection(paths: list[str] | None) -> list[str]:
    """Return ``paths`` with the caller's own home directory turned back into ``~``.

    The shell has replaced ``~/docs`` by ``/root/docs`` before we see it, but ``~`` is meant to be
    the home of the desktop's user.  Whoever means /root inside the desktop says ``'/roo[t]'``.
    """
    home = os.environ.get("HOME", "").rstrip("/")
    return [_one(path, home) for path in paths or []]


def _one(path: str, home: str) -> str:
    if not home.startswith("/"):
        return path
    if path.rstrip("/") == home:
        return "~"
    return "~" + path[len(home) :] if path.startswith(home + "/") else path
