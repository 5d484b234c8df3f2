"""The public data sets that some measurements need: beside the repository, never in it."""

import sys
from pathlib import Path

SHARED = Path(__file__).parents[3] / "shared" / "data"
SCIFACT = SHARED / "scifact"
GUARDRAILS = SHARED / "guardrails"
CLAPNQ = SHARED / "grounding"


def is_here(folder: Path) -> bool:
    """Whether there is something to measure on; says so where there is not."""
    if folder.is_dir():
        return True
    print(f"not measured: {folder} is not there", file=sys.stderr)
    return False
