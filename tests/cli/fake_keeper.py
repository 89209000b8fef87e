"""A real server of the keeper's protocol whose answers come from ``answers.py``.

    python fake_keeper.py REPO CALLS [RUN]

Listens where the keeper of REPO would, writes each call as a line of JSON to the file CALLS, and
prints ``ready``.  RUN replaces /run/tcvs.  ``exec`` really runs its command, on this machine.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from answers import ANSWERS, Fail

from tcvs_core.keeper import place, wire


def _json(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _stream(sock: socket.socket, params: dict[str, Any]) -> None:
    for number in range(min(params["lines"], 3)):
        line = f"line {number} \x1b[1mbold"
        wire.send(sock, {"event": "line", "line": line, "source": "session"})


def _exec(sock: socket.socket, params: dict[str, Any], fds: list[int]) -> dict[str, int]:
    argv, env = params["argv"], {**os.environ, **params["env"]}
    if params["detach"]:
        for fd in fds:
            os.close(fd)
        return {"pid": 4242}
    if params["tty"]:
        master, slave = os.openpty()
        fds = [slave, slave, slave]
        wire.send(sock, {"event": "pty"}, (master,))
        os.close(master)
    streams = dict(zip(("stdin", "stdout", "stderr"), fds, strict=True))
    child = subprocess.Popen(argv, env=env, start_new_session=True, **streams)
    for fd in set(fds):
        os.close(fd)

    def listen() -> None:
        while (frame := _receive(sock)) is not None:
            child.send_signal(frame[0]["signal"])

    threading.Thread(target=listen, daemon=True).start()
    status = child.wait()
    return {"exit_status": status if status >= 0 else 128 - status}


def _receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    try:
        return wire.receive(sock)
    except (OSError, wire.WireError):
        return None


def _serve(sock: socket.socket, calls: Path) -> None:
    with sock:
        frame = _receive(sock)
        if frame is None:
            return
        message, fds = frame
        method, params = message["method"], message["params"]
        with calls.open("a") as file:
            file.write(json.dumps({"method": method, **params}, default=_json) + "\n")
        if method == "image_build" and params["recipe"] == "vanish":
            return  # as a keeper that dies
        if method in ("image_build", "branch_create"):
            event = {"event": "progress", "stage": "packages", "fraction": 0.5, "detail": "labwc"}
            wire.send(sock, event)
        try:
            if method == "exec":
                result: Any = _exec(sock, params, fds)
            elif method == "logs":
                result = _stream(sock, params)
            else:
                result = ANSWERS[method](params)
            wire.send(sock, {"result": result})
        except Fail as error:
            wire.send(sock, {"error": error.data})
        except OSError:
            pass  # the client went away


def main() -> None:
    """Serve until SIGTERM."""
    repo, calls = Path(sys.argv[1]), Path(sys.argv[2])
    if len(sys.argv) > 3:
        place.RUN = Path(sys.argv[3])
    path = place.socket_path(repo)
    path.parent.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen(16)
        print("ready", flush=True)
        try:
            while True:
                client, _address = server.accept()
                threading.Thread(target=_serve, args=(client, calls), daemon=True).start()
        finally:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
