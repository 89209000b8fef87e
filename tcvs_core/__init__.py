"""The library behind ``tcvs``: version control for whole running desktops.

The rooms and who may import whom are listed in ``docs/ARCHITECTURE.md`` and held by
``tests/unit/test_layering.py``.  Nothing here reads the environment, writes to a terminal or
knows a home directory: callers pass what is needed.
"""

__version__ = "0.1.0"
