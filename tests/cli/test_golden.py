"""What users see, word by word.

``TCVS_UPDATE_GOLDEN=1`` rewrites the files under golden/: read their diff then.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parent / "golden"

#: File of the golden texts -> command lines; ``<<< TEXT`` at the end gives standard input.
CASES: dict[str, list[str]] = {
    "help": ["--help", "help", "help branch", "branch --help", "input --help", "exec --help"],
    "usage": [
        "",
        "comit",
        "input clik 1 2",
        "xyzzy",
        "--nosuch ps",
        "ps --jso",
        "log -n abc",
        "log -n 0",
        "screenshot --quality 101",
        "input scroll 1 1 sideways",
        "input click 1",
        "branch a b",
        "branch -d",
        "branch -m",
        "branch -d -m a b",
        "commit",
        "commit -m ' '",
        "up --screen big",
        "up --memory lots",
        "down main --all",
        "down --no-commit -m x",
        "exec",
        "exec -e novalue true",
        "diff --stat --name-status",
        "reset",
        "tag -d",
        "view main --stop",
        "screenshot x.bmp",
        "screenshot --region 1,2,3",
        "screenshot - --json",
        "input do '{'",
        "input do '[1]'",
        "commit -m x --author ''",
        "commit -m x --author 'agent:'",
        "image import nowhere.tar",
        "init a --repo b",
    ],
    "errors": [
        "checkout nosuch",
        "checkout nosuch --json",
        "commit -m x -b locked",
        "image build vanish",
        "show plain --screenshot x.png",
        "merge clash",
        "merge clash --json",
        "merge clash --conflicts markers",
        "merge clash --dry-run",
        "branch flaky -n 2",
    ],
    "run": [
        "up",
        "up work --screen 1920x1080 --memory 2G --cpus 1.5 --net --fresh",
        "up --json",
        "up -q",
        "down",
        "down --all --json",
        "ps",
        "ps --json",
        "--json ps",
        "logs -n 2",
        "logs -n 2 --json",
        "image list",
        "image list --json",
        "image build mini --name test",
        "image rm test",
        "keeper status",
        "keeper start",
        "keeper stop",
    ],
    "touch": [
        "screenshot",
        "screenshot a.jpg --json",
        "input click 10 20",
        "input type - <<< héllo",
        'input do \'{"action": "wait"}\' --json',
        "windows",
        "windows --json",
        "clipboard get",
        "clipboard get --json",
        "clipboard set -b main <<< text",
        "view",
        "view main --json",
        "view --stop",
    ],
    "branch": [
        "branch",
        "branch --json",
        "branch explore",
        "branch explore -n 3 --from main",
        "branch explore --json",
        "branch -d a b",
        "branch -m winner",
        "branch -m old new",
        "commit -m 'a message'",
        "commit -m 'a message' --wait --json",
        "commit -m 'a message' --wait",
        "commit -m 'files' --no-memory",
        "checkout explore-1",
        "checkout v1 -b retry",
        "switch explore-1",
        "rollback",
        "reset --hard HEAD~1",
        "undo",
        "wait",
        "tag",
        "tag v2 -m note",
        "tag -d v1",
        "merge explore-1",
        "merge explore-1 --dry-run",
        "merge explore-1 --json",
    ],
    "history": [
        "log",
        "log --oneline",
        "log --graph",
        "log --graph --oneline",
        "log -n 1 --json",
        "log --screenshots pictures -n 2",
        "show",
        "show --json",
        "status",
        "status --json",
        "diff",
        "diff --stat",
        "diff main explore-1 --name-status",
        "diff --json",
        "reflog",
        "reflog main --json",
    ],
}


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str, cli: Any) -> None:
    parts = []
    for line in CASES[name]:
        words, _, stdin = line.partition(" <<< ")
        done = cli(*shlex.split(words), stdin=stdin.encode())
        text = f"$ tcvs {line}".rstrip() + f"\n[exit {done.returncode}]\n"
        for mark, stream in (("", done.stdout), ("! ", done.stderr)):
            shown = stream.decode("utf-8", "backslashreplace").replace("\x1b", "<ESC>")
            text += "".join(f"{mark}{row}\n" for row in shown.splitlines())
        for path, name_of_it in cli.places():
            text = text.replace(path, name_of_it)
        parts.append(text)
    got = "\n".join(parts)
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("TCVS_UPDATE_GOLDEN"):
        file.write_text(got)
    assert got == file.read_text()
