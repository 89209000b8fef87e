"""A commit of tcvs as objects of Git.

The tree of a commit holds::

    state.json        model.State: JSON, indented by one, keys sorted, ASCII, newline at the end
    screenshot.png    what the screen showed, if anything; or screenshot.jpg

The commit's author and committer are the state's author, at the time the state was created (whole
seconds, UTC).  Its message is what the user said, an empty line, and a last paragraph of trailers
``Tcvs-State``, ``Tcvs-Kind``, ``Tcvs-Branch`` and, where there is one, ``Tcvs-Action`` (its line
breaks folded, as Git folds trailers).  The trailers are for readers with stock Git; tcvs itself
reads ``state.json``.

The objects depend on nothing but the arguments, so the id is known before anything is written.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence

from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tree

from tcvs_core.errors import TcvsError
from tcvs_core.ids import CommitId
from tcvs_core.model import Author, State

_FILE_MODE = 0o100644
_STATE_FILE = "state.json"
_PICTURES = {"screenshot.png": b"\x89PNG\r\n\x1a\n", "screenshot.jpg": b"\xff\xd8\xff"}
#: Git takes the first line for the subject, so there has to be one.
_NO_MESSAGE = "(no message)"
_TRAILERS = re.compile(r"(?:\A|\n\n)Tcvs-State: [^\n]*\nTcvs-Kind: ")


class BadRecord(TcvsError):
    """A commit that tcvs cannot have written, or a picture that is none."""

    code = "bad-record"


def encode(
    state: State, parents: Sequence[CommitId], message: str, screenshot: bytes | None
) -> list[ShaFile]:
    """Return the objects of a commit; the commit itself is the last.  Raises BadRecord."""
    tree = Tree()
    objects: list[ShaFile] = []
    if screenshot is not None:
        name = _picture_name(screenshot)
        state = dataclasses.replace(state, screenshot=name)
        picture = Blob.from_string(screenshot)
        tree.add(name.encode(), _FILE_MODE, picture.id)
        objects.append(picture)
    text = json.dumps(state.to_dict(), indent=1, sort_keys=True)
    record = Blob.from_string(text.encode("ascii") + b"\n")
    tree.add(_STATE_FILE.encode(), _FILE_MODE, record.id)

    commit = Commit()
    commit.tree = tree.id
    commit.parents = [ObjectID(parent.encode("ascii")) for parent in parents]
    commit.author = commit.committer = identity(state.author)
    commit.author_time = commit.commit_time = max(0, int(state.created))
    commit.author_timezone = commit.commit_timezone = 0
    commit.message = _message(state, message)
    return [*objects, record, tree, commit]


def identity(author: Author) -> bytes:
    """Return ``Name <email>`` without anything that Git takes for its own punctuation."""
    name = re.sub(r"[<>\x00-\x1f\x7f]", "", author.name).strip(" .,:;'\"\\") or "unknown"
    email = re.sub(r"[<>\x00-\x20\x7f]", "", author.email)
    return f"{name} <{email}>".encode("utf-8", "replace")


def decode_message(raw: bytes) -> str:
    """Return the message without the trailers that ``encode`` has added."""
    text = raw.decode("utf-8", "replace")
    found = list(_TRAILERS.finditer(text))
    message = text[: found[-1].start()] if found else text.rstrip("\n")
    return "" if message == _NO_MESSAGE else message


def decode_state(data: bytes) -> State:
    """Read ``state.json``.  Raises BadRecord."""
    try:
        return State.from_dict(json.loads(data))
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        IndexError,
        RecursionError,
    ) as error:
        raise BadRecord(
            f"not a state record: {error}", operation="read", subject=_STATE_FILE
        ) from error


def clean_message(message: str) -> str:
    """Return ``message`` as it can be stored: no NUL, no empty lines around it, valid Unicode."""
    text = message.replace("\0", "").replace("\r\n", "\n").strip("\n")
    return text.encode("utf-8", "replace").decode("utf-8")


def picture_names() -> list[str]:
    """Return the names under which a tree may hold a screenshot."""
    return list(_PICTURES)


def _picture_name(data: bytes) -> str:
    for name, magic in _PICTURES.items():
        if data.startswith(magic):
            return name
    raise BadRecord("the screenshot is neither PNG nor JPEG", operation="commit")


def _message(state: State, message: str) -> bytes:
    trailers = {
        "Tcvs-State": state.state,
        "Tcvs-Kind": state.kind,
        "Tcvs-Branch": state.branch,
    }
    if state.action:
        trailers["Tcvs-Action"] = state.action
    lines = [f"{key}: {_folded(value)}" for key, value in trailers.items()]
    text = clean_message(message) or _NO_MESSAGE
    return (text + "\n\n" + "\n".join(lines) + "\n").encode("utf-8", "replace")


def _folded(value: str) -> str:
    """Break no line without indenting the next, so that a value never looks like a trailer."""
    lines = value.replace("\0", "").splitlines()
    return "\n ".join(line for line in lines if line.strip())
