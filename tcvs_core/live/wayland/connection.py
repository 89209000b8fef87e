"""One connection to a compositor: its objects, and the thread that reads its events.

Somebody must always read, else the compositor drops the client once its socket is full, and a
clipboard offer is served at any time.  So a thread of the connection receives, decodes and calls
the handlers of the objects, under ``lock``; whoever waits for something waits on that lock's
condition (``wait_for``), always with an end.  Handlers must not block.

Requests are collected and sent by ``flush``; ``roundtrip`` returns when the compositor has acted
on all of them.  ``close`` returns when the compositor has let go of its end of the socket too (it
hangs up after it has read our end of file), so that nothing of the client is left in it.
"""

from __future__ import annotations

import collections
import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from tcvs_core.live.wayland.pipes import PipeWriters
from tcvs_core.live.wayland.protocols import INTERFACES, Interface
from tcvs_core.live.wayland.wire import (
    Disconnected,
    ProtocolError,
    ScreenError,
    ScreenTimeout,
    WireError,
    decode,
    encode,
    split_header,
)

Handlers = Mapping[str, Callable[..., None]]

_SERVER_IDS = 0xFF000000
_MAX_FDS = 28  # libwayland's limit for one message of the socket
_MAX_OBJECTS = 100_000
_RECEIVE = 65536


class Proxy:
    """An object of the protocol as this side sees it."""

    __slots__ = ("alive", "connection", "handlers", "id", "interface", "version")

    def __init__(
        self, connection: Connection, interface: Interface, object_id: int, version: int
    ) -> None:
        self.connection = connection
        self.interface = interface
        self.id = object_id
        self.version = version
        self.alive = True
        self.handlers: Handlers = {}

    def __repr__(self) -> str:
        return f"{self.interface.name}@{self.id}"

    def send(self, request: str, *args: Any) -> None:
        """Queue a request that makes no object."""
        self.connection.queue(self, request, args)

    def create(self, request: str, *args: Any, on: Handlers | None = None) -> Proxy:
        """Queue a request that makes an object; ``args`` without that object."""
        return self.connection.create(self, request, args, on or {})

    def destroy(self, request: str | None = "destroy") -> None:
        """Queue the destruction; events still under way are dropped.  Twice is harmless."""
        with self.connection.lock:
            if self.alive:
                self.alive = False
                self.handlers = {}
                if request is not None and self.connection.failure is None:
                    self.connection.queue(self, request, ())


class Connection:
    """A client of one compositor.  Safe to use from several threads."""

    def __init__(self, sock: socket.socket, *, timeout: float = 5.0) -> None:
        """Take over the connected ``sock``; ``timeout`` in seconds ends every wait."""
        sock.setblocking(False)
        self.timeout = timeout
        self.lock = threading.Condition(threading.RLock())
        self.failure: ScreenError | None = None
        self._sock = sock
        self._closing = False
        self._hung_up = False
        self._stopped = False
        self._in = bytearray()
        self._in_fds: collections.deque[int] = collections.deque()
        self._out = bytearray()
        self._out_fds: list[int] = []
        self._pipes = PipeWriters()
        self._free_ids: list[int] = []
        self._next_id = 1
        self._objects: dict[int, Proxy] = {}
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.display = self._add(INTERFACES["wl_display"], 1)
        self.display.handlers = {"error": self._on_error, "delete_id": self._on_delete_id}
        self._thread = threading.Thread(target=self._run, name="wayland", daemon=True)
        self._thread.start()

    # Objects and requests

    def _add(self, interface: Interface, version: int) -> Proxy:
        if self._free_ids:
            object_id = self._free_ids.pop()
        else:
            object_id = self._next_id
            self._next_id += 1
        proxy = Proxy(self, interface, object_id, version)
        self._objects[object_id] = proxy
        return proxy

    def queue(self, proxy: Proxy, request: str, args: tuple[Any, ...]) -> None:
        """Queue a request.  File descriptors are duplicated, the caller keeps its own."""
        message = proxy.interface.requests[request]
        data, fds = encode(proxy.id, message.opcode, message.signature, args)
        with self.lock:
            self._check()
            self._out += data
            self._out_fds += [os.dup(fd) for fd in fds]

    def create(
        self, proxy: Proxy, request: str, args: tuple[Any, ...], handlers: Handlers
    ) -> Proxy:
        """Queue a request that makes an object, and return that object."""
        message = proxy.interface.requests[request]
        assert message.creates is not None
        at = message.signature.index("n")
        with self.lock:
            made = self._add(INTERFACES[message.creates], proxy.version)
            made.handlers = handlers
            self.queue(proxy, request, (*args[:at], made.id, *args[at:]))
        return made

    def bind(
        self, registry: Proxy, name: int, interface: Interface, version: int, handlers: Handlers
    ) -> Proxy:
        """Queue ``wl_registry.bind``, the one request whose new object is not typed."""
        with self.lock:
            made = self._add(interface, version)
            made.handlers = handlers
            self.queue(registry, "bind", (name, interface.name, version, made.id))
        return made

    def flush(self) -> None:
        """Send what is queued.  Raises ScreenError."""
        with self.lock:
            deadline = time.monotonic() + self.timeout
            while self._out:
                self._check()
                fds = self._out_fds[:_MAX_FDS]
                # More descriptors than one message may carry: let the bytes lag behind them.
                size = 1 if len(self._out_fds) > _MAX_FDS else len(self._out)
                try:
                    if fds:
                        sent = socket.send_fds(self._sock, [self._out[:size]], fds)
                    else:
                        sent = self._sock.send(self._out)
                except BlockingIOError:
                    self._wait_writable(deadline)
                    continue
                except OSError as error:
                    # What the compositor said before it hung up explains more than EPIPE.
                    self.lock.wait_for(lambda: self.failure is not None, 0.5)
                    self._fail(Disconnected("the compositor closed the connection"))
                    self._check(error)
                del self._out[:sent]
                del self._out_fds[: len(fds)]
                for fd in fds:
                    os.close(fd)

    def _wait_writable(self, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._sock, select.POLLOUT)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise ScreenTimeout(
                "the compositor takes no more requests",
                operation="send",
                hint="the desktop may be frozen or overloaded",
            )

    def wait_for(self, done: Callable[[], bool], what: str, timeout: float | None = None) -> None:
        """Flush and wait until ``done()``, called under the lock.

        Raises ScreenTimeout naming ``what`` after ``timeout`` seconds, or whatever ended the
        connection.
        """
        seconds = self.timeout if timeout is None else timeout
        with self.lock:
            self.flush()
            self.lock.wait_for(lambda: self.failure is not None or done(), seconds)
            if done():
                return
            self._check()
        raise ScreenTimeout(
            f"the compositor did not answer within {seconds:g} s",
            operation=what,
            hint="the desktop may be frozen or overloaded",
        )

    def roundtrip(self) -> None:
        """Return when the compositor has acted on everything sent so far."""
        done: list[int] = []
        self.display.create("sync", on={"done": done.append})
        self.wait_for(lambda: bool(done), "roundtrip")

    def write_pipe(self, fd: int, data: bytes, seconds: float = 10.0) -> None:
        """Write ``data`` to ``fd`` from the connection's thread and close it; takes over ``fd``."""
        with self.lock:
            if self._stopped:
                os.close(fd)
                return
            self._pipes.add(fd, data, seconds)
            self._wake_up()

    @property
    def alive(self) -> bool:
        """Whether requests can still be sent."""
        return self.failure is None and not self._closing

    def close(self, grace: float = 0.5) -> bool:
        """Close everything; return whether the compositor was seen to let go within ``grace`` s."""
        with self.lock:
            if not self._closing:
                with contextlib.suppress(ScreenError):
                    self.flush()
                self._closing = True
                with contextlib.suppress(OSError):
                    self._sock.shutdown(socket.SHUT_WR)
                self.lock.wait_for(lambda: self._stopped, grace)
        if threading.current_thread() is not self._thread:
            self._wake_up(stop=True)
            self._thread.join()
        return self._hung_up

    def _wake_up(self, *, stop: bool = False) -> None:
        with self.lock:
            if not self._stopped:
                os.eventfd_write(self._wake, 1 << 32 if stop else 1)

    def _check(self, cause: BaseException | None = None) -> None:
        failure = self.failure
        if failure is None and self._closing:
            failure = Disconnected("the connection to the compositor is closed")
        if failure is not None:
            raise type(failure)(
                failure.message,
                operation=failure.operation,
                subject=failure.subject,
                hint=failure.hint,
            ) from cause

    def _fail(self, failure: ScreenError) -> None:
        with self.lock:
            if self.failure is None:
                self.failure = failure
            self.lock.notify_all()

    # The thread

    def _run(self) -> None:
        try:
            self._hung_up = self._read_until_hang_up()
        except ScreenError as error:
            self._fail(error)
        except Exception as error:  # a handler met what it did not expect: end, never hang
            self._fail(ScreenError(f"the screen connection broke: {error!r}", operation="read"))
        finally:
            with self.lock:
                self._stopped = True
                self._fail(Disconnected("the compositor closed the connection"))
                self._closing = True
                self._sock.close()
                for fd in (*self._in_fds, *self._out_fds, self._wake):
                    os.close(fd)
                self._in_fds.clear()
                self._out_fds.clear()
                self._pipes.close()

    def _read_until_hang_up(self) -> bool:
        while True:
            poll = select.poll()
            poll.register(self._sock, select.POLLIN)
            poll.register(self._wake, select.POLLIN)
            with self.lock:
                waiting = self._pipes.waiting()
            for fd in waiting:
                poll.register(fd, select.POLLOUT)
            ready = poll.poll(1000 if waiting else None)
            with self.lock:
                self._pipes.expire()
            for fd, _ in ready:
                if fd == self._wake:
                    if os.eventfd_read(fd) >> 32:
                        return False
                elif fd != self._sock.fileno():
                    with self.lock:
                        self._pipes.write(fd)
                elif not self._receive():
                    return True

    def _receive(self) -> bool:
        try:
            data, fds, flags, _ = socket.recv_fds(
                self._sock, _RECEIVE, _MAX_FDS, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._in_fds.extend(fds)
        if flags & socket.MSG_CTRUNC or len(self._in_fds) > 4 * _MAX_FDS:
            raise WireError("too many file descriptors from the compositor", operation="read")
        if not data:
            return False
        self._in += data
        with self.lock:
            self._dispatch()
            self.lock.notify_all()
        return True

    def _dispatch(self) -> None:
        start = 0
        while len(self._in) - start >= 8:
            object_id, opcode, size = split_header(self._in, start)
            if len(self._in) - start < size:
                break
            body = bytes(self._in[start + 8 : start + size])
            start += size
            self._event(object_id, opcode, body)
        del self._in[:start]

    def _event(self, object_id: int, opcode: int, body: bytes) -> None:
        proxy = self._objects.get(object_id)
        if proxy is None or opcode >= len(proxy.interface.events):
            raise WireError(
                f"event {opcode} for {proxy or f'unknown object {object_id}'}", operation="read"
            )
        message = proxy.interface.events[opcode]
        fds: list[int] = []  # taken from the queue for this event

        def take_fd() -> int | None:
            if self._in_fds:
                fds.append(self._in_fds.popleft())
                return fds[-1]
            return None

        handler = None
        try:
            args = decode(message.signature, body, take_fd)
            for index, letter in enumerate(message.signature):
                if letter == "n":
                    args[index] = self._announced(args[index], message.creates, proxy)
                elif letter in "oO" and proxy is not self.display:
                    args[index] = self._objects.get(args[index])
            handler = proxy.handlers.get(message.name)
        finally:
            # A handler that takes a descriptor owns it; nobody else does.
            if handler is None:
                for fd in fds:
                    os.close(fd)
        if handler is not None:
            handler(*args)

    def _announced(self, object_id: int, interface: str | None, parent: Proxy) -> Proxy:
        old = self._objects.get(object_id)
        if object_id < _SERVER_IDS or interface is None or (old is not None and old.alive):
            raise WireError(f"the compositor made object {object_id} anew", operation="read")
        if len(self._objects) > _MAX_OBJECTS:
            raise WireError("too many objects from the compositor", operation="read")
        proxy = Proxy(self, INTERFACES[interface], object_id, parent.version)
        self._objects[object_id] = proxy
        return proxy

    def _on_error(self, object_id: int, code: int, text: str) -> None:
        proxy = self._objects.get(object_id)
        errors = proxy.interface.errors if proxy is not None else ()
        name = errors[code] if code < len(errors) else f"error {code}"
        subject = str(proxy) if proxy is not None else f"object {object_id}"
        self._fail(
            ProtocolError(f"{subject}: {name}: {text}", operation="request", subject=subject)
        )

    def _on_delete_id(self, object_id: int) -> None:
        # Ids of the display and of the other side are never ours to use again.
        if 1 < object_id < self._next_id and self._objects.pop(object_id, None) is not None:
            self._free_ids.append(object_id)
