"""Whether the evidence answers a question at all.

The probability is a logistic function of the features below, of the question and the evidence as a
whole; `rag.adapters.relevance` judges single statements. Its weights were fitted by
tests/benchmarks/fit_abstention.py, on questions that are not in the golden set.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from rag.adapters.question import Asked
from rag.adapters.relevance import NEVER, Features, Ranking, StatementRanker
from rag.terms import dates_of, numbers_of
from rag.types import Evidence

BIAS = -3.65
WEIGHTS: Features = MappingProxyType(
    {
        "best": 0.153,
        "ahead": 0.289,
        "bm25": 0.025,
        "dense": 1.888,
        "terms": 0.336,
        "terms_said": 1.953,
        "terms_missing": -0.272,
        "names_missing": -0.761,
        "numbers_missing": -0.653,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerability:
    """A `RelevanceGate`: whether it is worth asking a model about the evidence."""

    ranker: StatementRanker
    weights: Features = field(default_factory=lambda: WEIGHTS)
    bias: float = BIAS
    least: float = 0.1
    """The probability below which no model is asked."""

    async def may_answer(self, question: str, evidence: Sequence[Evidence]) -> bool:
        ranked = await self.ranker.rank(question, evidence)
        return self.probability(ranked, evidence) >= self.least

    def probability(self, ranked: Ranking, evidence: Sequence[Evidence]) -> float:
        """That `evidence`, which `ranker` ranked, answers."""
        features = features_of(ranked, evidence)
        if features is None:
            return 0.0
        logit = self.bias + sum(self.weights[name] * value for name, value in features.items())
        return 1 / (1 + math.exp(-logit))


def features_of(ranked: Ranking, evidence: Sequence[Evidence]) -> Features | None:
    """None where nothing can answer: there is no statement, or each is about another code."""
    if not ranked.judged or ranked.judged[0].logit <= NEVER:
        return None
    asked, best = ranked.wording.asked, ranked.judged[0]
    passage = next(each for each in evidence if each.number == best.statement.number)
    text = "\n".join(part.chunk.embedded_text for part in passage.parts)
    said = ranked.wording.said_by(text)
    terms = max(1, len(asked.terms))
    stages = [part.stage_scores for each in evidence for part in each.parts]
    return {
        "best": best.logit,
        "ahead": best.logit - ranked.judged[1].logit if len(ranked.judged) > 1 else 0.0,
        "bm25": max(stage.get("sparse", 0.0) for stage in stages),
        "dense": max(stage.get("dense", 0.0) for stage in stages),
        "terms": float(len(asked.terms)),
        "terms_said": sum(said.values()) / terms,
        "terms_missing": float(len(asked.terms - said.keys())),
        "names_missing": float(len(asked.names - said.keys())),
        "numbers_missing": float(_numbers_missing(asked, text)),
    }


def _numbers_missing(asked: Asked, text: str) -> int:
    numbers, dates = numbers_of(text), dates_of(text)
    return sum(not any(one & other for other in numbers) for one in asked.numbers) + sum(
        not any(one.agrees_with(other) for other in dates) for one in asked.dates
    )
