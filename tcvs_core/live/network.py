"""The way out for a workspace: a veth pair, an address of its own, and NAT on the host.

Each repository has a /16 inside 10.64.0.0/10, chosen by its id; each connected branch has a /30 of
it: the host is .1, the branch .2.  The host's end is named ``tc`` + 4 hex of the repository + the
index of the /30, so that a later keeper finds it.  It vanishes with the namespace of the branch,
but connections that nobody owns any more hold that for minutes, so ``disconnect`` takes it away.
Forwarding and masquerading are one nftables table a repository (``tcvs_<id>``).  It is there from
when the first workspace asks for the network until the last one lets go of it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import struct
import subprocess
import threading
from typing import Any

from tcvs_core.errors import TcvsError
from tcvs_core.linux import netns


class NetworkError(TcvsError):
    """The network of a workspace could not be set up."""

    code = "network"


_RULES = """
table ip {table} {{
  chain forward {{
    type filter hook forward priority 0; policy accept;
    iifname "{prefix}*" oifname "{prefix}*" drop
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    ip saddr {net} oifname != "{prefix}*" masquerade
  }}
}}
"""
_SOCK_DESTROY = 21
_SOCK_DIAG_BY_FAMILY = 20


class Network:
    """The addresses and links of one repository; ``scope`` is its id (hex)."""

    def __init__(self, scope: str) -> None:
        number = int(scope[:4], 16) if re.match(r"[0-9a-f]{4}", scope) else 0
        self._net = ipaddress.ip_network((0x0A400000 + ((number & 0x3F) << 16), 16))
        self._prefix = f"tc{scope[:4]}"
        self._table = f"tcvs_{scope}"
        self._guard = threading.Lock()

    def connect(self, fd: int, branch: str, *, up: bool = True) -> str:
        """Give the namespace ``fd`` a way out; return its address.  Raises NetworkError.

        Unless ``up``, nothing passes before ``cut``.
        """
        from pyroute2 import IPRoute  # slow to import, and most workspaces have no network

        try:
            with self._guard, IPRoute() as host:
                self._rules()
                index = self._free_index(host)
                name, peer = f"{self._prefix}{index:x}", f"{self._prefix}{index:x}p"
                base = self._net[4 * index]
                gateway, address = str(base + 1), str(base + 2)
                host.link("add", ifname=name, kind="veth", peer={"ifname": peer, "net_ns_fd": fd})
                link = host.link_lookup(ifname=name)[0]
                host.addr("add", index=link, address=gateway, prefixlen=30)
                if up:
                    host.link("set", index=link, state="up")

            def inside() -> None:
                with IPRoute() as inner:
                    eth = inner.link_lookup(ifname=peer)[0]
                    inner.link("set", index=eth, ifname="eth0")
                    inner.addr("add", index=eth, address=address, prefixlen=30)
                    inner.link("set", index=eth, state="up")
                    inner.route("add", dst="default", gateway=gateway)

            netns.run_in(fd, inside)
        except Exception as error:  # pyroute2 raises kinds of its own beside OSError
            if isinstance(error, TcvsError):
                raise
            raise NetworkError(
                f"cannot connect {branch} to the network: {error}",
                operation="network",
                subject=branch,
                hint="start it without --net, or see `tcvs doctor`",
            ) from error
        return address

    def disconnect(self, address: str) -> None:
        """Take away the link of the workspace that has ``address``; harmless where it is gone."""
        from pyroute2 import IPRoute

        index = (int(ipaddress.ip_address(address)) - int(self._net.network_address)) // 4
        with self._guard, IPRoute() as host, contextlib.suppress(Exception):
            for link in host.link_lookup(ifname=f"{self._prefix}{index:x}"):
                host.link("del", index=link)
            names = [link.get_attr("IFLA_IFNAME") or "" for link in host.get_links()]
            if not any(name.startswith(self._prefix) for name in names):
                self.remove_rules()

    def _free_index(self, host: Any) -> int:
        taken = set()
        for link in host.get_links():
            name = link.get_attr("IFLA_IFNAME") or ""
            if name.startswith(self._prefix):
                with contextlib.suppress(ValueError):
                    taken.add(int(name.removeprefix(self._prefix).rstrip("p"), 16))
        # Another repository may have the same /16: there are only 64.
        used = {row.get_attr("IFA_ADDRESS") for row in host.get_addr(family=socket.AF_INET)}
        for index in range(1, 1 << 14):
            if index not in taken and str(self._net[4 * index + 1]) not in used:
                return index
        raise NetworkError("no free network address", operation="network")

    def _rules(self) -> None:
        rules = _RULES.format(table=self._table, prefix=self._prefix, net=self._net)
        # Deleting what may not exist is an error in nft, so it is made first: all in one step.
        text = f"table ip {self._table}\ndelete table ip {self._table}\n{rules}"
        done = subprocess.run(
            ["nft", "-f", "-"], input=text.encode(), capture_output=True, check=False
        )
        if done.returncode:
            raise NetworkError(
                f"nft refused the rules: {done.stderr.decode(errors='replace').strip()}",
                operation="network",
                hint="`tcvs doctor`",
            )
        with open("/proc/sys/net/ipv4/ip_forward", "r+", encoding="ascii") as switch:
            if switch.read().strip() != "1":
                switch.seek(0)
                switch.write("1")

    def lend(self, fd: int, origin: str) -> None:
        """Let the namespace ``fd`` hold the address ``origin`` while sockets are restored on it."""
        from pyroute2 import IPRoute

        def inside() -> None:
            with IPRoute() as inner, contextlib.suppress(Exception):
                inner.addr("add", index=1, address=origin, prefixlen=32)

        netns.run_in(fd, inside)

    def cut(self, fd: int, origin: str, address: str | None) -> None:
        """Reset the connections that led outside from ``origin``, and take the address back.

        The link is down until then: a reset that got out would end the connection of the one that
        ``origin`` belongs to, and so would whatever else the copies of its sockets had to say.
        """
        from pyroute2 import IPRoute

        def inside() -> list[int]:
            destroy_connections(origin)
            with IPRoute() as inner:
                if origin != address:
                    with contextlib.suppress(Exception):
                        inner.addr("delete", index=1, address=origin, prefixlen=32)
                ends = [inner.get_links(i)[0] for i in inner.link_lookup(ifname="eth0")]
                return [int(link.get_attr("IFLA_LINK")) for link in ends]

        others = netns.run_in(fd, inside)
        with IPRoute() as host:
            for index in others:
                host.link("set", index=index, state="up")

    def remove_rules(self) -> None:
        """Take the repository's rules away; harmless where there are none."""
        if os.path.exists("/usr/sbin/nft"):
            subprocess.run(
                ["nft", "delete", "table", "ip", self._table], capture_output=True, check=False
            )


def destroy_connections(source: str) -> int:
    """Abort every TCP connection of this namespace whose own address is ``source``; count them.

    sock_diag(7) with SOCK_DESTROY: the owner reads ECONNABORTED, the peer (if any) gets a reset.
    Sockets of IPv6 that speak IPv4 (``::ffff:a.b.c.d``), as browsers have them, are meant too.
    """
    plain = socket.inet_aton(source)
    own = {
        socket.AF_INET: plain,
        socket.AF_INET6: bytes(10) + b"\xff\xff" + plain,
    }
    count = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as sock:  # NETLINK_SOCK_DIAG
        sock.settimeout(2.0)
        for family, wanted in own.items():
            for identity in _connections(sock, family):
                if identity[4 : 4 + len(wanted)] == wanted:
                    _ask(sock, _SOCK_DESTROY, 0x5, family, 0xFFFFFFFF, identity)
                    sock.recv(1 << 12)
                    count += 1
    return count


def _connections(sock: socket.socket, family: int) -> list[bytes]:
    """Return the struct inet_diag_sockid of every TCP socket that is neither LISTEN nor CLOSE."""
    _ask(sock, _SOCK_DIAG_BY_FAMILY, 0x301, family, 0xFFFFFB7F, bytes(48))
    found: list[bytes] = []
    while True:
        data = sock.recv(1 << 16)
        at = 0
        while at + 16 <= len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            if kind in (2, 3) or length < 16:  # NLMSG_ERROR, NLMSG_DONE
                return found
            found.append(data[at + 20 : at + 68])  # after nlmsghdr, in inet_diag_msg at 4
            at += (length + 3) & ~3


def _ask(
    sock: socket.socket, kind: int, flags: int, family: int, states: int, identity: bytes
) -> None:
    """Send an inet_diag_req_v2: family, protocol, ext, pad, states, id."""
    request = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 0, states) + identity
    sock.send(struct.pack("=IHHII", 16 + len(request), kind, flags, 1, 0) + request)
