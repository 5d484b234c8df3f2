"""The offline default: it answers by quoting the evidence, and abstains where nothing answers."""

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from rag.adapters.answerability import Answerability
from rag.adapters.question import questions_in
from rag.adapters.relevance import Judged
from rag.adapters.table_answers import row_answer
from rag.adapters.wording import Wording
from rag.protocols import Completion, GroundedPrompt
from rag.statements import Statement
from rag.terms import content_words, numbers_of
from rag.types import Evidence, Usage

_MARKUP = re.compile(r"^(?:[-*+•–]\s+|#{1,6}\s+|>\s+)|\*\*|__|`")
_SENTENCES = 3
_SAME_WORDS = 0.7


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

    async def stream(self, prompt: GroundedPrompt) -> AsyncGenerator[str | Completion]:
        sure, chosen = await self._answers(prompt.question, prompt.evidence)
        wording = self.answerability.ranker.wording_of(prompt.question)
        for at, judged in enumerate(chosen):
            said = said_of(wording, judged.statement)
            yield f"{' ' if at else ''}{said} [{judged.statement.number}]\n"
        yield Completion(
            model=self.name,
            usage=Usage(),
            finish_reason="stop",
            confidence=sure if chosen else None,
        )

    async def _answers(
        self, question: str, evidence: Sequence[Evidence]
    ) -> tuple[float, list[Judged]]:
        """How sure the answer is, and what it quotes; of two questions in one, what answers each."""
        parts = questions_in(question)
        found = [await self._answer(part, evidence) for part in parts]
        if len(parts) > 1 and not all(chosen for _, chosen in found):
            found = [await self._answer(question, evidence)]
        quoted = {judged.statement: judged for _, chosen in found for judged in chosen}
        return min(sure for sure, _ in found), list(quoted.values())[:_SENTENCES]

    async def _answer(
        self, question: str, evidence: Sequence[Evidence]
    ) -> tuple[float, list[Judged]]:
        ranked = await self.answerability.ranker.rank(question, evidence)
        sure = self.answerability.probability(question, evidence, ranked)
        return sure, _chosen(ranked, self.adds_from) if sure >= self.answers_from else []

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
