"""What happens where things are not as they should be."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tcvs_core.keeper import place

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")


def test_no_repository(bare: Any) -> None:
    for line in ("ps", "log", "keeper status", "branch x"):
        done = bare(*line.split())
        assert done.returncode == 2, line
        assert b"is not a tcvs repository" in done.stderr
        assert b"hint: make one with `tcvs init" in done.stderr
        assert not done.stdout


def test_keeper_that_cannot_start(bare: Any, request: pytest.FixtureRequest) -> None:
    request.addfinalizer(lambda: shutil.rmtree(place.RUN / "ffffffff", ignore_errors=True))
    bare.repo.mkdir()
    (bare.repo / "tcvs.json").write_text('{"version": 1, "kind": "loop", "id": "ffffffff"}')
    done = bare("keeper", "status")
    assert done.returncode == 1
    assert done.stdout.startswith(b"No keeper runs")
    done = bare("ps")
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: ")
    assert b"hint: " in done.stderr
    assert b"Traceback" not in done.stderr


def test_damaged_repository(bare: Any) -> None:
    bare.repo.mkdir()
    (bare.repo / "tcvs.json").write_text("{")
    done = bare("ps")
    assert done.returncode == 1
    assert b"tcvs.json" in done.stderr
    assert b"Traceback" not in done.stderr


@ROOT_ONLY
def test_not_root(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        repo = Path(name) / "repo"
        repo.mkdir()
        (repo / "tcvs.json").write_text('{"version": 1, "kind": "loop", "id": "fffffffe"}')
        repo.parent.chmod(0o755)
        # Everything is imported first: the interpreter may lie where only root can read.
        code = (
            "import contextlib, importlib, os, pkgutil, sys, decimal, fractions\n"
            "from tcvs.app import main\n"
            "from tcvs_core.keeper import client\n"
            "import typer\n"
            "for found in pkgutil.walk_packages(typer.__path__, 'typer.'):\n"
            "    with contextlib.suppress(Exception):\n"
            "        found.name.endswith('__main__') or importlib.import_module(found.name)\n"
            "import tcvs.commands.ps, tcvs.commands.init, tcvs.render.table\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "sys.exit(main(sys.argv[1:]))"
        )
        for args in (["ps", "--repo", str(repo)], ["init", str(tmp_path / "new")]):
            env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
            done = subprocess.run(
                [sys.executable, "-c", code, *args], env=env, capture_output=True, check=False
            )
            assert done.returncode == 1, done.stderr
            assert done.stderr.startswith(b"error: only root can "), done.stderr
            assert b"\nhint: `sudo tcvs " in done.stderr


def test_reader_goes_away(cli: Any) -> None:
    with subprocess.Popen(
        cli.argv("diff", "huge"),
        env=cli.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"diff --git")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 141


def test_huge_output(cli: Any) -> None:
    done = cli("diff", "huge")
    assert done.returncode == 0
    assert done.stdout.count(b"\n+line of text") == 200000


@pytest.mark.parametrize("line", ["ps", "--help", "ps --json"])
def test_full_disk_below_stdout(line: str, cli: Any) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            cli.argv(*line.split()),
            env=cli.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("fd", [0, 1, 2])
def test_closed_streams(fd: int, cli: Any) -> None:
    def close() -> None:
        os.close(fd)

    for args in (["ps"], ["checkout", "nosuch"], ["exec", "true"]):
        done = subprocess.run(
            cli.argv(*args),
            env=cli.environment(),
            capture_output=True,
            preexec_fn=close,
            check=False,
        )
        assert done.returncode == (2 if args[0] == "checkout" else 0), done.stderr
        assert b"Traceback" not in done.stderr


def test_interrupt(cli: Any) -> None:
    # exec forwards the signal; its command dies of it, which a shell calls 128 + 2.
    with subprocess.Popen(cli.argv("exec", "-T", "sleep", "60"), env=cli.environment()) as process:
        _until(lambda: bool(cli.calls()))
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_exec_passes_streams_and_status(cli: Any) -> None:
    done = cli("exec", "sh", "-c", 'cat; echo "$A" >&2; exit 7', stdin=b"typed")
    assert (done.returncode, done.stdout) == (7, b"typed")
    done = cli("exec", "-e", "A=b=c", "--", "sh", "-c", "echo $A", "--json")
    assert done.stdout == b"b=c\n"
    call = cli.calls()[-1]
    assert call["argv"] == ["sh", "-c", "echo $A", "--json"]
    assert (call["tty"], call["user"], call["branch"]) == (False, "user", None)
    assert cli("exec", "-d", "true").stdout == b"4242\n"


def test_no_leaking_text_in_arguments(cli: Any) -> None:
    done = cli("checkout", b"caf\xe9")
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"is not UTF-8" in done.stderr


def test_home_of_the_shell_is_home_of_the_desktop(cli: Any) -> None:
    cli("merge", "x", "--paths", f"{cli.home}/docs", "-x", "*.log", "--paths", "/etc/hosts")
    call = cli.calls()[-1]
    assert call["paths"] == ["~/docs", "/etc/hosts"]
    assert call["exclude"] == ["*.log"]


def test_json_is_ascii_and_keeps_odd_names(cli: Any) -> None:
    done = cli("diff", "--json")
    names = [change["path"] for change in json.loads(done.stdout)["changes"]]
    assert os.fsencode(names[4]) == b"home/user/caf\xe9.txt"
    assert done.stdout.isascii()


def test_history_page(cli: Any, home: Path) -> None:
    done = cli("log", "--all", "--html", "report")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"Wrote report/index.html\n"
    page = (home / "report" / "index.html").read_text()
    assert "Fill in the form" in page
    assert "zwei" in page


def test_author(cli: Any, home: Path) -> None:
    def asked(*args: str, **env: str) -> Any:
        assert cli("commit", "-m", "x", *args, env=env).returncode == 0
        return cli.calls()[-1]["author"]

    agent = {"name": "Explorer", "email": "", "kind": "agent"}
    assert asked("--author", "agent:Explorer") == agent
    assert asked(TCVS_AUTHOR="agent:Explorer") == agent
    assert asked("--author", "A: B <b@c>") == {"name": "A: B", "email": "b@c", "kind": "human"}
    (home / ".gitconfig").write_text("[user]\nname = Git Name\nemail = g@n\n")
    git = {"name": "Git Name", "email": "g@n", "kind": "human"}
    assert asked(TCVS_AUTHOR="") == git


def test_diff_can_be_applied(cli: Any, home: Path) -> None:
    patch = cli("diff").stdout
    user = home / "home" / "user"
    user.mkdir(parents=True)
    (user / "notes.txt").write_text("one\ntwo\n")
    done = subprocess.run(
        ["git", "apply", "--exclude=*.png", "-"],
        input=patch,
        cwd=home,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (user / "notes.txt").read_bytes() == b"one\nzwei \x1b[7mreverse\n"
    assert (os.fsencode(user) + b"/caf\xe9.txt") in [
        os.fsencode(user) + b"/" + name for name in os.listdir(os.fsencode(user))
    ]


def test_completion_of_verbs(cli: Any) -> None:
    env = {"_TCVS_COMPLETE": "complete_bash", "COMP_WORDS": "tcvs che", "COMP_CWORD": "1"}
    assert cli(env=env).stdout.split() == [b"checkout"]
    env |= {"COMP_WORDS": "tcvs input cl", "COMP_CWORD": "2"}
    assert cli(env=env).stdout.split() == [b"click"]


def _until(ready: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.02)


def _on_terminal(cli: Any, *args: str, rows: int = 24, columns: int = 60, keys: bytes = b"",
                 **env: str) -> tuple[int, str]:  # fmt: skip
    """Run tcvs on a pseudo-terminal; return its exit status and what appeared."""
    import fcntl
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    shown = b""
    environment = cli.environment(TERM="xterm-256color", TCVS_PAGER="", **env)
    del environment["COLUMNS"]
    if environment.get("NO_COLOR") == "":
        del environment["NO_COLOR"]
    with subprocess.Popen(
        cli.argv(*args), env=environment, stdin=slave, stdout=slave, stderr=slave
    ) as process:
        os.close(slave)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if not select.select([master], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            shown += data
            if keys and b"ready" in shown:
                os.write(master, keys)
                keys = b""
        os.close(master)
        return process.wait(10), shown.decode()


def test_terminal_gets_colours_and_no_foreign_escapes(cli: Any) -> None:
    _status, shown = _on_terminal(cli, "diff", NO_COLOR="")
    assert "\x1b[32m+zwei \\x1b[7mreverse" in shown
    _status, plain = _on_terminal(cli, "diff", NO_COLOR="1")
    assert "\x1b" not in plain
    _status, shown = _on_terminal(cli, "windows", NO_COLOR="")
    assert "\x1b]0" not in shown


@pytest.mark.parametrize("columns", [20, 40, 60, 80])
@pytest.mark.parametrize("line", ["ps", "branch", "status", "log --oneline --graph", "windows"])
def test_narrow_terminals(line: str, columns: int, cli: Any) -> None:
    status, shown = _on_terminal(cli, *line.split(), columns=columns)
    assert status == 0
    if line in ("ps", "branch", "windows"):
        assert max(map(len, shown.splitlines())) <= columns


def test_exec_with_a_terminal(cli: Any) -> None:
    script = "test -t 0 && stty size && echo ready && read a && echo got=$a && exit 5"
    status, shown = _on_terminal(cli, "exec", "sh", "-c", script, columns=77, keys=b"abc\r")
    assert status == 5
    assert "24 77" in shown
    assert "got=abc" in shown
    assert cli.calls()[-1]["tty"] is True
