"""What programs that watch a file are told when a merge replaces it."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

from tcvs_core.history import Selection, apply, plan, walk_changes

_MOVED_FROM, _MOVED_TO = 0x40, 0x80


def test_last_news_of_a_replaced_file_is_that_it_is_there(tmp_path: Path) -> None:
    for side, text in (("base", "old\n"), ("ours", "old\n"), ("theirs", "new\n")):
        (tmp_path / side / "docs").mkdir(parents=True)
        (tmp_path / side / "docs/report.txt").write_text(text)
    base, ours, theirs = (tmp_path / side for side in ("base", "ours", "theirs"))
    made = plan(base, ours, theirs, [], walk_changes(base, theirs), Selection())
    libc = ctypes.CDLL(None, use_errno=True)
    watcher = libc.inotify_init1(os.O_NONBLOCK)
    try:
        folder = os.fsencode(ours / "docs")
        assert libc.inotify_add_watch(watcher, folder, _MOVED_FROM | _MOVED_TO) > 0
        apply(made, ours)
        news = _read(watcher)
    finally:
        os.close(watcher)
    assert (ours / "docs/report.txt").read_text() == "new\n"
    assert news == [(_MOVED_FROM, b"report.txt"), (_MOVED_TO, b"report.txt")]


def _read(watcher: int) -> list[tuple[int, bytes]]:
    data, found = os.read(watcher, 65536), []
    while data:
        _watch, mask, _cookie, length = struct.unpack_from("=iIII", data)
        found.append((mask, data[16 : 16 + length].rstrip(b"\0")))
        data = data[16 + length :]
    return found
