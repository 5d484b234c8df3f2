"""How long a text may be, and control characters that nobody types.

Both are counted, not guessed: there is no rate to measure.
"""

import re
from dataclasses import dataclass

from rag.guardrails.checks import Finding, Report, Said, Scanned
from rag.guardrails.policy import Policies
from rag.types import Span

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_SMUGGLED = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0001-\U000e007f]")
"""Overrides of the reading direction, and tag characters: never there by accident."""
_MOST_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class LengthCheck:
    policies: Policies

    @property
    def name(self) -> str:
        return "length"

    def scan(self, scanned: Scanned) -> Said:
        most = self.policies.of(scanned.tenant, scanned.use_case).max_characters
        found = [Finding("too_long", 1.0)] if len(scanned.text) > most else []
        for kind, pattern in (("control", _CONTROL), ("smuggled", _SMUGGLED)):
            if kind == "smuggled" and scanned.text.isascii():
                continue
            for match in pattern.finditer(scanned.text):
                if len(found) == _MOST_FINDINGS:
                    break
                found.append(Finding(kind, 1.0, Span(match.start(), match.end())))
        return Report(1.0 if found else 0.0, tuple(found))
