"""Engines: ways to freeze, capture, restore and fork a running container."""
