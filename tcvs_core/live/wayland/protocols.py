"""The interfaces spoken, as data: names and signatures, the opcode is the position.

``wire`` explains the letters.  ``>interface`` after a signature is the interface of the object
that the message makes.  Only a prefix of each list is needed: requests that are never sent are
listed as far as a later one is used, events as far as the version bound can send them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """A request or event."""

    name: str
    opcode: int
    signature: str
    creates: str | None


@dataclass(frozen=True)
class Interface:
    """An interface at the highest version spoken here."""

    name: str
    version: int
    requests: dict[str, Message]
    events: tuple[Message, ...]
    errors: tuple[str, ...]


def _messages(text: str) -> tuple[Message, ...]:
    found = []
    for opcode, item in enumerate(text.split()):
        name, _, rest = item.partition(":")
        signature, _, creates = rest.partition(">")
        found.append(Message(name, opcode, signature, creates or None))
    return tuple(found)


def _interface(name: str, version: int, requests: str, events: str, errors: str = "") -> Interface:
    return Interface(
        name,
        version,
        {message.name: message for message in _messages(requests)},
        _messages(events),
        tuple(errors.split()),
    )


_ALL = (
    _interface(
        "wl_display",
        1,
        "sync:n>wl_callback get_registry:n>wl_registry",
        "error:ous delete_id:u",
        "invalid_object invalid_method no_memory implementation",
    ),
    # The new object of ``bind`` carries its interface and version before its id.
    _interface("wl_registry", 1, "bind:usun", "global:usu global_remove:u"),
    _interface("wl_callback", 1, "", "done:u"),
    _interface(
        "wl_shm",
        1,
        "create_pool:nhi>wl_shm_pool",
        "format:u",
        "invalid_format invalid_stride invalid_fd",
    ),
    _interface("wl_shm_pool", 1, "create_buffer:niiiiu>wl_buffer destroy: resize:i", ""),
    _interface("wl_buffer", 1, "destroy:", "release:"),
    _interface(
        "wl_seat",
        5,
        "get_pointer:n get_keyboard:n>wl_keyboard get_touch:n release:",
        "capabilities:u name:s",
        "missing_capability",
    ),
    _interface(
        "wl_keyboard",
        5,
        "release:",
        "keymap:uhu enter:uoa leave:uo key:uuuu modifiers:uuuuu repeat_info:ii",
    ),
    _interface(
        "wl_output",
        4,
        "release:",
        "geometry:iiiiissi mode:uiii done: scale:i name:s description:s",
    ),
    _interface(
        "zwlr_screencopy_manager_v1",
        3,
        "capture_output:nio>zwlr_screencopy_frame_v1 "
        "capture_output_region:nioiiii>zwlr_screencopy_frame_v1 destroy:",
        "",
    ),
    _interface(
        "zwlr_screencopy_frame_v1",
        3,
        "copy:o destroy: copy_with_damage:o",
        "buffer:uuuu flags:u ready:uuu failed: damage:uuuu linux_dmabuf:uuu buffer_done:",
        "already_used invalid_buffer",
    ),
    _interface(
        "zwlr_virtual_pointer_manager_v1",
        2,
        "create_virtual_pointer:On>zwlr_virtual_pointer_v1 destroy: "
        "create_virtual_pointer_with_output:OOn>zwlr_virtual_pointer_v1",
        "",
    ),
    _interface(
        "zwlr_virtual_pointer_v1",
        2,
        "motion:uff motion_absolute:uuuuu button:uuu axis:uuf frame: axis_source:u "
        "axis_stop:uu axis_discrete:uufi destroy:",
        "",
        "invalid_axis invalid_axis_source",
    ),
    _interface(
        "zwp_virtual_keyboard_manager_v1",
        1,
        "create_virtual_keyboard:on>zwp_virtual_keyboard_v1",
        "",
        "unauthorized",
    ),
    _interface(
        "zwp_virtual_keyboard_v1",
        1,
        "keymap:uhu key:uuu modifiers:uuuu destroy:",
        "",
        "no_keymap",
    ),
    _interface(
        "zwlr_data_control_manager_v1",
        2,
        "create_data_source:n>zwlr_data_control_source_v1 "
        "get_data_device:no>zwlr_data_control_device_v1 destroy:",
        "",
    ),
    _interface(
        "zwlr_data_control_device_v1",
        2,
        "set_selection:O destroy: set_primary_selection:O",
        "data_offer:n>zwlr_data_control_offer_v1 selection:O finished: primary_selection:O",
        "unused used_source",
    ),
    _interface(
        "zwlr_data_control_source_v1",
        1,
        "offer:s destroy:",
        "send:sh cancelled:",
        "unused invalid_offer",
    ),
    _interface("zwlr_data_control_offer_v1", 1, "receive:sh destroy:", "offer:s"),
    _interface(
        "zwlr_foreign_toplevel_manager_v1",
        3,
        "stop:",
        "toplevel:n>zwlr_foreign_toplevel_handle_v1 finished:",
    ),
    _interface(
        "zwlr_foreign_toplevel_handle_v1",
        3,
        "set_maximized: unset_maximized: set_minimized: unset_minimized: activate:o close: "
        "set_rectangle:oiiii destroy: set_fullscreen:O unset_fullscreen:",
        "title:s app_id:s output_enter:o output_leave:o state:a done: closed: parent:O",
        "invalid_rectangle",
    ),
)

INTERFACES: dict[str, Interface] = {interface.name: interface for interface in _ALL}
