"""Billing's own modules, as its processes import them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "scenarios"))
