"""Sentences that address a language model, as the guardrails know them, disguised ones too. The
document is indexed all the same; who shows its text to a model knows of them."""

from ingestion.validation.checking import Check, Finding
from ingestion.validation.policy import Objection
from ingestion.validation.reasons import Reason
from ingestion.validation.subjects import TextSubject
from rag.guardrails.readings import readings
from rag.guardrails.rules import rule_hits
from rag.storage.verdicts.records import Result


def instructions(text: TextSubject) -> Finding | None:
    counts: dict[str, int] = {}
    for piece in text.pieces:
        found: dict[str, int] = {}
        for reading in readings(piece):
            # Every reading is of the same text: what two of them hold is counted once.
            for kind, count in rule_hits(reading.text).items():
                found[kind] = max(found.get(kind, 0), count)
        for kind, count in found.items():
            counts[kind] = counts.get(kind, 0) + count
    if not counts:
        return None
    quarantines = text.policy.instructions is Objection.QUARANTINE
    return Finding(
        reason=Reason.INSTRUCTIONS,
        detail=", ".join(f"{name}: {count}" for name, count in sorted(counts.items())),
        result=Result.QUARANTINED if quarantines else Result.WARNED,
        counts=counts,
    )


CHECKS = (Check(name="instructions", version=2, run=instructions),)
