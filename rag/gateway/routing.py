"""Which models a call may go to, in which order, and why.

`Router.route` reads from top to bottom: policy, the model that was named, rules, quality,
complexity, and what has been tried. Only operators, apps with a key and rollouts name models: the
text of a question or a document decides nothing here but how hard the question looks.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rag.access import TenantId
from rag.errors import PolicyForbids
from rag.gateway.calls import Lane, ModelCall, RetrievalSignals
from rag.gateway.catalogue import Catalogue, ModelSpec, Tier
from rag.gateway.policy import Policies, permitted
from rag.trail import RouteDecision, UseCase
from rag.types import Quality

_RANK = {Tier.CHEAP: 0, Tier.STANDARD: 1, Tier.PREMIUM: 2}
_CLIMB = tuple(_RANK)
_TIER_OF_QUALITY: Mapping[Quality, Tier] = {
    "fast": Tier.CHEAP,
    "balanced": Tier.STANDARD,
    "best": Tier.PREMIUM,
}
"""Where nothing else says it; a balanced answer is asked how hard it is."""
ANSWER, ANSWER_STRICT = "answer", "answer-strict"
"""The step whose model writes what the asker reads; the one after a model that invented."""
ANSWERS = frozenset({ANSWER, ANSWER_STRICT})
"""A judge's attempts, and those of a rewriting, say nothing of the answer."""

Complexity = Callable[[str, RetrievalSignals | None], float]
"""How hard a question is with what was found for it: 0 easy to 1 hard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What to try, in this order. A model's `deployments` are those that may see this call."""

    models: tuple[ModelSpec, ...]
    tier: str
    """Of the first model."""
    reasons: tuple[str, ...]
    complexity: float | None = None
    """0 easy to 1 hard, where it was asked."""

    @property
    def trusted(self) -> bool:
        """Whether every deployment that it may reach is the operator's own."""
        return all(each.trusted for model in self.models for each in model.deployments)

    def decision(self, step: str) -> RouteDecision:
        """The route as the trail keeps it."""
        return RouteDecision(
            step=step,
            models=tuple(model.name for model in self.models),
            tier=self.tier,
            reasons=self.reasons,
            complexity=self.complexity,
        )


class Routes(Protocol):
    def route(self, call: ModelCall) -> Route:
        """At least one model, each with at least one deployment. Does no I/O.

        Errors: `PolicyForbids` where no model may be sent this, or the one that was named may
        not; `InvalidRequest` where none is large enough for it.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What an operator settled for some calls. Of several that match, the first counts."""

    name: str
    use_case: UseCase | None = None
    lane: Lane | None = None
    step: str | None = None
    quality: Quality | None = None
    tenant: TenantId | None = None
    tier: Tier | None = None
    """Where the cascade begins."""
    models: tuple[str, ...] = ()
    """These alone, in this order; in place of `tier`."""

    def matches(self, call: ModelCall) -> bool:
        conditions = (
            (self.use_case, call.use_case),
            (self.lane, call.lane),
            (self.step, call.step),
            (self.quality, call.quality),
            (self.tenant, call.account.tenant),
        )
        return all(wanted is None or wanted == given for wanted, given in conditions)


DEFAULT_RULES = (
    Rule(name="enrichment", use_case=UseCase.ENRICH, tier=Tier.CHEAP),
    Rule(name="a question rewritten", step="rewrite", tier=Tier.CHEAP),
    Rule(name="a summary", step="summary", tier=Tier.CHEAP),
    Rule(name="a judgement", step="judge", tier=Tier.CHEAP),
)
"""They come after the operator's own: what nobody reads needs no dear model. An evaluation, which can
wait too, is to measure the models that people get."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From which complexity on a balanced question begins at a dearer model.

    It pays above 1 - cheap price / dear price; below, a second try costs less in the mean.
    """

    standard: float = 0.55
    premium: float = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """Satisfies `Routes`."""

    catalogue: Catalogue
    complexity: Complexity
    policies: Policies
    rules: Sequence[Rule] = DEFAULT_RULES
    thresholds: Thresholds = Thresholds()

    def route(self, call: ModelCall) -> Route:
        policy = self.policies.of(call.account.tenant)
        may = permitted(self.catalogue.models, policy, call)
        reasons = list(may.reasons)

        if call.unpaid:
            quoting = [model for model in may.models if model.extractive]
            return _route(quoting, [*reasons, "the budget is spent"])

        if call.model is not None and call.model not in call.tried:
            reasons.append(f"{call.model} was named")
            return _route(_named_first(call.model, may.models, call), reasons)

        models = [model for model in may.models if model.name not in call.tried]
        if call.tried:
            reasons.append(f"{', '.join(call.tried)} did not do")

        complexity = None
        if call.step == ANSWER:
            # Also where it decides nothing: the log compares models on questions that are alike.
            complexity = self.complexity(_question_of(call), call.signals)

        rule = next((rule for rule in self.rules if rule.matches(call)), None)
        if rule is not None and rule.models:
            reasons.append(f"rule: {rule.name}")
            return _route(_only(rule, models), reasons, complexity)
        start = self._start(call, rule, complexity, reasons)
        return _route(_cascade(models, _past(self._tiers(call.tried), start)), reasons, complexity)

    def _start(
        self, call: ModelCall, rule: Rule | None, complexity: float | None, reasons: list[str]
    ) -> Tier:
        """Where the cascade begins; says why in `reasons`."""
        if rule is not None and rule.tier is not None:
            reasons.append(f"rule: {rule.name}")
            return rule.tier
        if call.quality != "balanced" or complexity is None:
            reasons.append(f"quality: {call.quality}")
            return _TIER_OF_QUALITY[call.quality]
        reasons.append(f"complexity: {complexity:.2f}")
        if complexity >= self.thresholds.premium:
            return Tier.PREMIUM
        return Tier.STANDARD if complexity >= self.thresholds.standard else Tier.CHEAP

    def reaches(self, call: ModelCall) -> list[ModelSpec]:
        """Every model that `route` may come to for this call, whatever its text holds: those that
        the tenant allows, an app's one, or those of a rule. Empty where there is none."""
        allowed = self.policies.of(call.account.tenant).allow
        may = [
            model
            for model in self.catalogue.models
            if model.extractive or allowed is None or model.name in allowed
        ]
        if call.model is not None and call.model not in call.tried:
            is_bound = call.use_case is UseCase.CHAT
            return [model for model in may if model.name == call.model] if is_bound else may
        rule = next((rule for rule in self.rules if rule.matches(call)), None)
        return _only(rule, may) if rule is not None and rule.models else may

    def names_for(self, tenant: TenantId) -> list[str]:
        """The models that an app of `tenant` may call by name."""
        allowed = self.policies.of(tenant).allow
        return [
            model.name
            for model in self.catalogue.models
            if not model.extractive and (allowed is None or model.name in allowed)
        ]

    def escalation(self, call: ModelCall, answered_by: str) -> ModelCall | None:
        """`call` again, for a dearer model than `answered_by`, whose answer did not do.

        None where no dearer one may be asked, the asker wants it fast, or an app named the model.
        """
        if call.quality == "fast" or (call.use_case is UseCase.CHAT and call.model is not None):
            return None
        again = replace(call, tried=(*call.tried, answered_by))
        highest = max(map(_rank, self._tiers(again.tried)), default=-1)
        try:
            first = self.route(again).models[0]
        except PolicyForbids:
            return None
        return again if highest < _rank(first.tier) < len(_CLIMB) else None

    def _tiers(self, names: Iterable[str]) -> list[Tier]:
        found = map(self.catalogue.find, names)
        return [model.tier for model in found if model is not None]


def _route(
    models: Sequence[ModelSpec], reasons: Sequence[str], complexity: float | None = None
) -> Route:
    if not models:
        raise PolicyForbids("no model is left that may be asked")
    return Route(
        models=tuple(models),
        tier=models[0].tier,
        reasons=tuple(reasons),
        complexity=complexity,
    )


def _named_first(name: str, models: Sequence[ModelSpec], call: ModelCall) -> list[ModelSpec]:
    """An app that names a model gets no other; where a rollout named it, the rest stand behind."""
    named = [model for model in models if model.name == name]
    if not named:
        # The same words whether there is no such model or it is not this tenant's to ask.
        raise PolicyForbids(f"there is no model {name!r} that this may be sent to")
    if call.use_case is UseCase.CHAT:
        return named
    rest = [model for model in models if model.name != name]
    return named + _cascade(rest, _past([], named[0].tier))


def _only(rule: Rule, models: Sequence[ModelSpec]) -> list[ModelSpec]:
    """The rule's models, and what can always quote instead."""
    by_name = {model.name: model for model in models}
    chosen = [by_name[name] for name in rule.models if name in by_name]
    return chosen + [
        model for model in models if model.tier is Tier.LAST_RESORT and model not in chosen
    ]


def _past(tried: Sequence[Tier], start: Tier) -> int:
    """The rank to begin at: `start`, or the first that is dearer than what was tried."""
    return max([_rank(start), *(_rank(tier) + 1 for tier in tried if tier in _RANK)])


def _cascade(models: Iterable[ModelSpec], start: int) -> list[ModelSpec]:
    """From `start` up; then, for when those fail, what is cheaper; the last resort at the end."""

    def place(model: ModelSpec) -> tuple[int, int]:
        rank = _rank(model.tier)
        if rank == len(_CLIMB):
            return (2, 0)
        return (0, rank) if rank >= start else (1, -rank)

    return sorted(models, key=place)


def _rank(tier: Tier) -> int:
    return _RANK.get(tier, len(_CLIMB))


def _question_of(call: ModelCall) -> str:
    """What is asked: of an app's own messages, the last that a user wrote."""
    if call.prompt.question:
        return call.prompt.question
    written = (each.content for each in reversed(call.prompt.messages) if each.role == "user")
    return next(written, "")
