"""Desktops with the network: addresses of their own, and what a fork makes of connections."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from livekit import leftovers
from livekit.inside import until
from livekit.world import World

pytestmark = pytest.mark.live


class Server:
    """A TCP server on the host that sends a byte every 10 ms to whoever connects."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("0.0.0.0", 0))
        self.port = int(self.listener.getsockname()[1])
        self.peers: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, (host, _port) = self.listener.accept()
                self.peers.append(host)
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            while self.listener.fileno() >= 0:
                peer.sendall(b"x")
                time.sleep(0.01)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that ends with the test."""
    made = Server()
    yield made
    made.listener.close()


def _gateway(world: World, branch: str) -> str:
    address = world.row(branch)["address"]
    head, _, last = address.rpartition(".")
    return f"{head}.{int(last) - 1}"


@pytest.mark.parametrize(
    "host", ["{}".format, "::ffff:{}".format], ids=["an IPv4 socket", "an IPv6 socket"]
)
def test_a_connection_to_outside_stays_with_the_source(
    world: World, server: Server, host: Callable[[str], str]
) -> None:
    source = world.boot(net=True)
    world.ask(source, connect=[host(_gateway(world, source)), server.port])
    until(lambda: world.ask(source)["received"] > 3, what="data")
    address = world.row(source)["address"]
    (branch,) = world.fork(source)
    other = world.row(branch)["address"]
    assert other and other != address
    # The branch's reader is told at once; it does not wait for ever.
    until(lambda: world.ask(branch)["outside"] not in ("open", "end"), what="an error")
    received = world.ask(source)["received"]
    until(lambda: world.ask(source)["received"] > received + 3, what="more data")
    assert world.ask(source)["outside"] == "open"
    for side in (source, branch):
        world.lives(side)  # the connection over the loopback goes on in both
    # The branch connects anew, from an address of its own.
    world.ask(branch, connect=[_gateway(world, branch), server.port])
    until(lambda: world.ask(branch)["received"] > 3, what="data in the branch")
    assert server.peers == [address, other]
    shown = world.run(branch, "ip", "-4", "-brief", "address", "show").output
    assert f"{other}/30" in shown and address not in shown
    assert len(leftovers.links(world.id)) == 2


def test_branches_do_not_reach_each_other(world: World) -> None:
    source = world.boot(net=True)
    (branch,) = world.fork(source)
    script = "import socket, sys; s = socket.socket(); s.settimeout(1); s.connect((sys.argv[1], 9))"
    ran = world.run(branch, "python3", "-c", script, world.row(source)["address"])
    assert ran.status == 1 and "TimeoutError" in ran.output


def test_the_network_comes_back_with_a_saved_desktop(world: World, server: Server) -> None:
    branch = world.boot(net=True)
    world.ask(branch, connect=[_gateway(world, branch), server.port])
    until(lambda: world.ask(branch)["received"] > 3, what="data")
    world.call("down", branch=branch)
    assert leftovers.links(world.id) == []
    assert world.call("up", branch=branch)["how"] == "restored"
    until(lambda: world.ask(branch)["outside"] not in ("open", "end"), what="an error")
    world.ask(branch, connect=[_gateway(world, branch), server.port])
    until(lambda: world.ask(branch)["received"] > 3, what="data again")
    # So it does after a rollback, in the place of the one that was stopped.
    world.call("rollback", branch=branch)
    assert len(leftovers.links(world.id)) == 1
    world.lives(branch)


def test_without_net_there_is_no_way_out(world: World) -> None:
    branch = world.boot()
    row = world.row(branch)
    assert row["net"] is False and row["address"] is None
    shown = world.run(branch, "ip", "-brief", "link", "show").output
    assert [line.split()[0] for line in shown.splitlines()] == ["lo"]
    assert leftovers.links(world.id) == []
