"""Whether a text is in a language that the policy allows. How well that is told is the detector's."""

import re
from dataclasses import dataclass
from typing import Protocol

from rag.guardrails.checks import Finding, NotRun, Report, Said, Scanned
from rag.guardrails.policy import Policies

_LETTER = re.compile(r"[^\W\d_]")
_LEAST_LETTERS = 20
"""Fewer do not tell a language: `ok, danke` must not be stopped."""
_SURE = 0.6


class LanguageDetector(Protocol):
    def detect(self, text: str) -> tuple[str, float] | None:
        """ISO 639-1 code and how sure it is, 0 to 1; None where the text does not tell."""
        ...


@dataclass(frozen=True, slots=True)
class LanguageCheck:
    detector: LanguageDetector
    policies: Policies

    @property
    def name(self) -> str:
        return "language"

    def scan(self, scanned: Scanned) -> Said:
        allowed = self.policies.of(scanned.tenant, scanned.use_case).languages
        if not allowed:
            return NotRun("the policy allows every language")
        if len(_LETTER.findall(scanned.text)) < _LEAST_LETTERS:
            return NotRun("the text is too short to tell")
        found = self.detector.detect(scanned.text)
        if found is None:
            return NotRun("the text does not tell its language")
        language, sure = found
        if language in allowed or sure < _SURE:
            return Report(0.0)
        return Report(sure, (Finding(language, sure),))
