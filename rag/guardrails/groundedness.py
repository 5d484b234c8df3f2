"""How much of an answer the evidence carries: the check `groundedness`, for a whole answer.

Sentences are checked one by one before they are released (rag/citation.py). This one looks at what
was not made here, such as another team's chat with documents of its own, and again at an answer as
a whole. Its rates are those of the grounding check, which tests/benchmarks/bench_corruptions.py
measures: docs/answers.md has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rag.citation import sentence_of
from rag.grounding import SUPPORTED, GroundingCheck
from rag.guardrails.checks import Finding, NotRun, Report, Scanned
from rag.prompts.registry import NO_ANSWER
from rag.sentences import split_sentences
from rag.statements import Statement, statements_of
from rag.types import Evidence, Span


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the evidence does for one sentence of an answer."""

    span: Span
    score: float
    disagreement: str | None


@dataclass(frozen=True, slots=True)
class Groundedness:
    """What the evidence does for an answer."""

    sentences: tuple[Judgement, ...]

    @property
    def score(self) -> float:
        """The share of the answer's characters that stand in supported sentences; 1 of nothing."""
        weights = [each.span.end - each.span.start for each in self.sentences]
        carried = sum(
            weight
            for weight, each in zip(weights, self.sentences, strict=True)
            if each.disagreement is None
        )
        return carried / sum(weights) if weights else 1.0


async def groundedness_of(
    text: str, evidence: Sequence[Evidence], check: GroundingCheck
) -> Groundedness:
    """Each sentence of `text` against everything that was shown. Markers are not looked at."""
    statements = statements_of(evidence)
    check = check.for_one_answer()
    judged: list[Judgement] = []
    for span in split_sentences(text):
        said = sentence_of(text[span.start : span.end]).text
        if not said or said.strip(" .*\"'").upper().startswith(NO_ANSWER):
            continue
        judged.append(await _judged(span, said, statements, check))
    return Groundedness(tuple(judged))


async def _judged(
    span: Span, said: str, statements: Sequence[Statement], check: GroundingCheck
) -> Judgement:
    support = await check.support(said, statements)
    if support is None:
        return Judgement(span, 0.0, "words")
    supported = support.disagreement is None and support.score >= SUPPORTED
    return Judgement(span, support.score, None if supported else support.disagreement or "words")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundednessCheck:
    """Finds the sentences that the evidence does not carry, by why: `words`, `numbers`, `units`,
    `names`, `negation`. Its score is the share of the answer that is not carried."""

    grounding: GroundingCheck

    @property
    def name(self) -> str:
        return "groundedness"

    async def scan(self, scanned: Scanned) -> Report | NotRun:
        if not scanned.evidence:
            return NotRun("there is no evidence to compare with")
        judged = await groundedness_of(scanned.text, scanned.evidence, self.grounding)
        if not judged.sentences:
            return NotRun("it says nothing")
        findings = tuple(
            Finding(each.disagreement, 1.0 - each.score, each.span)
            for each in judged.sentences
            if each.disagreement is not None
        )
        return Report(1.0 - judged.score, findings)
