"""Fixtures for all tests; also puts this directory on the path, for ``livekit``."""

from __future__ import annotations

pytest_plugins = ("livekit.fixtures",)
