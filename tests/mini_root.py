"""Print the root of a ``mini`` image for live tests, after building it where it is not cached.

    python tests/mini_root.py CACHE

The directory's name holds a digest of everything that the image is made from, so that a change of
the recipe or of a skeleton makes a new one; those that nobody asked for in two days are removed.
Tests copy it, and never write in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import time
from pathlib import Path

import tcvs_core.live.image as image

UNUSED = 2 * 86400


def digest() -> str:
    """Return a digest of the code and files that an image is made from."""
    top = Path(image.__file__).parent
    whole = hashlib.sha256()
    for path in sorted(top.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            whole.update(path.relative_to(top).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:16]


def main(cache: Path) -> Path:
    """Return the path of the cached root."""
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = cache / f"mini-{digest()}"
        if root.is_dir():
            os.utime(root)
            return root
        for old in cache.glob("mini-*"):
            if old.suffix == ".new" or old.stat().st_mtime < time.time() - UNUSED:
                shutil.rmtree(old)
        fresh = cache / f"mini-{digest()}.new"
        fresh.mkdir()
        print(f"building a mini image in {cache}, about a minute", file=sys.stderr)
        image.build("mini", fresh)
        fresh.rename(root)
        return root


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))
