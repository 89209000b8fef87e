"""Start a container: ``python -m tcvs_core.live.launch SPEC`` with descriptors inherited.

A program of its own because a process that changes its namespaces must have one thread, and the
keeper has many.  ``SPEC`` is a JSON object:

    root      directory of the branch's subvolume, seen from the host
    hostname  name inside
    netns     descriptor of the network namespace to join
    cgroup    directory of the control group to join, or null
    init      argv of pid 1 (reaps orphans)
    session   argv of the desktop session, started as ``uid`` by pid 1's process, or null
    uid, gid, home, env   of the session
    ready     descriptor: the host pid of pid 1 is written to it in decimal once all is set up;
              on failure a line ``error: ...`` instead

Nothing here deletes, and every mount is made relative to the container's root, held by a
descriptor; after pivot_root the program goes on only if ``/`` is that very directory.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from typing import Any

from tcvs_core.linux import libc as k
from tcvs_core.linux.confine import drop_capabilities, install_filter
from tcvs_core.linux.mount import (
    MNT_DETACH,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    mount,
    umount,
)

_NAMESPACES = k.CLONE_NEWNS | k.CLONE_NEWPID | k.CLONE_NEWIPC | k.CLONE_NEWUTS | k.CLONE_NEWCGROUP
SESSION_LOG = "var/log/tcvs/session.log"
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


def enter_root(root: str) -> None:
    """Make ``root`` this process's ``/`` with the container's mounts; the host's is gone after."""
    mount(None, "/", flags=MS_PRIVATE | MS_REC)
    mount(root, root, flags=MS_BIND)
    os.chdir(root)
    wanted = os.stat(".")
    mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("sysfs", "sys", "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount(
        "devpts",
        "dev/pts",
        "devpts",
        MS_NOSUID | MS_NOEXEC,
        "newinstance,ptmxmode=0666,mode=620,gid=5",
    )
    mount("tmpfs", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    k.pivot_root(".", ".")  # the old root is now stacked over the new one, at "."
    umount(".", MNT_DETACH)
    os.chdir("/")
    found = os.stat("/")
    if (found.st_dev, found.st_ino) != (wanted.st_dev, wanted.st_ino):
        raise OSError("pivot_root did not take: / is not the container's root")


def become(uid: int, gid: int) -> None:
    """Give up root: groups, ids, and the way back through setuid programs."""
    os.setgroups([gid])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    k.prctl(k.PR_SET_NO_NEW_PRIVS, 1)


def forget_signals() -> None:
    """Give every signal its default action and block none: programs inherit what is ignored.

    Python ignores SIGPIPE and SIGXFSZ for itself, and the keeper SIGINT.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)


def _stdio(log: str, owner: int) -> None:
    """Replace descriptors 0-2 by /dev/null and the log, and close all others."""
    null = os.open("/dev/null", os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
    os.fchown(out, owner, owner)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.closerange(3, 1 << 16)


def _session(spec: dict[str, Any]) -> None:
    os.setsid()
    become(spec["uid"], spec["gid"])
    os.chdir(spec["home"])
    os.execve(spec["session"][0], spec["session"], spec["env"])


def _pid_one(spec: dict[str, Any]) -> None:
    """Runs as pid 1 of the new namespaces.  Returns only by an exception."""
    enter_root(spec["root"])
    k.sethostname(spec["hostname"])
    os.makedirs(os.path.dirname("/" + SESSION_LOG), exist_ok=True)
    runtime = f"/run/user/{spec['uid']}"
    os.makedirs(runtime, exist_ok=True)
    os.chown(runtime, spec["uid"], spec["gid"])
    os.chmod(runtime, 0o700)
    os.umask(0o022)
    os.setsid()
    os.write(spec["ready"], b"ok\n")
    _stdio("/" + SESSION_LOG, spec["uid"])
    forget_signals()
    install_filter()
    drop_capabilities()
    if spec["session"] and os.fork() == 0:
        _session(spec)
    os.execve(spec["init"][0], spec["init"], {"PATH": PATH, "container": "tcvs"})


def main(argv: list[str]) -> int:
    """Run the launcher; exit status 0 once the container runs."""
    spec: dict[str, Any] = json.loads(argv[1])
    ready = spec["ready"]
    try:
        if spec["cgroup"]:
            with open(os.path.join(spec["cgroup"], "cgroup.procs"), "w", encoding="ascii") as procs:
                procs.write("0")
        k.setns(spec["netns"], k.CLONE_NEWNET)
        k.unshare(_NAMESPACES)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            spec["ready"] = writer
            try:
                _pid_one(spec)
            except BaseException as error:
                os.write(writer if writer > 2 else 2, f"error: {error}\n".encode())
            finally:
                os._exit(1)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            text = answer.readline()
        if text != b"ok\n":
            os.waitpid(child, 0)
            os.write(ready, text or b"error: pid 1 died\n")
            return 1
        os.write(ready, f"{child}\n".encode())
        return 0
    except OSError as error:
        os.write(ready, f"error: {error}\n".encode())
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
