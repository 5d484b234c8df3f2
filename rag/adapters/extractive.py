"""The offline default: it answers by quoting the evidence, and abstains where nothing answers."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from rag.adapters.answerability import Answerability
from rag.adapters.question import questions_in
from rag.adapters.relevance import Judged
from rag.adapters.table_answers import row_answer
from rag.adapters.wording import Wording
from rag.protocols import Completion, ModelPrompt
from rag.statements import Statement
from rag.terms import content_words, numbers_of
from rag.types import Evidence, Usage

_MARKUP = re.compile(r"^(?:[-*+•–]\s+|#{1,6}\s+|>\s+)|\*\*|__|`")
_SENTENCES = 3
_SAME_WORDS = 0.7


@dataclass(frozen=True, slots=True)
class _Found:
    wording: Wording
    """Of the question that `quotes` are read out for."""
    sure: float
    """The probability that the evidence answers."""
    quotes: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractiveLanguageModel:
    """One to three statements of the evidence, word for word, each with its marker.

    It says nothing, and so has the question refused, where the evidence is not likely enough to
    answer. Its confidence is the probability that it does.
    """

    answerability: Answerability
    answers_from: float = 0.45
    """The least probability that the evidence answers; tests/benchmarks/fit_abstention.py chose it."""
    adds_from: float = 0.6
    """The least probability, as a share of the first's, of a further one."""

    @property
    def name(self) -> str:
        return "extractive"

    async def stream(self, prompt: ModelPrompt) -> AsyncGenerator[str | Completion]:
        found = await self._answers(prompt.question, prompt.evidence)
        for at, statement in enumerate(found.quotes):
            said = said_of(found.wording, statement)
            yield f"{' ' if at else ''}{said} [{statement.number}]\n"
        yield Completion(
            model=self.name,
            usage=Usage(),
            finish_reason="stop",
            confidence=found.sure if found.quotes else None,
        )

    async def _answers(self, question: str, evidence: Sequence[Evidence]) -> "_Found":
        """What answers `question`; of two questions in one, what answers each."""
        parts = questions_in(question)
        if len(parts) > 1:
            found = [await self._answer(part, evidence) for part in parts]
            if all(each.quotes for each in found):
                quoted = dict.fromkeys(quote for each in found for quote in each.quotes)
                # Read out for the whole question: one row may have to answer both.
                wording = await asyncio.to_thread(self.answerability.ranker.wording_of, question)
                return _Found(wording, min(each.sure for each in found), tuple(quoted)[:_SENTENCES])
        return await self._answer(question, evidence)

    async def _answer(self, question: str, evidence: Sequence[Evidence]) -> "_Found":
        ranked = await self.answerability.ranker.rank(question, evidence)
        sure = self.answerability.probability(ranked, evidence)
        chosen = _chosen(ranked.judged, self.adds_from) if sure >= self.answers_from else []
        return _Found(ranked.wording, sure, tuple(judged.statement for judged in chosen))

    async def aclose(self) -> None:
        """Nothing is held."""


def _chosen(ranked: Sequence[Judged], adds_from: float) -> list[Judged]:
    """The best statement, and up to two that say what of the question it leaves out."""
    chosen = list(ranked[:1])
    for judged in ranked[1:]:
        if len(chosen) == _SENTENCES or judged.probability < adds_from * chosen[0].probability:
            break
        covered = frozenset[str]().union(*(each.covers for each in chosen))
        adds = bool(judged.covers - covered)
        if adds and not any(_repeats(judged, each) for each in chosen):
            chosen.append(judged)
    return chosen


def said_of(asked_for: Wording, statement: Statement) -> str:
    """The statement as it is read out: a row with its columns' names, prose without its markup."""
    if statement.row is not None:
        return row_answer(asked_for, statement.row)
    text = _MARKUP.sub("", " ".join(statement.text.split()))
    return text if text.endswith((".", "!", "?", "…", ":", ";")) else f"{text}."


def _repeats(one: Judged, other: Judged) -> bool:
    words, others = (set(content_words(each.statement.text)) for each in (one, other))
    same = len(words & others) / max(1, len(words | others))
    return same >= _SAME_WORDS and numbers_of(one.statement.text) == numbers_of(
        other.statement.text
    )
