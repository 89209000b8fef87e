"""A manifest: which files a memory image has, and which objects each consists of.

Format: "TCVSMAN1", canonical CBOR, SHA-256 (32 bytes) of all before it.  The CBOR is::

    {"version": 1, "state": <state id>, "chunk": <bytes>,
     "files": [[<name>, <size>, <SHA-256 of each chunk, 32 bytes each, back to back>], ...]}

A file is cut into chunks of ``chunk`` bytes, the last one shorter.  32 zero bytes stand for a chunk
of zeros, which is not stored.  Names are plain: no slash, not "." or "..".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tcvs_core import codec
from tcvs_core.errors import TcvsError

_MAGIC = b"TCVSMAN1"
KEY = 32
#: Stands for a chunk of zeros.
HOLE = bytes(KEY)


class ManifestDamaged(TcvsError):
    """Bytes that are no manifest, or not the one that was written."""

    code = "manifest-damaged"


@dataclass(frozen=True)
class FileEntry:
    """A file of an image: ``keys`` is the raw SHA-256 of each chunk, joined."""

    name: str
    size: int
    keys: bytes


@dataclass(frozen=True)
class Manifest:
    """A memory image by its parts."""

    state: str
    chunk: int
    files: list[FileEntry]

    def encode(self) -> bytes:
        """Return the manifest as it is stored."""
        files = [[entry.name, entry.size, entry.keys] for entry in self.files]
        record = {
            "version": 1,
            "state": self.state,
            "chunk": self.chunk,
            "files": files,
        }
        data = _MAGIC + codec.encode(record)
        return data + hashlib.sha256(data).digest()

    def objects(self) -> set[bytes]:
        """Return the raw SHA-256 of every object that the image needs."""
        found: set[bytes] = set()
        for entry in self.files:
            keys = entry.keys
            found.update(keys[at : at + KEY] for at in range(0, len(keys), KEY))
        found.discard(HOLE)
        return found


def decode(data: bytes) -> Manifest:
    """Read a stored manifest.  Raises ManifestDamaged, with what is wrong."""
    body = data[:-KEY]
    if not body.startswith(_MAGIC) or hashlib.sha256(body).digest() != data[-KEY:]:
        raise _damaged("its checksum is wrong")
    try:
        record = codec.decode(body[len(_MAGIC) :])
    except codec.CodecError as error:
        raise _damaged(str(error)) from error
    if not isinstance(record, dict) or record.get("version") != 1:
        raise _damaged("it is of another version")
    state, chunk, files = record.get("state"), record.get("chunk"), record.get("files")
    if not isinstance(state, str) or not isinstance(chunk, int) or chunk <= 0:
        raise _damaged("it names no state or no chunk size")
    if not isinstance(files, list):
        raise _damaged("it has no list of files")
    return Manifest(state, chunk, [_file(item, chunk) for item in files])


def plain_name(name: str) -> bool:
    """Tell whether ``name`` names a file in a directory and nothing else."""
    return bool(name) and name not in (".", "..") and "/" not in name and "\0" not in name


def _file(item: object, chunk: int) -> FileEntry:
    if not isinstance(item, list) or len(item) != 3:
        raise _damaged("a file entry has not three parts")
    name, size, keys = item
    if not isinstance(name, str) or not plain_name(name):
        raise _damaged(f"{name!r} is no plain file name")
    if not isinstance(size, int) or not isinstance(keys, bytes) or size < 0:
        raise _damaged(f"the entry of {name} is malformed")
    if len(keys) != (size + chunk - 1) // chunk * KEY:
        raise _damaged(f"the entry of {name} has the wrong number of chunks")
    return FileEntry(name, size, keys)


def _damaged(what: str) -> ManifestDamaged:
    return ManifestDamaged(what, operation="read manifest")
