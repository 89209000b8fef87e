"""The desktops of running branches in a browser.

``Viewer`` is what the keeper holds.  It starts one process (``python -m tcvs_core.keeper.view``)
that serves the page on loopback and runs one ``wayvnc`` a branch, outside the containers:

    browser -- HTTP, WebSocket --> view process -- Unix socket --> wayvnc -- Wayland --> compositor

Why a process of its own: the keeper never shares its interpreter lock with a stream of pictures,
a crash of the page costs nobody a desktop, and everything that parses what a browser or a
compositor says runs without privileges.  The keeper alone opens the compositors' sockets and hands
over connections (``live/compositor.py``).

A compositor that has a client outside its container cannot be checkpointed.  So the keeper calls
``Viewer.detach`` before a freeze and ``Viewer.attach`` after it.
"""

from tcvs_core.keeper.view.viewer import Viewer, ViewerFailed
from tcvs_core.keeper.view.vnc import DetachFailed, VncFailed, VncServer
from tcvs_core.live.compositor import CompositorUnreachable

__all__ = [
    "CompositorUnreachable",
    "DetachFailed",
    "Viewer",
    "ViewerFailed",
    "VncFailed",
    "VncServer",
]
