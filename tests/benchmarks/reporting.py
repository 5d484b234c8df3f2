"""How a measurement tells what it does, and what it found."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_EVERY = 500


def told(doing: str, done: int, of: int) -> None:
    """Progress, on standard error: each thing that has no parts, and every so many parts."""
    if of == 0 or done % _EVERY == 0:
        print(doing, done or "", file=sys.stderr, flush=True)


def report(figures: Mapping[str, Any], out: Path | None) -> None:
    """Show `figures` as JSON, and write them to `out` where one was named."""
    text = json.dumps(figures, indent=2)
    print(text)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
