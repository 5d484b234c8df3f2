"""`models.yaml`: the models that may be called, the tenants' policies and the rules of routing."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from rag.access import TenantId
from rag.adapters.catalogue_parts import ModelPart, Name, Part, PricePart, ProviderPart, Region
from rag.adapters.strict_yaml import parse_yaml
from rag.errors import ConfigurationError, ParseError
from rag.gateway.calls import Lane
from rag.gateway.catalogue import (
    EXTRACTIVE,
    NO_CHARGE,
    UNKNOWN_CEILING,
    Catalogue,
    ModelSpec,
    Price,
    Tier,
)
from rag.gateway.policy import Policies, TenantPolicy
from rag.gateway.routing import DEFAULT_RULES, Rule, Thresholds
from rag.trail import UseCase
from rag.types import Quality

MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSetup:
    """What a router is made of."""

    catalogue: Catalogue
    policies: Policies = field(default_factory=Policies)
    rules: tuple[Rule, ...] = DEFAULT_RULES
    thresholds: Thresholds = field(default_factory=Thresholds)


def read_models(path: Path) -> ModelSetup:
    """What the file says. Every mistake is a `ConfigurationError` that names its place, and repeats
    no more than names: somebody may have pasted a key elsewhere."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"{path} is larger than {MAX_BYTES} bytes")
    try:
        return parse_models(content)
    except ParseError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def parse_models(content: bytes) -> ModelSetup:
    """Raises `ParseError`, with a line for each mistake."""
    try:
        return _File.model_validate(parse_yaml(content) or {}).setup()
    except ValidationError as error:
        raise ParseError(_told(error)) from None


def catalogue_of(models: tuple[ModelSpec, ...], *, ceiling: Price | None = None) -> Catalogue:
    """`models` and, at their end, what only quotes, with a ceiling that no known price exceeds."""
    if not any(model.extractive for model in models):
        models = (*models, EXTRACTIVE)
    known = [price for model in models if (price := model.price) is not None and price != NO_CHARGE]
    least = ceiling or (None if known else UNKNOWN_CEILING)
    of_all = [*known, *([least] if least is not None else [])]
    return Catalogue(
        models=models,
        ceiling=Price(
            input=max(price.input for price in of_all), output=max(price.output for price in of_all)
        ),
    )


class _Policy(Part):
    allow: frozenset[str] | None = None
    personal_data_regions: frozenset[Region] = frozenset()

    def policy(self) -> TenantPolicy:
        return TenantPolicy(allow=self.allow, personal_data_regions=self.personal_data_regions)


class _When(Part):
    use_case: UseCase | None = None
    lane: Lane | None = None
    step: str | None = None
    quality: Quality | None = None
    tenant: str | None = None


class _Rule(Part):
    name: str = Field(min_length=1, max_length=64)
    when: _When = Field(default_factory=_When)
    tier: Tier | None = None
    models: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _it_says_one_thing(self) -> Self:
        if (self.tier is None) == (not self.models):
            raise ValueError("a rule says either tier or models")
        return self

    def rule(self) -> Rule:
        when = self.when
        return Rule(
            name=self.name,
            use_case=when.use_case,
            lane=when.lane,
            step=when.step,
            quality=when.quality,
            tenant=None if when.tenant is None else TenantId(when.tenant),
            tier=self.tier,
            models=self.models,
        )


class _Thresholds(Part):
    standard: float = Field(default=Thresholds().standard, ge=0, le=1)
    premium: float = Field(default=Thresholds().premium, ge=0, le=1)

    @model_validator(mode="after")
    def _they_climb(self) -> Self:
        if self.standard > self.premium:
            raise ValueError("standard is reached before premium: it cannot be higher")
        return self


class _File(Part):
    providers: dict[Name, ProviderPart] = Field(default_factory=dict)
    models: tuple[ModelPart, ...] = ()
    ceiling_price: PricePart | None = None
    policy: _Policy = Field(default_factory=_Policy)
    tenants: dict[Name, _Policy] = Field(default_factory=dict)
    rules: tuple[_Rule, ...] = ()
    complexity: _Thresholds = Field(default_factory=_Thresholds)

    @model_validator(mode="after")
    def _it_fits_together(self) -> Self:
        self.setup()
        return self

    def setup(self) -> ModelSetup:
        providers = {name: each.provider(name) for name, each in self.providers.items()}
        models = tuple(each.model(providers) for each in self.models)
        _unique("model", [model.name for model in models])
        catalogue = catalogue_of(models, ceiling=self.ceiling_price and self.ceiling_price.price())
        _unique("deployment", [each.name for each in catalogue.deployments])
        named = [
            ("policy", self.policy.allow),
            *((name, t.allow) for name, t in self.tenants.items()),
        ]
        named += [(f"rule {rule.name}", frozenset(rule.models)) for rule in self.rules]
        for place, names in named:
            for name in sorted(names or ()):
                if catalogue.find(name) is None:
                    raise ValueError(f"{place}: there is no model {name!r}")
        return ModelSetup(
            catalogue=catalogue,
            policies=Policies(
                everyone=self.policy.policy(),
                tenants={TenantId(name): each.policy() for name, each in self.tenants.items()},
            ),
            rules=(*(rule.rule() for rule in self.rules), *DEFAULT_RULES),
            thresholds=Thresholds(
                standard=self.complexity.standard, premium=self.complexity.premium
            ),
        )


def _unique(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two {what}s are called {name!r}")


def _told(error: ValidationError) -> str:
    """What is wrong, by place."""
    return "\n".join(
        f"{_place(entry['loc'])}: {re.sub('^Value error, ', '', entry['msg'])}"
        for entry in error.errors(include_input=False, include_url=False, include_context=False)
    )


def _place(location: tuple[Any, ...]) -> str:
    return ".".join(map(str, location)) or "the file"
