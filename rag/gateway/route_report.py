"""What routing costs and brings beside always the cheap model, always the best one, and chance.

From the log alone: nobody asked the other models the same questions. What they would have cost is
worked out from the tokens. What they would have answered is told by questions of like complexity
that did go to them first; where there were none it is unknown, and the report says how much is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import fmean
from typing import Literal

from rag.gateway.catalogue import Catalogue, ModelSpec, Tier
from rag.gateway.route_log import RouteOutcome
from rag.gateway.routing import ANSWERS
from rag.trail import UseCase

Strategy = Literal["routed", "always_cheap", "always_best", "random"]

_BINS = 20
_JUDGED = frozenset({"answered", "no_evidence", "ungrounded", "escalated", "failed"})
"""What tells of a model. A block or an asker who went away does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one strategy does on the questions of the log."""

    strategy: Strategy
    model: str
    """The one it always asks; empty where it asks several."""
    micro_per_question: float | None
    micro_per_answer: float | None
    answered: float | None
    """Share of the questions that end with a grounded answer."""
    known: float
    """Share of the questions that `answered` could be told for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteReport:
    questions: int
    escalated: int
    first: Mapping[str, int]
    """How many questions each model was asked first."""
    strategies: tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class _Question:
    """One question's decisions about its answer, in order."""

    decisions: tuple[RouteOutcome, ...]

    @property
    def band(self) -> int:
        complexity = self.decisions[0].complexity
        return -1 if complexity is None else min(int(complexity * _BINS), _BINS - 1)

    @property
    def by_the_first(self) -> tuple[RouteOutcome, ...]:
        """Until another model was asked: one that invented may be asked again, more strictly."""
        first = self.decisions[0].first
        return tuple(takewhile(lambda decision: decision.first == first, self.decisions))

    @property
    def answered(self) -> bool:
        return self.decisions[-1].outcome == "answered"

    @property
    def cost(self) -> int:
        return sum(each.cost for each in self.decisions)


def report_of(outcomes: Iterable[RouteOutcome], catalogue: Catalogue) -> RouteReport:
    questions = _questions(outcomes)
    first: dict[str, int] = {}
    for each in questions:
        first[each.decisions[0].first] = first.get(each.decisions[0].first, 0) + 1
    strategies: tuple[Standing, ...] = ()
    if questions:
        share = fmean(each.answered for each in questions)
        strategies = (_standing("routed", "", fmean(each.cost for each in questions), share, 1.0),)
        asked = [model for model in catalogue.models if model.tier is not Tier.LAST_RESORT]
        if asked:
            cheap = _always("always_cheap", _lowest(asked), questions)
            best = _always("always_best", _highest(asked), questions)
            strategies += (cheap, best, _random(cheap, best))
    return RouteReport(
        questions=len(questions),
        escalated=sum(len(each.by_the_first) < len(each.decisions) for each in questions),
        first=first,
        strategies=strategies,
    )


def _questions(outcomes: Iterable[RouteOutcome]) -> list[_Question]:
    by_request: dict[tuple[str, str], list[RouteOutcome]] = {}
    for each in outcomes:
        if each.step in ANSWERS and each.use_case is UseCase.ASK:
            by_request.setdefault((each.tenant, each.request), []).append(each)
    ordered = (
        _Question(tuple(sorted(each, key=lambda decision: decision.ordinal)))
        for each in by_request.values()
    )
    return [each for each in ordered if each.decisions[-1].outcome in _JUDGED]


def _always(strategy: Strategy, model: ModelSpec, questions: Sequence[_Question]) -> Standing:
    """`model` for every question: its price for their tokens, its answers from those it got."""
    cost = None
    if (price := model.price) is not None:
        cost = fmean(price.cost(each.decisions[-1].usage) for each in questions)
    right: dict[int, list[bool]] = {}
    for each in questions:
        own = each.by_the_first
        # What another model stood in for tells nothing of this one.
        if own[0].first == model.name and own[0].answered_by in {model.name, ""}:
            right.setdefault(each.band, []).append(own[-1].outcome == "answered")
    rates = [fmean(right[each.band]) for each in questions if each.band in right]
    known = len(rates) / len(questions)
    return _standing(strategy, model.name, cost, fmean(rates) if rates else None, known)


def _random(cheap: Standing, best: Standing) -> Standing:
    """Each of the two for half of the questions."""
    return _standing(
        "random",
        "",
        _mean(cheap.micro_per_question, best.micro_per_question),
        _mean(cheap.answered, best.answered),
        min(cheap.known, best.known),
    )


def _standing(
    strategy: Strategy, model: str, cost: float | None, answered: float | None, known: float
) -> Standing:
    return Standing(
        strategy=strategy,
        model=model,
        micro_per_question=cost,
        micro_per_answer=cost / answered if cost is not None and answered else None,
        answered=answered,
        known=known,
    )


def _mean(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else (one + other) / 2


def _lowest(models: Sequence[ModelSpec]) -> ModelSpec:
    return min(models, key=lambda model: list(Tier).index(model.tier))


def _highest(models: Sequence[ModelSpec]) -> ModelSpec:
    return max(models, key=lambda model: list(Tier).index(model.tier))
