"""A small Wayland client of its own, in pure Python: what a screen needs and no more.

======================  ==================================================================
``wire``                bytes of the protocol, both ways; the errors
``protocols``           the interfaces spoken, as data
``connection``          one socket, its objects and the thread that reads it
``globals``             what the compositor offers: registry, seat, outputs
``screencopy``          pictures of the screen, ``picture`` holds and encodes them
``pointer``             mouse
``keymap``, ``keys``    the keymap text, and the names of keys
``keyboard``            keyboard
``clipboard``           text of the selection
``toplevels``           windows
======================  ==================================================================

The compositor is a process *inside* a workspace, so it is not trusted: every size is checked,
every wait has an end, and shared memory is sealed against shrinking.
"""
