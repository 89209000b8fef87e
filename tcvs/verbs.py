"""The table of verbs: all that ``tcvs --help`` needs, so that it imports no command.

A verb's module is imported when the verb runs.  ``help`` must equal the first line of the
docstring of the function (or, for a group of verbs, of the module) behind it; a test checks that.
"""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """One row: ``module`` is a name below ``tcvs.commands``; hidden rows are aliases."""

    name: str
    module: str
    help: str
    panel: str
    hidden: bool = False


SETUP = "Set up"
RUN = "Run desktops"
TOUCH = "See and act"
BRANCH = "Branch and go back"
READ = "Look at history"

VERBS: tuple[Verb, ...] = (
    Verb("init", "init", "Make a repository.", SETUP),
    Verb("doctor", "doctor", "Say what this machine offers and what it lacks.", SETUP),
    Verb("image", "image", "Build, import, list and remove desktop images.", SETUP),
    Verb("keeper", "keeper", "Start, stop or look at the resident keeper.", SETUP),
    Verb("up", "up", "Start the desktop of a branch.", RUN),
    Verb("down", "down", "Stop the desktop of a branch, saving its state first.", RUN),
    Verb("ps", "ps", "List the desktops: state, processes, memory, age.", RUN),
    Verb("exec", "exec", "Run a command inside a desktop.", RUN),
    Verb("logs", "logs", "Print what the session of a desktop wrote to its log.", RUN),
    Verb("screenshot", "screenshot", "Save a picture of a desktop's screen.", TOUCH),
    Verb("input", "input", "Use the mouse and the keyboard of a desktop.", TOUCH),
    Verb("windows", "windows", "List the open windows of a desktop.", TOUCH),
    Verb("clipboard", "clipboard", "Read or set the clipboard of a desktop.", TOUCH),
    Verb("view", "view", "Show desktops live in the browser.", TOUCH),
    Verb("branch", "branch", "Fork a running desktop; list, rename or delete branches.", BRANCH),
    Verb("commit", "commit", "Save files and memory of a running desktop.", BRANCH),
    Verb("checkout", "checkout", "Switch to a branch, or bring a commit back to life.", BRANCH),
    Verb("switch", "checkout", "Switch to a branch, or bring a commit back to life.", BRANCH, True),
    Verb("rollback", "rollback", "Put the current branch back to a commit.", BRANCH),
    Verb("reset", "reset", "Put the current branch back to a commit (as rollback).", BRANCH, True),
    Verb("undo", "undo", "Take back the last rollback or merge of a branch.", BRANCH),
    Verb("merge", "merge", "Bring chosen files of another branch into this one.", BRANCH),
    Verb("tag", "tag", "Name a commit; list or delete such names.", BRANCH),
    Verb("wait", "wait", "Wait until a commit is durable.", BRANCH),
    Verb("status", "status", "Show what changed since the last commit, and what runs.", READ),
    Verb("log", "log", "Show the commits that led to here.", READ),
    Verb("show", "show", "Show one commit: who, what, when, and the changed files.", READ),
    Verb("diff", "diff", "Show how files differ between two states.", READ),
    Verb("reflog", "reflog", "Show where a branch has pointed, abandoned states too.", READ),
)

PANELS: tuple[str, ...] = (SETUP, RUN, TOUCH, BRANCH, READ)
BY_NAME: dict[str, Verb] = {verb.name: verb for verb in VERBS}
