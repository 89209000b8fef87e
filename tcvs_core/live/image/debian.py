"""Running mmdebstrap: where the packages come from, what is reported, how it dies.

mmdebstrap runs as pid 1's child in mount and pid namespaces of its own.  When it is interrupted,
or when this process is killed, the kernel kills every process in there and its mounts (proc and
sys of the half-made system) disappear with the mount namespace; nothing is left to clean up but
the target directory.
"""

from __future__ import annotations

import collections
import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from tcvs_core.live.image.errors import ImageBuildFailed
from tcvs_core.live.image.recipes import SUITE, Recipe

#: Called with the stage, how much is done (0 to 1), and a detail (a package's name).
Progress = Callable[[str, float, str], None]

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
_NEEDED = ("mmdebstrap", "unshare", "setpriv")

#: What a line of mmdebstrap's output means: stage, and the package it names.
_EVENTS = (
    ("download", re.compile(r"Get:\d+ \S+ \S+/\S+ \S+ (\S+) \S+ \S+ \[")),
    ("unpack", re.compile(r"Unpacking (\S+) ")),
    ("configure", re.compile(r"Setting up (\S+) ")),
)


def mirrors(listing: str) -> list[str]:
    """Turn the output of ``apt-get indextargets`` into one-line sources of ``SUITE``.

    The host's own mirror is used for the image, whatever Debian release the host runs; on a host
    that is no Debian the list is empty, and mmdebstrap's own default is used.
    """
    found: dict[str, None] = {}
    for line in listing.splitlines():
        fields = line.split("|")
        if len(fields) != 4 or fields[0] != "Debian":
            continue
        _origin, label, codename, uri = fields
        if label == "Debian-Security":
            suite = f"{SUITE}-security"
        elif label == "Debian" and codename.endswith("-updates"):
            suite = f"{SUITE}-updates"
        elif label == "Debian" and "-" not in codename and codename not in ("sid", "experimental"):
            suite = SUITE
        else:  # backports and the like
            continue
        found[f"deb {uri} {suite} main"] = None
    sources = list(found)
    if not any(source.endswith(f" {SUITE} main") for source in sources):
        return []
    return sorted(sources, key=len)


def host_mirrors() -> list[str]:
    """Return the sources that the host's apt is configured with, for ``SUITE``; may be empty."""
    layout = "$(ORIGIN)|$(LABEL)|$(CODENAME)|$(REPO_URI)"
    command = ["apt-get", "indextargets", "--format", layout, "Created-By: Packages"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return mirrors(done.stdout)


def command(recipe: Recipe, target: Path, sources: list[str]) -> list[str]:
    """Return the argv that installs ``recipe`` into ``target``."""
    argv = ["setpriv", "--pdeathsig", "KILL"]
    argv += ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    argv += ["mmdebstrap", "--verbose", "--mode=root", "--variant=minbase", "--format=directory"]
    argv += ['--aptopt=APT::Install-Recommends "false"']
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
    argv += ["--dpkgopt=force-unsafe-io", f"--include={','.join(recipe.packages)}"]
    if _KEYRING.exists():
        argv.append(f"--keyring={_KEYRING}")
    return [*argv, SUITE, str(target), *sources]


def install(recipe: Recipe, target: Path, progress: Progress) -> None:
    """Install the recipe's packages into an empty directory.

    Raises ImageBuildFailed when a tool is missing or mmdebstrap fails; its last words are in
    ``details["log"]``.
    """
    for tool in _NEEDED:
        if shutil.which(tool) is None:
            raise ImageBuildFailed(
                f"{tool} is not installed",
                operation="image build",
                subject=tool,
                hint="run `make setup`, or: apt-get install mmdebstrap util-linux",
            )
    progress("index", 0.0, "")
    tail: collections.deque[str] = collections.deque(maxlen=40)
    with _running(command(recipe, target, host_mirrors())) as lines:
        counter = _Counter(recipe.expected, progress)
        status = 0
        for line in lines:
            tail.append(line)
            counter.line(line)
            if line.startswith("\0"):
                status = int(line[1:])
    if status:
        errors = [line for line in tail if line.startswith(("E:", "W:", "Err:"))]
        raise ImageBuildFailed(
            f"mmdebstrap could not install the image: {(errors or ['no reason given'])[-1]}",
            operation="image build",
            subject=recipe.name,
            hint="check the network and the host's package sources (`apt-get update`), try again",
            details={"log": list(tail)[:-1], "status": status},
        )


class _Counter:
    """Turns output lines into progress that never goes back."""

    def __init__(self, packages: int, progress: Progress) -> None:
        self._steps = packages * len(_EVENTS)
        self._done = 0
        self._progress = progress

    def line(self, line: str) -> None:
        for stage, pattern in _EVENTS:
            if match := pattern.match(line):
                self._done += 1
                self._progress(stage, min(0.99, self._done / self._steps), match[1])
                return


@contextlib.contextmanager
def _running(argv: list[str]) -> Iterator[Iterator[str]]:
    """Run a command; give its output lines, then ``\\0STATUS``.  Kill it when left early."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # the terminal's ^C is for this process, which kills in order
        cwd=os.sep,
    )
    assert process.stdout is not None
    output = process.stdout

    def lines() -> Iterator[str]:
        for line in output:
            yield line.rstrip("\n")
        yield f"\0{process.wait()}"

    try:
        yield lines()
    finally:
        process.kill()  # the namespace's pid 1 dies with it (--kill-child), and all in it
        output.close()
        process.wait()
