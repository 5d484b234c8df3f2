"""Passages before a model sees them: hostile ones are left out or quoted without their hostile
sentences, and those that are too confidential stay out."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rag.guardrails.checks import Check, Scanned
from rag.guardrails.judging import Judged, judge_all, worse
from rag.guardrails.policy import Action, Passages, Policy
from rag.sentences import split_sentences
from rag.trail import GuardVerdict, Standing
from rag.types import Evidence, RetrievedChunk

CLASSIFICATION = "classification"
"""The check's name in verdicts; it needs no `Check`, for it reads metadata alone."""
_STANDINGS: Mapping[Action, Standing] = {
    Action.ALLOW: "passed",
    Action.FLAG: "flagged",
    Action.MASK: "masked",
    Action.BLOCK: "blocked",
}


@dataclass(frozen=True, slots=True)
class Isolated:
    """What may be sent, numbered anew from 1, and what may not."""

    kept: tuple[Evidence, ...]
    dropped: tuple[Evidence, ...]
    classification: str
    """The most confidential level of what is kept; empty where nothing is."""


async def isolate(
    evidence: Sequence[Evidence],
    scanned: Scanned,
    *,
    checks: Mapping[str, Check],
    policy: Policy,
) -> tuple[Isolated, tuple[GuardVerdict, ...]]:
    """`scanned` says who asks and what; its text is not read. One verdict a check, the severest of
    all passages."""
    verdicts: dict[str, GuardVerdict] = {}
    kept: list[Evidence] = []
    dropped: list[Evidence] = []
    levels: list[str] = []
    classification = policy.classification
    judged = await asyncio.gather(
        *(_judged(passage.text, scanned, checks, policy) for passage in evidence)
    )
    for passage, said in zip(evidence, judged, strict=True):
        level = max((level_of(part, policy) for part in passage.parts or (passage.hit,)), key=classification.rank_of)  # fmt: skip
        action = classification.action_on(level)
        _note(verdicts, [_classified(level, action, policy), *(each.verdict for each in said)])
        left: Evidence | None = passage
        if action is Action.BLOCK and not policy.dry_run:
            left = None
        elif any(each.stops for each in said):
            quotes = policy.passages is Passages.QUOTE
            left = await _quoted(passage, scanned, checks, policy) if quotes else None
        if left is None:
            dropped.append(passage)
        else:
            kept.append(replace(left, number=len(kept) + 1))
            levels.append(level)
    most = max(levels, key=classification.rank_of, default="")
    return Isolated(tuple(kept), tuple(dropped), most), tuple(verdicts.values())


def level_of(chunk: RetrievedChunk, policy: Policy) -> str:
    return policy.classification.level_of(chunk.metadata.get("access_level"))


async def _judged(
    text: str, scanned: Scanned, checks: Mapping[str, Check], policy: Policy
) -> tuple[Judged, ...]:
    return await judge_all(
        checks,
        replace(scanned, text=text, direction="evidence"),
        policy=policy,
        rules=policy.evidence,
    )


async def _quoted(
    passage: Evidence, scanned: Scanned, checks: Mapping[str, Check], policy: Policy
) -> Evidence | None:
    """`passage` with its hostile sentences blanked; None where it is still hostile, or empty."""
    hostile: list[str] = []
    for text in (passage.text, *(part.chunk.text for part in passage.parts)):
        for span in split_sentences(text):
            sentence = text[span.start : span.end]
            judged = await _judged(sentence, scanned, checks, policy)
            if any(each.stops for each in judged) and sentence not in hostile:
                hostile.append(sentence)
    text = _blanked(passage.text, hostile)
    if not text.strip() or any(each.stops for each in await _judged(text, scanned, checks, policy)):
        return None
    parts = tuple(
        replace(part, chunk=replace(part.chunk, text=_blanked(part.chunk.text, hostile)))
        for part in passage.parts
    )
    return replace(passage, text=text, parts=parts)


def _blanked(text: str, sentences: Sequence[str]) -> str:
    """Every place keeps its number: citations say where in a chunk their words stand."""
    for sentence in sentences:
        text = text.replace(sentence, " " * len(sentence))
    return text


def _classified(level: str, action: Action, policy: Policy) -> GuardVerdict:
    return GuardVerdict(
        check=CLASSIFICATION,
        direction="evidence",
        standing=_STANDINGS[action],
        score=0.0 if action is Action.ALLOW else 1.0,
        kinds=() if action is Action.ALLOW else (level,),
        dry_run=policy.dry_run,
        policy=policy.version,
    )


def _note(verdicts: dict[str, GuardVerdict], said: Sequence[GuardVerdict]) -> None:
    for verdict in said:
        known = verdicts.get(verdict.check)
        verdicts[verdict.check] = verdict if known is None else worse(known, verdict)
