"""Prompt injection and jailbreaks: a text that tells the model what to do instead of asking something.

The text is read as it may be meant to be read (`readings`), by patterns (`rules`) and by a linear
classifier (`linear`). Measured where a whole public corpus was left out of the fit, mostly .8 to .97 of
its attacks at .01 of harmless texts, .5 of the terse and of those in other languages; of 150 attacks
written by hand .51 at .06 of 150 look-alikes. docs/guardrails.md has it by source and family.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from rag.guardrails.checks import Finding, NotRun, Report, Said, Scanned
from rag.guardrails.linear import LinearModel
from rag.guardrails.readings import readings
from rag.guardrails.rules import rule_hits

AT_ONCE_CHARACTERS = 3_000
"""A longer text is looked through in a thread."""
MOST_CHARACTERS = 400_000
"""A longer text is not looked through at all: a part of it would prove nothing of the rest."""
PASSAGE_MARGIN = 3.0
"""How far over the threshold a passage must be. Documents are long, and full of orders to people:
what a question may not say is ordinary there."""
_BY_RULE = 0.95
_WORTH_TELLING = 0.3
WORDING = "wording"
"""The kind of what the classifier finds."""
_HIDDEN = 0.1
"""What a disguise adds: who hides an instruction means it."""


@dataclass(frozen=True, slots=True)
class InjectionCheck:
    """A `Check`. `load_linear("injection")` is its classifier."""

    model: LinearModel

    @property
    def name(self) -> str:
        return "injection"

    def scan(self, scanned: Scanned) -> Said | Coroutine[Any, Any, Said]:
        if len(scanned.text) > MOST_CHARACTERS:
            return NotRun("the text is too long to be looked through")
        above = PASSAGE_MARGIN if scanned.direction == "evidence" else 0.0
        if len(scanned.text) <= AT_ONCE_CHARACTERS:
            return self.look(scanned.text, above=above)
        return asyncio.to_thread(self.look, scanned.text, above=above)

    def look(self, text: str, *, above: float = 0.0) -> Report:
        """What is found in any reading of `text`; kinds are those of the rules, `wording` for the
        classifier, and `hidden:…` where it was disguised. The classifier must be `above` over its
        threshold."""
        kinds: dict[str, float] = {}
        for reading in readings(text):
            score = self.model.score(reading.text, above=above)
            found = dict.fromkeys(rule_hits(reading.text), _BY_RULE)
            if reading.how == "none":
                found[WORDING] = score
            elif found or score >= 0.5:
                found[f"hidden:{reading.how}"] = min(1.0, max([score, *found.values()]) + _HIDDEN)
            for kind, each in found.items():
                kinds[kind] = max(kinds.get(kind, 0.0), each)
        findings = tuple(
            Finding(kind, score) for kind, score in kinds.items() if score >= _WORTH_TELLING
        )
        return Report(max(kinds.values(), default=0.0), findings)
