"""The three dialects of actions, good and bad."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tcvs_core.errors import UsageError
from tcvs_core.live.actions import perform
from tcvs_core.live.screen import Screen
from tcvs_core.live.wayland.wire import (
    Disconnected,
)

# Actions.  No desktop is there: whatever is wrong must be found before it is needed.


@pytest.fixture
def nowhere() -> Screen:
    def no_desktop() -> socket.socket:
        raise Disconnected("there is no desktop", operation="connect")

    return Screen(no_desktop)


@pytest.mark.parametrize(
    ("action", "field"),
    [
        ({}, "do"),
        ({"do": "fly"}, "do"),
        ({"do": 3}, "do"),
        ({"action": "left_clik", "coordinate": [1, 2]}, "action"),
        ({"type": "clack"}, "type"),
        ({"do": "click", "x": 1, "y": "2"}, "y"),
        ({"do": "click", "x": True, "y": 2}, "x"),
        ({"do": "click", "x": 1, "y": 2, "colour": "red"}, "colour"),
        ({"do": "move", "x": 1}, "y"),
        ({"do": "move", "x": float("nan"), "y": 1}, "x"),
        ({"do": "click", "x": 1, "y": 1, "button": "thumb"}, "button"),
        ({"do": "type"}, "text"),
        ({"do": "type", "text": "x", "interval_ms": -1}, "interval_ms"),
        ({"do": "wait", "seconds": 1e9}, "seconds"),
        ({"do": "screenshot", "region": [1, 2, 3]}, "region"),
        ({"do": "scroll", "dy": 10_000}, "dx, dy"),
        ({"action": "left_click", "coordinate": [1]}, "coordinate"),
        ({"action": "left_click", "coordinate": "1,2"}, "coordinate"),
        ({"action": "mouse_move"}, "coordinate"),
        ({"action": "type"}, "text"),
        ({"action": "type", "text": ["x"]}, "text"),
        ({"action": "hold_key", "text": "a"}, "duration"),
        ({"action": "hold_key", "text": "a", "duration": "1"}, "duration"),
        ({"action": "scroll", "scroll_direction": "sideways"}, "scroll_direction"),
        (
            {"action": "scroll", "scroll_direction": "up", "scroll_amount": -1},
            "scroll_amount",
        ),
        ({"action": "zoom", "region": [10, 10, 5, 20]}, "region"),
        ({"type": "click", "x": 1}, "y"),
        ({"type": "drag", "path": [{"x": 1, "y": 2}]}, "path"),
        ({"type": "drag", "path": [{"x": 1}, {"x": 2}]}, "path"),
        ({"type": "keypress", "keys": []}, "keys"),
        ({"type": "keypress", "keys": [1]}, "keys"),
        ({"type": "keypress"}, "keys"),
        ({"type": "computer_call", "action": {"type": "type"}}, "text"),
        ({"type": "tool_use", "name": "computer", "input": {"action": "key"}}, "text"),
    ],
)
def test_a_bad_action_names_the_field(nowhere: Screen, action: dict[str, Any], field: str) -> None:
    with pytest.raises(UsageError) as caught:
        perform(nowhere, action)
    assert caught.value.subject == field


@pytest.mark.parametrize("action", [None, "click", [], {1: 2}, {"type": "tool_use"}])
def test_what_is_no_action_is_refused(nowhere: Screen, action: Any) -> None:
    with pytest.raises(UsageError):
        perform(nowhere, action)


@pytest.mark.parametrize(
    "action",
    [
        {"do": "click", "x": 1, "y": 2},
        {"do": "key", "keys": "ctrl+s"},
        {"action": "left_click", "coordinate": [1.0, 2]},
        {"action": "triple_click", "coordinate": [1, 2], "text": "shift"},
        {"action": "key", "text": "ctrl+s"},
        {"action": "screenshot"},
        {"action": "cursor_position"},
        {"action": "left_click_drag", "start_coordinate": [1, 2], "coordinate": [3, 4]},
        {"type": "click", "button": "wheel", "x": 1, "y": 2, "keys": ["CTRL"]},
        {"type": "drag", "path": [[1, 2], {"x": 3, "y": 4}]},
        {"type": "keypress", "keys": ["CTRL", "L"]},
        {"type": "scroll", "x": 1, "y": 1, "scroll_x": 0, "scroll_y": -300},
        {"type": "computer_call", "call_id": "c", "action": {"type": "screenshot"}},
    ],
)
def test_a_good_action_reaches_the_desktop(nowhere: Screen, action: dict[str, Any]) -> None:
    with pytest.raises(Disconnected):
        perform(nowhere, action)


def test_waiting_needs_no_desktop(nowhere: Screen) -> None:
    assert perform(nowhere, {"action": "wait", "duration": 0}) == {"action": "wait"}
    assert perform(nowhere, {"type": "wait", "ms": 0}) == {"action": "wait"}
