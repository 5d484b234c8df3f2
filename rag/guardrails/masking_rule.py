"""Which calls are masked: those that may reach a model which is not the operator's own."""

from collections.abc import Callable

from rag.gateway.calls import ModelCall
from rag.gateway.catalogue import Catalogue
from rag.guardrails.masked_gateway import MaskingRule
from rag.guardrails.pii import Depth


def leaves_the_house(catalogue: Catalogue) -> bool:
    """Whether any model may be reached outside. A call that names a model has the others as
    fallbacks, so it is asked of all of them."""
    return any(
        deployment.provider.kind != "extractive" and not deployment.trusted
        for deployment in catalogue.deployments
    )


def rule_over(
    catalogue: Catalogue, *, enabled: bool, depth: Depth
) -> Callable[[ModelCall], MaskingRule]:
    """One rule for every call of a process. Its version changes when what it wants does."""
    mask = enabled and leaves_the_house(catalogue)
    rule = MaskingRule(mask=mask, depth=depth, policy=f"{depth}" if mask else "off")
    return lambda _call: rule
