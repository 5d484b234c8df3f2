"""The offline default: it answers by quoting the evidence, and abstains where nothing answers."""

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from rag.adapters.relevance import Judged, StatementRanker
from rag.adapters.table_answers import row_answer
from rag.protocols import Completion, GroundedPrompt
from rag.statements import Statement
from rag.terms import content_words, numbers_of
from rag.types import Usage

_MARKUP = re.compile(r"^(?:[-*+•–]\s+|#{1,6}\s+|>\s+)|\*\*|__|`")
_SENTENCES = 3
_SAME_WORDS = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractiveLanguageModel:
    """One to three statements of the evidence, word for word, each with its marker.

    It says nothing, and so has the question refused, where no statement is likely enough to
    answer. Its confidence is the probability that the first statement answers.
    """

    ranker: StatementRanker
    answers_from: float = 0.13
    """The least probability of the first statement; tests/benchmarks/fit_abstention.py chose it."""
    adds_from: float = 0.6
    """The least probability, as a share of the first's, of a further one."""

    @property
    def name(self) -> str:
        return "extractive"

    async def stream(self, prompt: GroundedPrompt) -> AsyncGenerator[str | Completion]:
        ranked = await self.ranker.rank(prompt.question, prompt.evidence)
        chosen = self._chosen(ranked)
        for at, judged in enumerate(chosen):
            said = said_of(prompt.question, judged.statement)
            yield f"{' ' if at else ''}{said} [{judged.statement.number}]\n"
        yield Completion(
            model=self.name,
            usage=Usage(),
            finish_reason="stop",
            confidence=chosen[0].probability if chosen else None,
        )

    async def aclose(self) -> None:
        """Nothing is held."""

    def _chosen(self, ranked: Sequence[Judged]) -> list[Judged]:
        """The best statement, and up to two that say what of the question it leaves out."""
        if not ranked or ranked[0].probability < self.answers_from:
            return []
        chosen = [ranked[0]]
        least = max(self.answers_from, self.adds_from * ranked[0].probability)
        for judged in ranked[1:]:
            if len(chosen) == _SENTENCES or judged.probability < least:
                break
            covered = frozenset[str]().union(*(each.covers for each in chosen))
            adds = bool(judged.covers - covered)
            if adds and not any(_repeats(judged, each) for each in chosen):
                chosen.append(judged)
        return chosen


def said_of(question: str, statement: Statement) -> str:
    """The statement as it is read out: a row with its columns' names, prose without its markup."""
    if statement.row is not None:
        return row_answer(question, statement.row)
    text = _MARKUP.sub("", " ".join(statement.text.split()))
    return text if text.endswith((".", "!", "?", "…", ":", ";")) else f"{text}."


def _repeats(one: Judged, other: Judged) -> bool:
    words, others = (set(content_words(each.statement.text)) for each in (one, other))
    same = len(words & others) / max(1, len(words | others))
    return same >= _SAME_WORDS and numbers_of(one.statement.text) == numbers_of(
        other.statement.text
    )
