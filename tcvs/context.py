"""What every command is given: the global options, the keeper, the author, and ways to print."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcvs.render.terminal import Terminal
from tcvs_core.errors import TcvsError, UsageError

if TYPE_CHECKING:
    from tcvs.render.table import Column
    from tcvs_core.keeper.client import Keeper

DEFAULT_REPO = "/var/lib/tcvs"


class NeedsRoot(TcvsError):
    """The user may not do this."""

    code = "needs-root"


@dataclass(frozen=True)
class Options:
    """The global options, as typed."""

    repo: str | None = None
    json: bool = False
    quiet: bool = False

    def joined(self, *, repo: str | None, json: bool, quiet: bool) -> Options:
        """Return the options with those typed behind the verb added."""
        return dataclasses.replace(
            self, repo=repo or self.repo, json=json or self.json, quiet=quiet or self.quiet
        )


class Context:
    """One run of one command."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.out = Terminal(sys.stdout)

    @property
    def repo(self) -> Path:
        """The repository: --repo, else TCVS_REPO, else the system's."""
        chosen = self.options.repo or os.environ.get("TCVS_REPO") or DEFAULT_REPO
        return Path(chosen).absolute()

    @property
    def json(self) -> bool:
        """Whether to print JSON."""
        return self.options.json

    def keeper(self, *, start: bool = True) -> Keeper:
        """Connect to the keeper, starting it where it does not run.

        Raises NotARepository, KeeperUnavailable, NeedsRoot.
        """
        from tcvs_core.keeper.client import Keeper, KeeperUnavailable

        root = os.geteuid() == 0
        try:
            return Keeper.connect(self.repo, start=start and root)
        except KeeperUnavailable as error:
            if root or not start:
                raise
            raise needs_root("use a repository") from error

    def call(self, method: str, *, progress: str = "", **params: Any) -> Any:
        """Call one method of the keeper; ``progress`` is what a progress bar says it is doing.

        Raises RemoteError and what ``keeper`` raises.
        """
        keeper = self.keeper()
        if not progress or self.json or self.options.quiet:
            return keeper.call(method, **params)
        from tcvs.render.progress import Progress

        with Progress(progress) as bar:
            return keeper.call(method, on_event=bar.event, **params)

    def write(self, data: Any, text: Callable[[], str]) -> None:
        """Print ``data`` as JSON where that was asked for, else ``text()``."""
        if self.json:
            from tcvs.render.plain import to_json

            print(to_json(data))
            return
        shown = text()
        if shown:
            print(shown)

    def say(self, data: Any, sentence: Callable[[], str]) -> None:
        """As ``write``, for sentences that ``--quiet`` leaves out."""
        if self.json or not self.options.quiet:
            self.write(data, sentence)

    def note(self, text: str) -> None:
        """Print a remark on stderr, unless quiet."""
        if not self.options.quiet:
            print(text, file=sys.stderr)

    def table(self, columns: list[Column], rows: list[list[str]], empty: str = "") -> str:
        """Return rows as a table that fits the terminal; ``empty`` where there are none."""
        from tcvs.render.table import table

        return table(self.out, columns, rows) if rows else empty

    def style(self, text: str, style: str) -> str:
        """Return ``text`` in ``style`` where stdout shows styles."""
        return self.out.style(text, style)


def needs_root(what: str) -> NeedsRoot:
    """Return the error for a user who is not root."""
    words = " ".join(["tcvs", *sys.argv[1:2]])
    return NeedsRoot(
        f"only root can {what}: containers, snapshots and mounts need it",
        operation=what,
        hint=f"`sudo {words} ...`",
    )


def author(text: str | None) -> dict[str, Any]:
    """Return the author of a commit as a dict (``tcvs_core.model.Author``).

    From ``text`` (``--author``), else TCVS_AUTHOR, else Git's user.name and user.email, else the
    login name.  ``agent:Name`` names an agent; ``<email>`` may follow a name.  Raises UsageError.
    """
    given = text or os.environ.get("TCVS_AUTHOR")
    if not given:
        return _git_author() or _made("human", os.environ.get("SUDO_USER") or _login(), "")
    kind, colon, rest = given.partition(":")
    if not colon or kind not in ("agent", "human"):
        kind, rest = "human", given
    name, _, email = rest.strip().partition("<")
    if not name.strip() or any(ord(char) < 32 for char in given):
        raise UsageError(
            f"{given!r} names no author",
            operation="author",
            subject=given,
            hint='such as "Ada Lovelace <ada@example.org>" or "agent:Explorer"',
        )
    return _made(kind, name.strip(), email.strip().rstrip(">"))


def _made(kind: str, name: str, email: str) -> dict[str, Any]:
    return {"name": name, "email": email, "kind": kind}


def _login() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid{os.getuid()}"


def _git_author() -> dict[str, Any] | None:
    import subprocess

    try:
        done = subprocess.run(
            ["git", "config", "-z", "--get-regexp", r"^user\.(name|email)$"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    pairs = (one.partition("\n") for one in done.stdout.decode(errors="replace").split("\0"))
    found = {key: value for key, _, value in pairs}
    name = found.get("user.name", "").strip()
    return _made("human", name, found.get("user.email", "").strip()) if name else None
