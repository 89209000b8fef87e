"""The Wayland wire format, and a compositor that misbehaves."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcvs_core.live.wayland.connection import Connection
from tcvs_core.live.wayland.pipes import PipeWriters
from tcvs_core.live.wayland.protocols import INTERFACES
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

# The wire


@pytest.mark.parametrize(
    ("signature", "args"),
    [
        ("", []),
        ("iu", [-5, 4_000_000_000]),
        ("f", [-1.5]),
        ("s", ["ünïcode"]),
        ("S", [None]),
        ("oO", [7, 0]),
        ("a", [b"12345"]),
        ("nsu", [3, "", 1]),
    ],
)
def test_arguments_survive_the_wire(signature: str, args: list[Any]) -> None:
    data, fds = encode(9, 4, signature, args)
    assert split_header(data) == (9, 4, len(data))
    assert fds == []
    assert decode(signature, data[8:], lambda: None) == args


def test_the_bytes_are_those_of_the_protocol() -> None:
    data, _ = encode(2, 0, "usun", [1, "wl_shm", 1, 5])
    assert data == struct.pack("=IIII8sII", 2, 32 << 16, 1, 7, b"wl_shm\0\0", 1, 5)


def test_descriptors_travel_beside_the_bytes() -> None:
    data, fds = encode(2, 0, "nhi", [3, 42, 100])
    assert (len(data), fds) == (16, [42])
    assert decode("nhi", data[8:], [42].pop) == [3, 42, 100]


@pytest.mark.parametrize(
    ("signature", "args"),
    [("i", []), ("i", ["x"]), ("u", [-1]), ("s", [None]), ("o", [None]), ("s", ["a\0b"])],
)
def test_bad_arguments_are_refused(signature: str, args: list[Any]) -> None:
    with pytest.raises(WireError):
        encode(1, 0, signature, args)


def test_a_message_is_at_most_4096_bytes() -> None:
    with pytest.raises(WireError, match="4096"):
        encode(1, 0, "s", ["x" * 4096])


@pytest.mark.parametrize("size", [0, 4, 7, 10, 4100, 65532])
def test_impossible_sizes_are_refused(size: int) -> None:
    with pytest.raises(WireError):
        split_header(struct.pack("=II", 1, size << 16))


@given(st.text("iufsSoOna", max_size=6), st.binary(max_size=64))
def test_whatever_the_bytes_only_wire_errors(signature: str, body: bytes) -> None:
    with contextlib.suppress(WireError):
        decode(signature, body, lambda: None)


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        ("u", b""),
        ("u", bytes(8)),
        ("s", struct.pack("=I", 100) + bytes(4)),
        ("s", struct.pack("=I4s", 4, b"abcd")),
        ("s", bytes(4)),
        ("h", b""),
        ("a", struct.pack("=I", 0xFFFFFFFF)),
    ],
)
def test_bad_bodies_are_refused(signature: str, body: bytes) -> None:
    with pytest.raises(WireError):
        decode(signature, body, lambda: None)


def test_the_tables_name_only_known_interfaces() -> None:
    for interface in INTERFACES.values():
        for message in (*interface.requests.values(), *interface.events):
            assert set(message.signature) <= set("iufsSoOnah"), message
            assert message.creates is None or message.creates in INTERFACES, message
            if message.creates:
                assert message.signature.count("n") == 1


# A compositor that misbehaves


class _Peer:
    """The other end of a connection, in the hands of a test."""

    def __init__(self) -> None:
        here, self.socket = socket.socketpair()
        self.connection = Connection(here, timeout=0.3)

    def event(self, object_id: int, opcode: int, signature: str, *args: Any) -> None:
        self.socket.sendall(encode(object_id, opcode, signature, args)[0])


@pytest.fixture
def peer() -> Iterator[_Peer]:
    before = len(os.listdir("/proc/self/fd"))
    threads = threading.active_count()
    peer = _Peer()
    yield peer
    peer.socket.close()
    peer.connection.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert threading.active_count() == threads


def test_silence_is_a_timeout(peer: _Peer) -> None:
    start = time.monotonic()
    with pytest.raises(ScreenTimeout, match="did not answer"):
        peer.connection.roundtrip()
    assert time.monotonic() - start < 2


def test_an_answer_ends_the_wait(peer: _Peer) -> None:
    thread = threading.Thread(target=peer.connection.roundtrip)
    thread.start()
    assert peer.socket.recv(100) == encode(1, 0, "n", [2])[0]
    peer.event(2, 0, "u", 0)
    peer.event(1, 1, "u", 2)
    thread.join(5)
    assert not thread.is_alive()
    assert peer.connection.alive


def test_hanging_up_is_noticed(peer: _Peer) -> None:
    peer.socket.close()
    with pytest.raises(Disconnected):
        peer.connection.roundtrip()
    assert not peer.connection.alive


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 64,
        struct.pack("=II", 77, 8 << 16),
        struct.pack("=II", 1, 8 << 16 | 9),
        struct.pack("=III", 1, 12 << 16, 5),
    ],
)
def test_garbage_ends_the_connection(peer: _Peer, data: bytes) -> None:
    peer.socket.sendall(data)
    with pytest.raises(WireError):
        peer.connection.roundtrip()


def test_an_error_is_told_by_name(peer: _Peer) -> None:
    peer.event(1, 0, "ous", 1, 1, "no such method")
    with pytest.raises(ProtocolError, match="wl_display@1: invalid_method: no such method"):
        peer.connection.roundtrip()


def test_unasked_descriptors_do_not_pile_up(peer: _Peer) -> None:
    message = struct.pack("=III", 1, 12 << 16 | 1, 9)
    for _ in range(10):
        with contextlib.suppress(OSError):  # the connection may be closed already
            socket.send_fds(peer.socket, [message], [peer.socket.fileno()] * 20)
    with pytest.raises(ScreenError):
        peer.connection.roundtrip()


def test_a_peer_that_reads_nothing_does_not_block_for_ever(peer: _Peer) -> None:
    def flood() -> None:
        while True:
            for _ in range(1000):
                peer.connection.display.create("sync")
            peer.connection.flush()

    with pytest.raises(ScreenTimeout, match="no more requests"):
        flood()


def test_close_waits_for_the_other_side(peer: _Peer) -> None:
    def hang_up() -> None:
        while peer.socket.recv(100):
            pass
        time.sleep(0.1)
        peer.socket.close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    assert peer.connection.close()
    thread.join()
    with pytest.raises(Disconnected, match="closed"):
        peer.connection.roundtrip()


def test_close_does_not_wait_for_ever(peer: _Peer) -> None:
    start = time.monotonic()
    assert not peer.connection.close(grace=0.1)
    assert time.monotonic() - start < 1


def test_a_pipe_nobody_reads_is_given_up() -> None:
    now = [0.0]
    writers = PipeWriters(lambda: now[0])
    reader, writer = os.pipe()
    writers.add(writer, bytes(1 << 20), seconds=10)
    writers.write(writer)
    writers.write(writer)
    assert writers.waiting() == [writer]
    now[0] = 11.0
    writers.expire()
    assert writers.waiting() == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writer)
    os.close(reader)
