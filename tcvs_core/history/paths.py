"""Choosing paths of a workspace: ``~/docs``, ``/etc/*.conf``, ``*.txt``, ``'src/**/test_*'``.

A pattern selects what it matches and everything beneath it.

* ``~`` and ``~/...`` are the home of the workspace's user, ``/...`` counts from its root.
* Without a leading slash or tilde: with a slash inside it counts from that home; without one it
  matches a name anywhere, as in ``.gitignore``.
* ``*`` and ``?`` and ``[a-z]``, ``[!a-z]`` do not match a slash, ``**`` does; a backslash takes
  the next character as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tcvs_core.errors import UsageError
from tcvs_core.model import Change

#: Where ``~`` is, in every image.
HOME = "home/user"


class BadPattern(UsageError):
    """A path pattern that cannot be meant."""

    code = "bad-pattern"


@dataclass(frozen=True)
class Selection:
    """Paths that match one of ``include`` (all, if there is none) and none of ``exclude``."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    home: str = HOME

    def __post_init__(self) -> None:
        compiled = [_union(patterns, self.home) for patterns in (self.include, self.exclude)]
        object.__setattr__(self, "_include", compiled[0])
        object.__setattr__(self, "_exclude", compiled[1])

    @classmethod
    def parse(
        cls,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        *,
        home: str = HOME,
        host_home: str | None = None,
    ) -> Selection:
        """Make a selection from what was typed.  Raises BadPattern.

        ``host_home``: the home directory of whoever typed.  A shell has already turned an
        unquoted ``~/docs`` into ``/root/docs``; patterns in that directory mean the workspace's.
        """

        def meant(pattern: str) -> str:
            if host_home and (pattern + "/").startswith(host_home.rstrip("/") + "/"):
                return "~" + pattern[len(host_home.rstrip("/")) :]
            return pattern

        return cls(tuple(map(meant, include)), tuple(map(meant, exclude)), home)

    @property
    def everything(self) -> bool:
        """Whether every path is selected."""
        return not self.include and not self.exclude

    def matches(self, path: str) -> bool:
        """Tell whether ``path`` (relative to the root, no leading slash) is selected."""
        include: re.Pattern[str] | None = self._include  # type: ignore[attr-defined]
        exclude: re.Pattern[str] | None = self._exclude  # type: ignore[attr-defined]
        if exclude is not None and exclude.match(path):
            return False
        return include is None or include.match(path) is not None

    def takes(self, change: Change) -> bool:
        """Tell whether ``change`` is selected: a rename is, when either of its names is."""
        if self.matches(change.path):
            return True
        return change.old_path is not None and self.matches(change.old_path)


def _union(patterns: tuple[str, ...], home: str) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile("|".join(_regex(p, home) for p in patterns), re.DOTALL)


def _bad(pattern: str, why: str, hint: str | None = None) -> BadPattern:
    return BadPattern(
        f"{pattern!r} is not a path pattern: {why}", operation="select", subject=pattern, hint=hint
    )


def _regex(pattern: str, home: str) -> str:
    if not pattern:
        raise _bad(pattern, "it is empty")
    if "\0" in pattern:
        raise _bad(pattern, "it holds a NUL")
    if ".." in pattern.split("/"):
        raise _bad(pattern, "it leads upwards", "write paths from / or ~ of the workspace")
    anywhere = False
    if pattern == "~" or pattern.startswith("~/"):
        text = home + pattern[1:]
    elif pattern.startswith("~"):
        raise _bad(pattern, "only the workspace's own user has a ~", "use ~/ or an absolute path")
    elif pattern.startswith("/"):
        text = pattern
    elif "/" in pattern.rstrip("/") or pattern.rstrip("/") == ".":
        text = f"{home}/{pattern}"
    else:
        text, anywhere = pattern, True
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts:
        return r".*\Z"
    inner = _translate("/".join(parts), pattern)
    return rf"{'(?:.*/)?' if anywhere else ''}{inner}(?:/.*)?\Z"


def _translate(text: str, pattern: str) -> str:
    result = []
    at = 0
    while at < len(text):
        char = text[at]
        if text.startswith("**/", at) and (at == 0 or text[at - 1] == "/"):
            result.append("(?:.*/)?")
            at += 3
            continue
        if text.startswith("**", at):
            result.append(".*")
            at += 2
            continue
        if char == "*":
            result.append("[^/]*")
        elif char == "?":
            result.append("[^/]")
        elif char == "\\":
            at += 1
            if at == len(text):
                raise _bad(pattern, "it ends with a backslash")
            result.append(re.escape(text[at]))
        elif char == "[" and (end := _class_end(text, at)) > 0:
            body = text[at + 1 : end]
            negated = body.startswith(("!", "^"))
            body = re.sub(r"([\\\[\]^&~|])", r"\\\1", body[1:] if negated else body)
            result.append(f"(?!/)[{'^' if negated else ''}{body}]")
            at = end
        else:
            result.append(re.escape(char))
        at += 1
    translated = "".join(result)
    try:
        re.compile(translated)
    except re.error as error:
        raise _bad(pattern, str(error)) from error
    return translated


def _class_end(text: str, start: int) -> int:
    """Return where the bracket at ``start`` closes; -1: it is an ordinary character then."""
    at = start + 1
    if at < len(text) and text[at] in "!^":
        at += 1
    return text.find("]", at + 1)
