"""Which models a call may be sent to at all; nothing that follows may widen it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from rag.access import TenantId
from rag.errors import InvalidRequest, PolicyForbids
from rag.gateway.calls import ModelCall
from rag.gateway.catalogue import ModelSpec
from rag.gateway.tokens import estimated_input

_GUESSED_LOW = 1.25
"""What an estimate of tokens is multiplied with before it is held against a context window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantPolicy:
    """What a tenant lets be sent where."""

    allow: frozenset[str] | None = None
    """Names of models; None is every model. What only quotes from the evidence is always allowed."""
    personal_data_regions: frozenset[str] = frozenset()
    """Where unmasked personal data may be computed with, besides the operator's own deployments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    everyone: TenantPolicy = field(default_factory=TenantPolicy)
    """Holds for tenants that have none of their own."""
    tenants: Mapping[TenantId, TenantPolicy] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, tenant: TenantId) -> TenantPolicy:
        return self.tenants.get(tenant, self.everyone)


@dataclass(frozen=True, slots=True)
class Permitted:
    """Models with the deployments that may see the call, in the catalogue's order, and what
    narrowed them down."""

    models: tuple[ModelSpec, ...]
    reasons: tuple[str, ...]


def permitted(models: Iterable[ModelSpec], policy: TenantPolicy, call: ModelCall) -> Permitted:
    """Errors: `PolicyForbids` where the tenant's policy leaves no model, `InvalidRequest` where
    the call's size does."""
    reasons: list[str] = []
    left = [model for model in models if _can_serve(model, call)]

    if policy.allow is not None:
        left = [model for model in left if model.extractive or model.name in policy.allow]
    if not left:
        raise PolicyForbids("no model is allowed for this")

    if call.personal_data:
        narrowed = (_where_trusted(model, policy.personal_data_regions) for model in left)
        left = [model for model in narrowed if model.deployments]
        reasons.append("personal data")
    if not left:
        raise PolicyForbids("this holds personal data, and no model that is allowed may see it")

    needed = int(estimated_input(call.prompt.messages) * _GUESSED_LOW)
    fitting = [model for model in left if model.extractive or _holds(model, needed, call)]
    if len(fitting) < len(left):
        reasons.append("context length")
    if not fitting:
        raise InvalidRequest(f"about {needed} tokens are more than any model takes")

    if call.prompt.response_schema is not None:
        # Where none is known to keep to a schema, any may try: what comes back is validated.
        able = [model for model in fitting if model.structured]
        if able and len(able) < len(fitting):
            fitting = able
            reasons.append("structured output")

    return Permitted(tuple(fitting), tuple(reasons))


def _can_serve(model: ModelSpec, call: ModelCall) -> bool:
    """What only quotes needs something to quote, and writes no JSON."""
    quotable = bool(call.prompt.evidence) and call.prompt.response_schema is None
    return quotable or not model.extractive


def _where_trusted(model: ModelSpec, regions: frozenset[str]) -> ModelSpec:
    """`model` without the deployments that may not see personal data."""
    trusted = tuple(
        each
        for each in model.deployments
        if each.trusted or (each.region and each.region in regions)
    )
    return model if trusted == model.deployments else replace(model, deployments=trusted)


def _holds(model: ModelSpec, needed: int, call: ModelCall) -> bool:
    output = min(call.prompt.max_output_tokens, model.max_output_tokens)
    return needed + output <= model.context_tokens
