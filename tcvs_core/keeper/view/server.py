"""The HTTP side of the viewer: the page, the list of branches, the streams of pictures.

* ``GET /?token=T``: uses up T, sets the cookie, leads to ``/``
* ``GET /``: the page; ``/view.js``, ``/view.css``, ``/novnc/...``: its parts
* ``GET /api/branches``: ``{"branches": [{name, current, state, screen: [w, h] or null,
  generation}]}``
* ``GET /api/events``: the same as server-sent events, at once and after every change
* ``GET /ws/BRANCH``: a WebSocket that carries RFB in binary messages
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
from urllib.parse import quote

from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from tcvs_core.keeper.view.admission import Admission
from tcvs_core.keeper.view.guard import (
    ADMISSION,
    PORT,
    cookie_name,
    guard,
    has_session,
    refused,
    same_origin,
    set_headers,
)
from tcvs_core.keeper.view.screens import Screens
from tcvs_core.keeper.view.statics import StaticFile

#: Largest message that a browser may send; a pasted clipboard is the largest sensible one.
MAX_MESSAGE = 1 << 20
CHUNK = 1 << 16
MAX_STREAMS = 256
#: Seconds between signs of life on a quiet event stream.
HEARTBEAT = 15.0

_STATICS = web.AppKey("statics", dict[str, StaticFile])
_SCREENS = web.AppKey("screens", Screens)
#: How many streams are open.
_STREAMS = web.AppKey("streams", set[web.WebSocketResponse])

# A redirect would keep the initiator of the first request: where the link was clicked in another
# site's page, the browser would hold the Strict cookie back.  A page of our own starts afresh.
_ENTER = """<!doctype html><html lang="en"><meta charset="utf-8"><title>tcvs</title>
<meta http-equiv="refresh" content="0;url={url}"><link rel="icon" href="data:,">
<p><a href="{url}">Go to the viewer</a></html>
"""


def application(
    port: int, admission: Admission, screens: Screens, statics: dict[str, StaticFile]
) -> web.Application:
    """Return the service that listens on ``port`` of 127.0.0.1."""
    app = web.Application(middlewares=[guard], client_max_size=1024)
    app[PORT] = port
    app[ADMISSION] = admission
    app[_SCREENS] = screens
    app[_STATICS] = statics
    app[_STREAMS] = set()
    app.on_response_prepare.append(set_headers)
    app.router.add_get("/", _page)
    app.router.add_get("/api/branches", _branches)
    app.router.add_get("/api/events", _events)
    app.router.add_get("/ws/{branch}", _stream)
    app.router.add_get("/{path:.+}", _static)
    return app


async def _page(request: web.Request) -> web.StreamResponse:
    if "token" in request.query:
        return _enter(request)
    if not has_session(request):
        return refused(request)
    return _answer(request.app[_STATICS]["/index.html"])


def _enter(request: web.Request) -> web.StreamResponse:
    """Exchange the token of ``request`` for a session."""
    admitted = request.app[ADMISSION].exchange(request.query["token"])
    if admitted is None:
        return refused(request)
    session, branches = admitted
    url = "/" if branches is None else "/?show=" + quote(",".join(branches), safe=",")
    response = web.Response(
        text=_ENTER.format(url=html.escape(url, quote=True)), content_type="text/html"
    )
    response.set_cookie(
        cookie_name(request.app[PORT]), session, path="/", httponly=True, samesite="Strict"
    )
    return response


async def _static(request: web.Request) -> web.StreamResponse:
    file = request.app[_STATICS].get(request.path)
    if file is None or request.path == "/index.html":
        raise web.HTTPNotFound
    return _answer(file)


def _answer(file: StaticFile) -> web.Response:
    return web.Response(body=file.body, content_type=file.content_type, charset="utf-8")


async def _branches(request: web.Request) -> web.StreamResponse:
    return web.json_response(request.app[_SCREENS].to_dict())


async def _events(request: web.Request) -> web.StreamResponse:
    screens = request.app[_SCREENS]
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/event-stream"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            version = screens.version
            await response.write(f"data: {json.dumps(screens.to_dict())}\n\n".encode())
            while screens.version == version:
                try:
                    await asyncio.wait_for(screens.wait(version), HEARTBEAT)
                except TimeoutError:
                    await response.write(b": still here\n\n")
    return response


async def _stream(request: web.Request) -> web.StreamResponse:
    if not same_origin(request):
        return web.Response(status=403, text="Only the viewer's own page may connect.\n")
    name = request.match_info["branch"]
    screen = request.app[_SCREENS].by_name.get(name)
    if screen is None:
        raise web.HTTPNotFound
    if screen.state != "live":
        return web.Response(status=503, text=f"{name} is {screen.state}.\n")
    streams = request.app[_STREAMS]
    if len(streams) >= MAX_STREAMS:
        return web.Response(status=503, text="Too many viewers.\n")
    browser = web.WebSocketResponse(max_msg_size=MAX_MESSAGE, compress=False, heartbeat=30.0)
    if not browser.can_prepare(request):
        return web.Response(status=426, text="This is a WebSocket.\n")
    try:
        reader, writer = await asyncio.open_unix_connection(str(screen.server.address))
    except OSError:
        return web.Response(status=503, text=f"{name} cannot be reached.\n")
    streams.add(browser)
    try:
        await browser.prepare(request)
        await _proxy(browser, reader, writer)
    finally:
        streams.discard(browser)
        writer.close()
        await browser.close(code=WSCloseCode.SERVICE_RESTART)
    return browser


async def _proxy(
    browser: web.WebSocketResponse, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Carry bytes both ways until either side ends."""

    async def up() -> None:
        async for message in browser:
            if message.type is not WSMsgType.BINARY:
                return
            writer.write(message.data)
            await writer.drain()

    async def down() -> None:
        while data := await reader.read(CHUNK):
            await browser.send_bytes(data)

    tasks = [asyncio.create_task(up()), asyncio.create_task(down())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        # Either side may vanish at any moment; that is how a stream ends, not an error.
        await asyncio.gather(*tasks, return_exceptions=True)
