"""Which calls are masked: those that may reach a model which is not the operator's own."""

from collections.abc import Callable, Iterable, Sequence

from rag.gateway.calls import ModelCall
from rag.gateway.catalogue import Catalogue, ModelSpec
from rag.guardrails.masked_gateway import MaskingRule
from rag.guardrails.pii import Depth

Reaches = Callable[[ModelCall], Sequence[ModelSpec]]
"""Every model that a call may come to, fallbacks included; see `Router.reaches`."""


def leaves_the_house(models: Iterable[ModelSpec]) -> bool:
    """Whether any of them is called outside."""
    return any(
        deployment.provider.kind != "extractive" and not deployment.trusted
        for model in models
        for deployment in model.deployments
    )


def rule_over(
    catalogue: Catalogue, reaches: Reaches, *, enabled: bool, depth: Depth
) -> Callable[[ModelCall], MaskingRule]:
    """The rule for each call of a process. Its version changes when what it wants does.

    A call that may only come to models in the house, of a catalogue that has others too, is not
    masked, and the router is told that it holds personal data: that keeps it there, should what is
    allowed change in between.
    """
    outside = frozenset(model.name for model in catalogue.models if leaves_the_house([model]))
    masked = MaskingRule(mask=True, depth=depth, policy=f"{depth}")
    unmasked = MaskingRule(mask=False, depth=depth, policy="off")
    inside = MaskingRule(mask=False, depth=depth, policy="inside", stays_inside=True)

    def rule_for(call: ModelCall) -> MaskingRule:
        return masked if any(model.name in outside for model in reaches(call)) else inside

    return rule_for if enabled and outside else lambda _call: unmasked
