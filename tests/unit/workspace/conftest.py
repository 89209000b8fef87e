"""A repository whose desktops are fake and whose files are plain directories: no root needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tcvs_core.ids import ImageName
from tcvs_core.live.engines.fake import FakeRuntime
from tcvs_core.store.files import PlainFiles
from tcvs_core.workspace.repository import Places, Repository


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def open_repository(tmp_path: Path, runtime: FakeRuntime) -> Iterator[Callable[[], Repository]]:
    """Return a function that opens the repository, as each new keeper does."""
    root = tmp_path / "pool"
    root.mkdir()
    opened: list[Repository] = []

    def open_one() -> Repository:
        files = PlainFiles(root)
        places = Places(root / "store", tmp_path / "run", tmp_path / "images")
        repo = Repository(places, files, runtime)
        repo.open()
        opened.append(repo)
        return repo

    yield open_one
    for repo in opened:
        repo.close()


@pytest.fixture
def repo(open_repository: Callable[[], Repository]) -> Repository:
    """A repository with an image ``tiny`` and nothing else."""
    found = open_repository()
    with found.files.new_image(ImageName("tiny"), {"recipe": "tiny"}) as tree:
        (tree / "home/user").mkdir(parents=True)
        (tree / "home/user/notes.txt").write_text("one\ntwo\nthree\n")
    return found
