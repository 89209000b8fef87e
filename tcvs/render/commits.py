"""Commits as text: one line, or a paragraph, with or without the graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tcvs.render import units
from tcvs.render.graph import Graph, Rows
from tcvs.render.terminal import Terminal, fit, one_line, safe

SHORT = 10
#: What the kinds of commits are called; plain commits need no word.
_KINDS = {"root": "root", "fork": "fork point", "save": "saved by tcvs", "merge": "merge"}


def short(commit: str | None) -> str:
    """Return the first digits of a commit's id; ``-`` for None."""
    return commit[:SHORT] if commit else "-"


def subject(message: str) -> str:
    """Return the first line of a message, safe to show."""
    return one_line(message.strip().partition("\n")[0]) or "(no message)"


def author(state: Mapping[str, Any]) -> str:
    """Return ``Name <email>`` or ``Name (agent)``."""
    who = state.get("author") or {}
    text = one_line(str(who.get("name") or "unknown"))
    if who.get("email"):
        text += f" <{one_line(who['email'])}>"
    return text + (" (agent)" if who.get("kind") == "agent" else "")


def decoration(terminal: Terminal, commit: Mapping[str, Any], head: str | None) -> str:
    """Return `` (HEAD -> main, tag: v1)`` or an empty text."""
    names = []
    for ref in commit.get("refs") or []:
        name = one_line(ref)
        if ref == head:
            names.append(terminal.style("HEAD -> ", "cyan") + terminal.style(name, "bold green"))
        else:
            names.append(terminal.style(name, "yellow" if ref.startswith("tag: ") else "green"))
    if not names:
        return ""
    yellow = "yellow"
    return terminal.style(" (", yellow) + ", ".join(names) + terminal.style(")", yellow)


def memory_word(commit: Mapping[str, Any]) -> str:
    """Return what is odd about the memory half of a commit, or an empty text."""
    words = {"pending": "still being written", "none": "files only"}
    return words.get(commit.get("memory") or "none", "")


def lines(
    terminal: Terminal,
    commits: Iterable[Mapping[str, Any]],
    *,
    head: str | None,
    oneline: bool = False,
    graph: bool = False,
) -> Iterator[str]:
    """Yield the lines of a log, newest first as given."""
    drawing = Graph(terminal) if graph else None
    for number, commit in enumerate(commits):
        pending = commit.get("memory") == "pending"
        rows = Rows("", [], "")
        if drawing is not None:
            rows = drawing.add(commit["id"], commit["parents"], "o" if pending else "*")
        if oneline:
            room = None if terminal.width is None else terminal.width - 2 * rows.rest.count("|") - 2
            text = [_oneline(terminal, commit, head, room)]
        else:
            text = paragraph(terminal, commit, head)
            if drawing is None and number:
                yield ""
        yield from _beside(rows, text, spaced=drawing is not None and not oneline)


def _beside(rows: Rows, text: list[str], spaced: bool) -> Iterator[str]:
    """Yield text with the graph left of it."""
    if not rows.commit:
        yield from text
        return
    yield f"{rows.commit} {text[0]}"
    rest = text[1:] + ([""] if spaced else [])
    moves = rows.moves + [rows.rest] * (len(rest) - len(rows.moves))
    for number, left in enumerate(moves):
        yield f"{left or ' '} {rest[number] if number < len(rest) else ''}".rstrip()


def _oneline(
    terminal: Terminal, commit: Mapping[str, Any], head: str | None, room: int | None
) -> str:
    plain = Terminal(None)
    refs = decoration(plain, commit, head)
    odd = memory_word(commit) if commit.get("memory") == "pending" else ""
    tail = f" [{odd}]" if odd else ""
    text = subject(commit["message"])
    if room is not None:
        text = fit(text, max(12, room - SHORT - len(refs) - len(tail) - 1))
    shown = terminal.style(short(commit["id"]), "yellow") + decoration(terminal, commit, head)
    return f"{shown} {text}{terminal.style(tail, 'magenta')}"


def paragraph(terminal: Terminal, commit: Mapping[str, Any], head: str | None) -> list[str]:
    """Return a commit as in ``git log``: the facts, an empty line, the indented message."""
    state = commit["state"]
    title = terminal.style(f"commit {commit['id']}", "yellow")
    odd = memory_word(commit)
    mark = terminal.style(f" [{odd}]", "magenta") if odd else ""
    out = [title + decoration(terminal, commit, head) + mark]
    if len(commit["parents"]) > 1:
        out.append("Merge:  " + " ".join(map(short, commit["parents"])))
    out.append(f"Author: {author(state)}")
    out.append(f"Date:   {units.moment(state.get('created'))}")
    kind = _KINDS.get(state.get("kind", ""))
    out.append(f"Branch: {one_line(state['branch'])}" + (f" ({kind})" if kind else ""))
    if state.get("action"):
        first, *more = safe(state["action"]).splitlines()
        out += [f"Action: {first}"] + [f"        {line}" for line in more]
    out.append("")
    message = safe(commit["message"]).strip() or "(no message)"
    return out + [f"    {line}".rstrip() for line in message.splitlines()]
