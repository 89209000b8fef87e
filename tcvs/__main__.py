"""``python -m tcvs``."""

from __future__ import annotations

import sys

from tcvs.app import main

if __name__ == "__main__":
    sys.exit(main())
