"""What this machine offers and lacks, found by trying and never by comparing version numbers.

``run_checks`` changes nothing: it makes no mount, no loop device and no cgroup, and the
namespaces that it tries end with the child process that tried them.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tcvs_core.errors import TcvsError
from tcvs_core.linux.libc import libc
from tcvs_core.live.tools import PREFIX, Tools, has_capability, native_helper
from tcvs_core.model import Record

#: ``needed_for`` of what the main job, forking a running desktop, cannot do without.
MAIN = "main"

_CRIU_NEEDED = (4, 2)
_DISK_NEEDED = 6 << 30
_MEMORY_NEEDED = 2 << 30
_TIMEOUT = 30.0
_SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_CAP_SYS_RESOURCE = 24
_SYS_SECCOMP = 317
_SYS_USERFAULTFD = 323
_SYS_CLONE3 = 435
_SYS_OPENAT2 = 437
_SECCOMP_GET_ACTION_AVAIL = 2
_SECCOMP_RET_ERRNO = 0x00050000
_UFFD_USER_MODE_ONLY = 1
_ENOSYS = 38


@dataclass(frozen=True)
class Check(Record):
    """One thing looked at.  ``reason`` and ``fix`` are set where ``ok`` is false.

    ``needed_for`` is ``main`` (forking desktops), ``images``, ``limits``, ``network``, ``view`` or
    ``native engine``.
    """

    name: str
    ok: bool
    found: str = ""
    reason: str | None = None
    fix: str | None = None
    needed_for: str = MAIN


@dataclass(frozen=True)
class Report(Record):
    """All checks; the engine that will be used; whether the main job can run."""

    checks: list[Check] = field(default_factory=list)
    engine: str | None = None
    engine_reason: str = ""
    ok: bool = False

    @property
    def main_job_ok(self) -> bool:
        """The same as ``ok``."""
        return self.ok

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def to_dict(self) -> dict[str, Any]:
        return super().to_dict() | {"main_job_ok": self.ok}


def run_checks(tools: Path = PREFIX, repo: Path = Path("/var/lib/tcvs")) -> Report:
    """Look at everything; takes about a second.  Raises nothing: what cannot be found out fails."""
    found = Tools(tools)
    checks = [
        _root(),
        *_kernel(),
        _filesystem("btrfs"),
        _loop(),
        _namespaces(),
        _cgroup(),
        _memory(),
        _disk(repo),
        _program("mkfs.btrfs", "btrfs-progs", MAIN),
        _program("mmdebstrap", "mmdebstrap", "images"),
        _program("nft", "nftables", "network"),
        _criu_version(found),
        _criu_check(found),
        _limits(found),
        _tool("wayvnc", found.wayvnc, "view"),
        _tool("noVNC", found.novnc, "view"),
        _native(),
    ]
    able = all(check.ok for check in checks if check.needed_for == MAIN)
    criu = all(check.ok for check in checks if check.name.startswith("criu"))
    return Report(
        checks=checks,
        engine="criu" if criu else None,
        engine_reason="the native engine is not built yet",
        ok=able,
    )


def _root() -> Check:
    uid = os.geteuid()
    if uid == 0:
        return Check("root", True, "uid 0")
    why = "containers, snapshots and CRIU need root"
    return Check("root", False, f"uid {uid}", why, "run it with sudo")


def _kernel() -> list[Check]:
    """Try the system calls that came last, by their answer to arguments that do nothing."""
    action = ctypes.c_uint32(_SECCOMP_RET_ERRNO)
    trials: list[tuple[str, Callable[[], int], str]] = [
        ("pidfd_open", lambda: _pidfd(), MAIN),
        ("clone3", lambda: _syscall(_SYS_CLONE3, 0, 0), MAIN),
        ("openat2", lambda: _syscall(_SYS_OPENAT2, -1, 0, 0, 0), MAIN),
        (
            "seccomp filter",
            lambda: _syscall(_SYS_SECCOMP, _SECCOMP_GET_ACTION_AVAIL, 0, ctypes.addressof(action)),
            MAIN,
        ),
        ("userfaultfd", _userfaultfd, "native engine"),
    ]
    release = os.uname().release
    checks = []
    for name, trial, needed_for in trials:
        errno = trial()
        if errno == _ENOSYS or (name == "seccomp filter" and errno):
            reason = "the kernel does not offer it, or a sandbox around this process forbids it"
            fix = "use Linux 5.15 or newer with CONFIG_SECCOMP_FILTER and CONFIG_USERFAULTFD"
            checks.append(Check(name, False, f"Linux {release}", reason, fix, needed_for))
        else:
            checks.append(Check(name, True, f"Linux {release}", needed_for=needed_for))
    return checks


def _syscall(number: int, *arguments: int) -> int:
    """Make a system call that can have no effect; return its errno, 0 for success."""
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
    return ctypes.get_errno() if result < 0 else 0


def _pidfd() -> int:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return error.errno or _ENOSYS
    return 0


def _userfaultfd() -> int:
    ctypes.set_errno(0)
    flags = os.O_CLOEXEC | _UFFD_USER_MODE_ONLY
    fd = int(libc.syscall(ctypes.c_long(_SYS_USERFAULTFD), ctypes.c_long(flags)))
    if fd < 0:
        return ctypes.get_errno()
    os.close(fd)
    return 0


def _filesystem(name: str) -> Check:
    known = [line.split()[-1] for line in _read("/proc/filesystems").splitlines() if line.strip()]
    if name in known:
        return Check(name, True, "in the kernel")
    # mount(2) loads the module by itself, so an installed module is as good.
    modules = Path("/lib/modules") / os.uname().release / "modules.dep"
    if f"/{name}.ko" in _read(modules):
        return Check(name, True, "as a module")
    reason = f"the kernel does not know the file system {name}"
    return Check(name, False, "", reason, f"modprobe {name}, or use a kernel with {name}")


def _loop() -> Check:
    control = "/dev/loop-control"
    try:
        os.close(os.open(control, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        reason = f"cannot open {control}: {error.strerror}"
        return Check("loop devices", False, "", reason, "modprobe loop, and run as root")
    return Check("loop devices", True, control)


def _namespaces() -> Check:
    kinds = ["--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup"]
    names = " ".join(kind.strip("-") for kind in kinds)
    status, text = _run(["unshare", *kinds, "--fork", "true"])
    if status == 0:
        return Check("namespaces", True, names)
    fix = "run as root, outside of a container that forbids namespaces"
    return Check("namespaces", False, "", text or "unshare failed", fix)


def _cgroup() -> Check:
    for line in _read("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            point = before.split()[4]
            controllers = _read(f"{point}/cgroup.controllers").split()
            lacking = [name for name in ("memory", "pids", "cpu") if name not in controllers]
            found = f"{point}: {' '.join(controllers) or 'no controllers'}"
            if not lacking:
                return Check("cgroup v2", True, found, needed_for="limits")
            reason = f"no {', '.join(lacking)} controller there, so limits cannot be set"
            fix = "boot with systemd.unified_cgroup_hierarchy=1"
            return Check("cgroup v2", False, found, reason, fix, "limits")
    reason = "cgroup v2 is not mounted"
    fix = "mount -t cgroup2 none /sys/fs/cgroup"
    return Check("cgroup v2", False, "", reason, fix, "limits")


def _memory() -> Check:
    match = re.search(r"^MemAvailable:\s+(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    free = int(match[1]) * 1024 if match else 0
    if free >= _MEMORY_NEEDED:
        return Check("memory", True, f"{_gib(free)} available")
    reason = f"a desktop with a branch takes about {_gib(_MEMORY_NEEDED)}"
    return Check("memory", False, f"{_gib(free)} available", reason, "end other programs")


def _disk(repo: Path) -> Check:
    place = repo
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        usage = os.statvfs(place)
    except OSError as error:
        return Check("disk", False, str(place), f"cannot look: {error.strerror}", "use --repo")
    free = usage.f_bavail * usage.f_frsize
    found = f"{_gib(free)} free in {place}"
    if free >= _DISK_NEEDED:
        return Check("disk", True, found)
    reason = f"a repository with the desktop image takes about {_gib(_DISK_NEEDED)}"
    return Check("disk", False, found, reason, "make room, or put the repository elsewhere: --repo")


def _program(name: str, package: str, needed_for: str) -> Check:
    path = shutil.which(name, path=_SEARCHED)
    if path:
        return Check(name, True, path, needed_for=needed_for)
    reason, fix = f"{name} is not installed", f"apt-get install {package}, or make setup"
    return Check(name, False, "", reason, fix, needed_for)


def _criu_version(tools: Tools) -> Check:
    try:
        argv = tools.criu()
    except TcvsError as error:
        return Check("criu", False, "", error.message, error.hint)
    _status, text = _run([*argv, "--version"])
    match = re.search(r"Version: (\d+)\.(\d+)(?:\.(\d+))?", text)
    if match is None:
        return Check("criu", False, argv[-1], f"it does not run: {text}", "make setup")
    version = match[0].removeprefix("Version: ")
    found = f"{version} ({argv[-1]})"
    if (int(match[1]), int(match[2])) >= _CRIU_NEEDED:
        return Check("criu", True, found)
    reason = "CRIU before 4.2 cannot bring a D-Bus session back"
    return Check("criu", False, found, reason, "make setup")


def _criu_check(tools: Tools) -> Check:
    try:
        argv = tools.criu()
    except TcvsError as error:
        return Check("criu check", False, "", error.message, error.hint)
    status, text = _run([*argv, "check"])
    last = text.splitlines()[-1] if text else ""
    if status == 0:
        return Check("criu check", True, last)
    reason = f"CRIU lacks something in the kernel: {last}"
    return Check("criu check", False, "", reason, "run as root, on Linux 5.15 or newer")


def _limits(tools: Tools) -> Check:
    if has_capability(_CAP_SYS_RESOURCE):
        return Check("resource limits", True, "CAP_SYS_RESOURCE")
    try:
        shim = tools.shim()
    except TcvsError as error:
        reason = f"this process has no CAP_SYS_RESOURCE, and {error.message}"
        return Check("resource limits", False, "", reason, error.hint)
    return Check("resource limits", True, f"no CAP_SYS_RESOURCE; {shim.name} instead")


def _tool(name: str, find: Callable[[], object], needed_for: str) -> Check:
    try:
        found = find()
    except TcvsError as error:
        return Check(name, False, "", error.message, error.hint, needed_for)
    path = found[-1] if isinstance(found, list) else found
    return Check(name, True, str(path), needed_for=needed_for)


def _native() -> Check:
    try:
        argv = [str(native_helper()), "--version"]
    except TcvsError as error:
        return Check("tcvs-native", False, "", error.message, error.hint, "native engine")
    status, text = _run(argv)
    if status:
        return Check("tcvs-native", False, text, "it does not run", "make setup", "native engine")
    return Check("tcvs-native", True, text, needed_for="native engine")


def _run(argv: list[str]) -> tuple[int, str]:
    """Run a program to its end; return its status and what it said.  127 where it cannot start."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, f"no answer within {_TIMEOUT:.0f} s"
    except OSError as error:
        return 127, f"{argv[0]}: {error.strerror}"
    return done.returncode, done.stdout.strip()


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"
