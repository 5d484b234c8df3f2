"""Imported for what it does: the repository's root on the path, so that `tests.…` is found."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
