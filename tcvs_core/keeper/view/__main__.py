"""``python -m tcvs_core.keeper.view``: the view process, started by ``Viewer`` and nobody else."""

from __future__ import annotations

import argparse
import asyncio
import encodings.idna  # noqa: F401  # loaded on demand otherwise, which may be after the drop
import os
import socket
import sys
from pathlib import Path

from tcvs_core.errors import TcvsError
from tcvs_core.keeper import wire
from tcvs_core.keeper.view import statics
from tcvs_core.keeper.view.process import Service, check_executable, drop_privileges


def main() -> int:
    """Prepare as root, become nobody, serve."""
    parser = argparse.ArgumentParser(prog="tcvs-view")
    parser.add_argument("--control", type=int, required=True, help="descriptor of the keeper")
    parser.add_argument("--listener", type=int, required=True, help="descriptor to listen on")
    parser.add_argument("--novnc", type=Path, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--uid", type=int, required=True)
    parser.add_argument("wayvnc", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    control = socket.socket(fileno=options.control)
    listener = socket.socket(fileno=options.listener)
    argv = options.wayvnc[1:] if options.wayvnc[:1] == ["--"] else options.wayvnc
    try:
        files = statics.load(options.novnc)
        # From here on paths are relative: the directories above need not be open to everybody.
        os.chdir(options.directory)
        drop_privileges(options.uid)
        check_executable(argv, options.uid)
    except TcvsError as error:
        wire.send(control, {"id": 0, "error": error.to_dict()})
        return 1

    async def serve() -> None:
        await Service(control, listener, files, argv).run()

    asyncio.run(serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
