"""``python launch.py RUN ARGS...``: tcvs with another run directory, for who may not write /run."""

from __future__ import annotations

import sys
from pathlib import Path

from tcvs.app import main
from tcvs_core.keeper import place

place.RUN = Path(sys.argv[1])
sys.exit(main(sys.argv[2:]))
