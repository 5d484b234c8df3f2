"""Text that no reader sees: the parsers left it out, and here it is said."""

import re

from ingestion.validation.checking import Check, Finding
from ingestion.validation.reasons import Reason
from ingestion.validation.subjects import TextSubject

_SAID = re.compile(r"(hidden text|hidden characters|invisible characters)[^:]*: (\d+)")
_HARMLESS = "invisible characters"
"""Soft hyphens and the like: nearly every second web page has some."""


def hidden_text(text: TextSubject) -> Finding | None:
    counts: dict[str, int] = {}
    for warning in text.parsed.warnings:
        said = _SAID.match(warning)
        if said is not None and said[1] != _HARMLESS:
            counts["hidden_characters"] = counts.get("hidden_characters", 0) + int(said[2])
    if not counts:
        return None
    return Finding(
        reason=Reason.HIDDEN_TEXT,
        detail=f"{counts['hidden_characters']} characters that no reader sees were left out",
        counts=counts,
    )


CHECKS = (Check(name="hidden_text", version=1, run=hidden_text),)
