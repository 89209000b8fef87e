"""A program with a memory: runs inside a desktop, and answers over a Unix socket beside it.

Inside, ``python3 victim.py SOCKET`` holds in memory a map, a clock that counts every 10 ms that it
has lived through, and a TCP connection to itself over the loopback that carries a byte each time.
A request is one JSON object on a connection of its own, so that nobody from outside is connected
when the desktop is frozen:

    {}                           how things are: see ``_report``
    {"set": {key: value...}}     remember
    {"connect": [host, port]}    open a connection to outside and go on reading from it
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
from typing import Any


class Victim:
    """The program's state; all of it is in memory only."""

    def __init__(self) -> None:
        self.memory: dict[str, Any] = {}
        self.ticks = 0
        self.echoes = 0
        self.loopback = "open"
        self.received = 0
        self.outside = "none"

    def serve(self, path: str) -> None:
        """Answer for ever."""
        listener = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self._start(self._clock)
        self._start(self._loop)
        listener.bind(path)
        listener.listen(8)
        while True:
            peer, _address = listener.accept()
            with peer, peer.makefile("rw") as stream:
                request = json.loads(stream.readline())
                self.memory.update(request.get("set", {}))
                if "connect" in request:
                    self._connect(*request["connect"])
                stream.write(json.dumps(self._report()) + "\n")

    def _report(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "memory": self.memory,
            "ticks": self.ticks,
            "echoes": self.echoes,
            "loopback": self.loopback,
            "received": self.received,
            "outside": self.outside,
            "host": socket.gethostname(),
        }

    @staticmethod
    def _start(function: Any, *arguments: Any) -> None:
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def _clock(self) -> None:
        while True:
            time.sleep(0.01)
            self.ticks += 1

    def _loop(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            near = socket.create_connection(server.getsockname())
            far, _address = server.accept()
        try:
            while True:
                near.sendall(b"x")
                if not far.recv(1):
                    raise EOFError("closed")
                self.echoes += 1
                time.sleep(0.01)
        except (OSError, EOFError) as error:
            self.loopback = repr(error)

    def _connect(self, host: str, port: int) -> None:
        link = socket.create_connection((host, port), timeout=5)
        link.settimeout(None)
        self.received, self.outside = 0, "open"
        self._start(self._read, link)

    def _read(self, link: socket.socket) -> None:
        try:
            while data := link.recv(1 << 16):
                self.received += len(data)
            self.outside = "end"
        except OSError as error:
            self.outside = type(error).__name__


if __name__ == "__main__":
    Victim().serve(sys.argv[1])
