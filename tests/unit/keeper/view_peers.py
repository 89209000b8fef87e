"""What stands in the place of wayvnc and of compositors in the viewer's unit tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

#: In wayvnc's place: a process that holds its descriptors until it is killed.
HOLD = ["/bin/sh", "-c", "exec sleep 600"]
FAIL = ["/bin/sh", "-c", "exit 3"]


class Compositor:
    """Accepts connections and, like a compositor, closes each when its client is gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clients = 0
        #: Cleared: it hangs, as one does that is stopped.
        self.alive = threading.Event()
        self.alive.set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._hold, args=(client,), daemon=True).start()

    def _hold(self, client: socket.socket) -> None:
        self.clients += 1
        with client:
            while client.recv(4096):
                pass
            self.alive.wait()
        self.clients -= 1

    def close(self) -> None:
        self.alive.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


def until(condition: Callable[[], bool], timeout: float = 5.0) -> None:
    """Wait at most ``timeout`` seconds for ``condition``."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.005)
