"""The stream applications' own modules, as their processes import them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "scenarios"))
