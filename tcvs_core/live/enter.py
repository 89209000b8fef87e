"""Run a program inside a container: ``python -m tcvs_core.live.enter SPEC``.

``SPEC`` is a JSON object:

    pidfd     descriptor of the container's pid 1
    cgroup    directory of the control group to join, or null
    argv, uid, gid, cwd, env
    detach    true: the program becomes a child of the container's pid 1, with its own session and
              its output in ``log``, so that it belongs to the desktop and is forked with it;
              false: it keeps this process's descriptors 0-2 and its exit status is ours
    log       path inside for a detached program's output
    pty       true: it gets a terminal of the container's, whose master is sent over ``control``
    control   descriptor of a Unix socket: a line ``pid N`` (host pid) or ``error: ...`` goes out

The exit status is the program's, 128 + N when signal N ended it, 126/127 as in a shell.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import stat
import struct
import sys
import termios
from typing import Any

from tcvs_core.linux import libc as k
from tcvs_core.linux.confine import drop_capabilities, install_filter
from tcvs_core.live.launch import become, forget_signals

_ALL = (
    k.CLONE_NEWNS
    | k.CLONE_NEWPID
    | k.CLONE_NEWNET
    | k.CLONE_NEWIPC
    | k.CLONE_NEWUTS
    | k.CLONE_NEWCGROUP
)


def _program(spec: dict[str, Any]) -> None:
    """Become the program.  Returns only by an exception."""
    forget_signals()
    install_filter()
    drop_capabilities()
    if spec["uid"]:
        become(spec["uid"], spec["gid"])
    else:
        os.setgroups([0])
    if not spec["detach"]:
        k.prctl(k.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of ids would have undone it
    os.chdir(spec["cwd"])
    os.execvpe(spec["argv"][0], spec["argv"], spec["env"])


def _run(spec: dict[str, Any]) -> None:
    """``_program`` with a shell's exit statuses for what cannot be run."""
    try:
        _program(spec)
    except FileNotFoundError:
        os.write(2, f"tcvs exec: {spec['argv'][0]}: not found\n".encode())
        os._exit(127)
    except OSError as error:
        os.write(2, f"tcvs exec: {spec['argv'][0]}: {error.strerror}\n".encode())
        os._exit(126)
    finally:
        os._exit(126)


def _pty(size: list[int] | None) -> tuple[int, int]:
    """Open a terminal of the container's own devpts; return (master, slave)."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(master, 0x40045431, struct.pack("i", 0))  # TIOCSPTLCK
    number = struct.unpack("I", fcntl.ioctl(master, 0x80045430, b"\0" * 4))[0]  # TIOCGPTN
    if size:
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    return master, os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY)


def _detached(spec: dict[str, Any], control: socket.socket) -> None:
    """Leave the program to the container's pid 1; the caller exits."""
    log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
    os.fchown(log, spec["uid"], spec["gid"])
    null = os.open("/dev/null", os.O_RDWR)
    pid = os.fork()
    if pid:
        control.send(f"pid {pid}\n".encode())
        os._exit(0)
    os.setsid()  # a session of its own: one led from outside could not be checkpointed
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, 1 << 16)
    _run(spec)


def _own_null() -> None:
    """Replace the host's /dev/null by the container's, which can be captured with the program."""
    for fd in (0, 1, 2):
        status = os.fstat(fd)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(1, 3):
            null = os.open("/dev/null", os.O_RDWR | os.O_NOCTTY)
            os.dup2(null, fd)
            os.close(null)


def _attached(spec: dict[str, Any], control: socket.socket) -> None:
    """Be the program, on the descriptors given or on a new terminal."""
    os.setsid()
    if spec["pty"]:
        master, slave = _pty(spec.get("size"))
        os.fchown(slave, spec["uid"], 5)
        socket.send_fds(control, [b"pty\n"], [master])
        os.close(master)
        for fd in (0, 1, 2):
            os.dup2(slave, fd)
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    else:
        _own_null()
    os.closerange(3, 1 << 16)
    _run(spec)


def _group(path: str | None) -> int | None:
    """Open the list of members of the control group, which cannot be seen from inside."""
    if path is None:
        return None
    return os.open(os.path.join(path, "cgroup.procs"), os.O_WRONLY | os.O_CLOEXEC)


def main(argv: list[str]) -> int:
    """Enter, run, wait; see the module's docstring for the exit status."""
    spec: dict[str, Any] = json.loads(argv[1])
    control = socket.socket(fileno=spec["control"])
    if not spec["detach"]:
        # Nobody is left to wait for the program when the keeper dies, and it would be in the way
        # of every capture.
        k.prctl(k.PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        group = _group(spec["cgroup"])
        k.setns(spec["pidfd"], _ALL)  # setns to a pidfd: Linux 5.8
        child = os.fork()
        if child == 0:
            try:
                if group is not None:
                    os.write(group, b"0")  # only the program: we are none of the desktop's own
                if spec["detach"]:
                    _detached(spec, control)
                else:
                    _attached(spec, control)
            except OSError as error:
                control.send(f"error: {error}\n".encode())
            finally:
                os._exit(126)
    except OSError as error:
        control.send(f"error: {error}\n".encode())
        return 126
    if not spec["detach"]:
        control.send(f"pid {child}\n".encode())
    control.close()
    _pid, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv))
