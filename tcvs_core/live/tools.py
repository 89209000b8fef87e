"""The programs that tcvs runs from a private prefix: CRIU, wayvnc, noVNC's files.

``criu/install.sh`` fills the prefix with Debian sid's packages and every library that they need.
They do not fit the host's libraries, so they are started through the prefix's own dynamic loader::

    PREFIX/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 --library-path ... PREFIX/usr/sbin/criu

A program that the prefix lacks is taken from the host where it can be found.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tcvs_core.errors import TcvsError

PREFIX = Path("/usr/local/lib/tcvs/tools")

_CAP_SYS_RESOURCE = 24
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ToolMissing(TcvsError):
    """A program that is needed is neither in the prefix nor on the host."""

    code = "tool-missing"


class Tools:
    """Finds the programs beneath ``prefix``.  Looks anew at every call, and starts nothing."""

    def __init__(self, prefix: Path = PREFIX) -> None:
        self.prefix = prefix

    def criu(self) -> list[str]:
        """Return the argv that CRIU's options are appended to.  Raises ToolMissing.

        Where this process lacks CAP_SYS_RESOURCE the prlimit shim is preloaded, see
        ``criu/shim.c``.
        """
        preload = None if has_capability(_CAP_SYS_RESOURCE) else self.shim()
        return self._program("criu", preload)

    def wayvnc(self) -> list[str]:
        """Return the argv that wayvnc's options are appended to.  Raises ToolMissing."""
        return self._program("wayvnc", None)

    def novnc(self) -> Path:
        """Return the directory that holds noVNC's ``core`` and ``vendor``.  Raises ToolMissing."""
        for top in (self.prefix, Path("/")):
            found = top / "usr/share/novnc"
            if (found / "core/rfb.js").is_file():
                return found
        raise _missing("noVNC", self.prefix)

    def shim(self) -> Path:
        """Return the prlimit shim, a shared library.  Raises ToolMissing."""
        found = self.prefix / "lib-tcvs/tcvs-prlimit.so"
        if not found.is_file():
            raise _missing("the prlimit shim", self.prefix)
        return found

    def _program(self, name: str, preload: Path | None) -> list[str]:
        loader = self.prefix / _LIBRARIES / "ld-linux-x86-64.so.2"
        if loader.is_file():
            for directory in ("usr/sbin", "usr/bin"):
                program = self.prefix / directory / name
                if program.is_file():
                    argv = [str(loader), "--library-path", str(self.prefix / _LIBRARIES)]
                    argv += ["--preload", str(preload)] if preload else []
                    return [*argv, str(program)]
        host = shutil.which(name, path=_SEARCHED)
        if host is None:
            raise _missing(name, self.prefix)
        if preload is None:
            return [host]
        return ["/lib64/ld-linux-x86-64.so.2", "--preload", str(preload), host]


def native_helper() -> Path:
    """Return the native helper that is installed with this package.  Raises ToolMissing."""
    found = Path(__file__).resolve().parents[1] / "native" / "tcvs-native"
    if not os.access(found, os.X_OK):
        raise ToolMissing(
            "tcvs-native is not built",
            operation="find",
            subject=str(found),
            hint="run `make setup` and use the installed tcvs",
        )
    return found


def has_capability(number: int) -> bool:
    """Tell whether this process has a capability in effect, by its number."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> number & 1)
    return False


def _missing(what: str, prefix: Path) -> ToolMissing:
    return ToolMissing(
        f"{what} is not installed",
        operation="find",
        subject=str(prefix),
        hint="run `make setup`",
    )
