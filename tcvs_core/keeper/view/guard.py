"""The checks that every request passes, and the headers that every answer carries.

The service listens on loopback, where every local user and every web page in the user's browser
can send requests.  Against them:

* ``Host`` must name this very service: a page that rebinds its own DNS name to 127.0.0.1 does not.
* All but the page that takes a token need the session cookie: HttpOnly, SameSite=Strict, and named
  by the port, since cookies are shared by all ports of a host.
* A WebSocket must say an ``Origin`` that is this service.  SameSite ignores ports, so another
  service on loopback would get past the cookie alone.  The same holds for ``Sec-Fetch-Site``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from tcvs_core.keeper.view.admission import Admission

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ADMISSION = web.AppKey("admission", Admission)
PORT = web.AppKey("port", int)

_NAMES = ("127.0.0.1", "localhost")

_USED = """<!doctype html><html lang="en"><meta charset="utf-8"><title>tcvs: link not valid</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/view.css">
<body class="notice"><main><h1>This link is not valid</h1>
<p>A link to the viewer works once and for ten minutes.
<p>For a new one, run <code>tcvs view</code>.{more}</main></html>
"""
_MORE = '<p>This browser has the viewer open: <a href="/">go on there</a>.'


def cookie_name(port: int) -> str:
    """Return the name of the session cookie of the service on ``port``."""
    return f"tcvs-view-{port}"


def refused(request: web.Request) -> web.Response:
    """Return the answer to whoever has neither a good token nor a session."""
    text = _USED.format(more=_MORE if has_session(request) else "")
    return web.Response(status=403, text=text, content_type="text/html")


def has_session(request: web.Request) -> bool:
    """Say whether ``request`` carries the cookie of an open session."""
    cookie = request.cookies.get(cookie_name(request.app[PORT]))
    return request.app[ADMISSION].admits(cookie)


def same_origin(request: web.Request) -> bool:
    """Say whether the browser says that this service's own page sends ``request``."""
    port = request.app[PORT]
    return request.headers.get(hdrs.ORIGIN) in {f"http://{name}:{port}" for name in _NAMES}


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what is not from our own page in a browser with a session."""
    if request.headers.getall(hdrs.HOST, []) not in _hosts(request.app[PORT]):
        return web.Response(status=421, text="This is not the host that was asked for.\n")
    if request.path in ("/", "/view.css"):
        return await handler(request)
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return web.Response(status=403, text="Only the viewer's own page may ask for this.\n")
    if not has_session(request):
        return refused(request)
    return await handler(request)


def _hosts(port: int) -> list[list[str]]:
    return [[f"{name}:{port}"] for name in _NAMES]


async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that keep the page's contents to itself."""
    port = request.app[PORT]
    sockets = " ".join(f"ws://{name}:{port}" for name in _NAMES)
    response.headers.update(
        {
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: "
                f"blob:; connect-src 'self' {sockets}; base-uri 'none'; form-action 'none'; "
                "frame-ancestors 'none'"
            ),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
    )
