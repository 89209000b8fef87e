"""The HTTP service of the viewer, asked over real sockets by a real client."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from tcvs_core.keeper.view import VncServer, statics
from tcvs_core.keeper.view.admission import Admission
from tcvs_core.keeper.view.guard import cookie_name
from tcvs_core.keeper.view.screens import Screen, Screens
from tcvs_core.keeper.view.server import MAX_MESSAGE, application


class Service:
    """A running service; ``directory`` is where the RFB sockets of its branches are looked for."""

    def __init__(self, port: int, directory: Path) -> None:
        self.port = port
        self.base = f"http://127.0.0.1:{port}"
        self.admission = Admission()
        self.screens = Screens()
        for name, state in (("main", "live"), ("cold", "frozen"), ("off", "stopped")):
            screen = Screen(name, VncServer(["/nonexistent"], directory, name))
            screen.state = state  # type: ignore[assignment]
            self.screens.by_name[name] = screen

    def client(self, *, admitted: bool = True) -> aiohttp.ClientSession:
        """Return a client with a cookie jar, which holds the session's cookie if ``admitted``."""
        client = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        if admitted:
            entry = self.admission.exchange(self.admission.issue())
            assert entry is not None
            client.cookie_jar.update_cookies(
                {cookie_name(self.port): entry[0]}, response_url=URL(self.base)
            )
        return client


@pytest.fixture
def novnc(tmp_path: Path) -> Path:
    root = tmp_path / "novnc"
    (root / "core").mkdir(parents=True)
    (root / "vendor/pako").mkdir(parents=True)
    (root / "app").mkdir()
    (root / "core/rfb.js").write_text("export default 1;")
    (root / "vendor/pako/inflate.js").write_text("export const inflate = 1;")
    (root / "app/ui.js").write_text("export const ui = 1;")
    (tmp_path / "secret.js").write_text("secret")
    return root


def serve(novnc: Path, work: Callable[[Service], Awaitable[None]]) -> None:
    """Run ``work`` with a service."""

    @asynccontextmanager
    async def running() -> AsyncIterator[Service]:
        listener = socket.create_server(("127.0.0.1", 0))
        service = Service(listener.getsockname()[1], novnc.parent)
        app = application(service.port, service.admission, service.screens, statics.load(novnc))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        try:
            yield service
        finally:
            await runner.cleanup()

    async def run() -> None:
        async with running() as service:
            await asyncio.wait_for(work(service), 20)

    asyncio.run(run())


@asynccontextmanager
async def echoing(path: Path) -> AsyncIterator[None]:
    """Stand where wayvnc would: greet, then send everything back."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"RFB 003.008\n")
        while data := await reader.read(1 << 16):
            if data == b"die":
                break
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(echo, str(path))
    try:
        yield
    finally:
        server.close()


def test_the_token_becomes_a_cookie_once(novnc: Path) -> None:
    async def work(service: Service) -> None:
        token = service.admission.issue(["main", 'a"<b'])
        async with service.client(admitted=False) as client:
            answer = await client.get(f"{service.base}/", params={"token": token})
            assert answer.status == 200
            assert token not in await answer.text()
            assert 'url=/?show=main,a%22%3Cb"' in await answer.text()
            header = answer.headers["Set-Cookie"]
            assert header.startswith(f"tcvs-view-{service.port}=")
            assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(header.split("; "))
            page = await client.get(f"{service.base}/")
            assert page.status == 200
            assert "<main" in await page.text()
            again = await client.get(f"{service.base}/", params={"token": token})
            assert again.status == 403
            assert "go on there" in await again.text()
            assert (await client.get(f"{service.base}/")).status == 200
        async with service.client(admitted=False) as other:
            answer = await other.get(f"{service.base}/", params={"token": token})
            assert answer.status == 403
            assert "Set-Cookie" not in answer.headers
            assert "go on there" not in await answer.text()

    serve(novnc, work)


@pytest.mark.parametrize(
    "path", ["/", "/view.js", "/novnc/core/rfb.js", "/api/branches", "/api/events", "/ws/main"]
)
def test_nothing_without_a_session(novnc: Path, path: str) -> None:
    async def work(service: Service) -> None:
        async with service.client(admitted=False) as client:
            for cookie in (None, "", "wrong"):
                headers = {} if cookie is None else {"Cookie": f"tcvs-view-{service.port}={cookie}"}
                answer = await client.get(service.base + path, headers=headers)
                assert answer.status == 403, cookie
                assert "main" not in (await answer.text()).replace("<main", "").replace(
                    "</main", ""
                )

    serve(novnc, work)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", ""]
)
def test_a_foreign_host_is_refused(novnc: Path, host: str) -> None:
    async def work(service: Service) -> None:
        headers = {"Host": host.format(port=service.port)}
        token = service.admission.issue()
        async with service.client() as client:
            for path in ("/", f"/?token={token}", "/view.css", "/api/branches", "/ws/main"):
                answer = await client.get(service.base + path, headers=headers)
                assert answer.status in (400, 421), path
        assert service.admission.exchange(token) is not None, "refused before it could be used up"

    serve(novnc, work)


def test_localhost_is_a_name_for_it(novnc: Path) -> None:
    async def work(service: Service) -> None:
        async with service.client() as client:
            host = {"Host": f"localhost:{service.port}"}
            answer = await client.get(f"{service.base}/api/branches", headers=host)
            assert answer.status == 200

    serve(novnc, work)


@pytest.mark.parametrize(
    "path",
    [
        "/novnc/../secret.js",
        "/novnc/core/../../secret.js",
        "/novnc/%2e%2e/secret.js",
        "/novnc/core/..%2f..%2fsecret.js",
        "/../secret.js",
        "//etc/passwd",
        "/index.html",
        "/process.py",
        "/novnc/app/ui.js",
        "/novnc/core/",
        "/ws/nobody",
        "/ws/..%2fmain",
        "/api",
    ],
)
def test_a_path_is_only_a_name(novnc: Path, path: str) -> None:
    async def work(service: Service) -> None:
        # A raw request: a client library would tidy the path up.
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        entry = service.admission.exchange(service.admission.issue())
        assert entry is not None
        writer.write(
            (
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n"
                f"Connection: close\r\nOrigin: {service.base}\r\n"
                f"Cookie: {cookie_name(service.port)}={entry[0]}\r\n\r\n"
            ).encode()
        )
        answer = await reader.read()
        writer.close()
        assert answer.split()[1] in (b"404", b"400"), answer
        assert b"secret" not in answer

    serve(novnc, work)


def test_every_part_of_the_page_is_served(novnc: Path) -> None:
    async def work(service: Service) -> None:
        async with service.client() as client:
            for path, kind in {
                "/": "text/html",
                "/view.js": "text/javascript",
                "/tile.js": "text/javascript",
                "/view.css": "text/css",
                "/novnc/core/rfb.js": "text/javascript",
                "/novnc/vendor/pako/inflate.js": "text/javascript",
            }.items():
                answer = await client.get(service.base + path)
                assert (answer.status, answer.content_type) == (200, kind), path
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "frame-ancestors 'none'" in policy
                assert "unsafe" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert answer.headers["Cache-Control"] == "no-store"
            assert (await client.post(f"{service.base}/")).status == 405

    serve(novnc, work)


def test_other_sites_cannot_ask(novnc: Path) -> None:
    async def work(service: Service) -> None:
        async with service.client() as client:
            for site, status in (("same-origin", 200), ("same-site", 403), ("cross-site", 403)):
                headers = {"Sec-Fetch-Site": site}
                answer = await client.get(f"{service.base}/api/branches", headers=headers)
                assert answer.status == status, site
                assert "Access-Control-Allow-Origin" not in answer.headers

    serve(novnc, work)


def test_branches_and_their_changes(novnc: Path) -> None:
    async def work(service: Service) -> None:
        async with service.client() as client:
            answer = await (await client.get(f"{service.base}/api/branches")).json()
            assert [(b["name"], b["state"]) for b in answer["branches"]] == [
                ("main", "live"),
                ("cold", "frozen"),
                ("off", "stopped"),
            ]
            events = await client.get(f"{service.base}/api/events")
            assert events.content_type == "text/event-stream"

            async def event() -> Any:
                line = await events.content.readline()
                assert await events.content.readline() == b"\n"
                return json.loads(line.removeprefix(b"data: "))

            assert await event() == answer
            service.screens.by_name["main"].state = "frozen"
            service.screens.changed()
            assert (await event())["branches"][0]["state"] == "frozen"
            events.close()

    serve(novnc, work)


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1:{port}"],
)
def test_a_stream_needs_our_origin(novnc: Path, origin: str | None) -> None:
    async def work(service: Service) -> None:
        async with service.client() as client, echoing(novnc.parent / "main.vnc"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await client.ws_connect(
                    f"{service.base}/ws/main", origin=origin and origin.format(port=service.port)
                )
            assert caught.value.status == 403

    serve(novnc, work)


def test_a_stream_carries_bytes_both_ways(novnc: Path) -> None:
    async def work(service: Service) -> None:
        async with service.client() as client, echoing(novnc.parent / "main.vnc"):
            stream = await client.ws_connect(
                f"{service.base}/ws/main", origin=service.base, max_msg_size=0
            )
            assert await stream.receive_bytes() == b"RFB 003.008\n"
            data = bytes(range(256)) * 2000
            await stream.send_bytes(data)
            got = b""
            while len(got) < len(data):
                got += await stream.receive_bytes()
            assert got == data
            await stream.send_bytes(b"die")
            end = await stream.receive()
            assert end.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)

    serve(novnc, work)


def test_a_stream_ends_at_text_and_at_huge_messages(novnc: Path) -> None:
    async def work(service: Service) -> None:
        async with service.client() as client, echoing(novnc.parent / "main.vnc"):
            for send in ("text", bytes(MAX_MESSAGE + 1)):
                stream = await client.ws_connect(f"{service.base}/ws/main", origin=service.base)
                await stream.receive_bytes()
                await (stream.send_str(send) if isinstance(send, str) else stream.send_bytes(send))
                message = await stream.receive()
                assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)

    serve(novnc, work)


def test_no_stream_where_there_is_no_picture(novnc: Path) -> None:
    async def work(service: Service) -> None:
        async with service.client() as client:
            # "main" counts as live here, but nothing listens on its socket.
            for name, status in (("cold", 503), ("off", 503), ("main", 503), ("nobody", 404)):
                with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                    await client.ws_connect(f"{service.base}/ws/{name}", origin=service.base)
                assert caught.value.status == status, name

    serve(novnc, work)


def test_novnc_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(statics.NoVncMissing, match="holds no noVNC") as caught:
        statics.load(tmp_path)
    assert "make setup" in (caught.value.hint or "")
