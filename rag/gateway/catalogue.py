"""The models that may be called: what they can do, what they cost and where they are served.

Prices count micro-currency for a million tokens. Keys are never in here, only the names of the
environment variables that hold them.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from rag.gateway.money import FREE, MICROS, Micro
from rag.types import Usage


class Tier(StrEnum):
    """How dear a model is beside the others; a cascade climbs from the top of this list down."""

    CHEAP = "cheap"
    STANDARD = "standard"
    PREMIUM = "premium"
    LAST_RESORT = "last_resort"
    """Not better than `premium`, but always there: asked when everything else has failed."""


ProviderKind = Literal["openai", "llama_index", "extractive"]
"""The OpenAI-compatible wire; a llama-index `LLM` class; sentences quoted from the evidence."""


PromptCache = Literal["none", "key", "salt", "mark"]
"""In which words a provider is told what prompts begin alike; a strict one refuses words that it
does not know. `rag/adapters/prefix_cache.py` says them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Who serves models, and how they are spoken to."""

    name: str
    kind: ProviderKind
    base_url: str = ""
    """Of the `openai` wire, such as `https://models.example.com/v1`."""
    key_variable: str = ""
    """The environment variable that holds the key; empty where none is needed."""
    llama_index_class: str = ""
    """`module:Class`, for `llama_index`."""
    region: str = ""
    """Where it computes, in the words of the tenants' policies; empty where nobody said."""
    trusted: bool = False
    """Whether it is the operator's own: personal data may reach it unmasked."""
    prompt_cache: PromptCache = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One serving instance of a model."""

    name: str
    """Unique in the catalogue: breakers, health and attempts go by it."""
    provider: Provider
    model: str
    """What the provider calls the model."""
    base_url: str = ""
    """This instance's own; what the provider says is already filled in."""
    region: str = ""
    trusted: bool = False
    weight: int = 1
    """Its share of the load beside the model's other deployments."""
    max_concurrent: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Micro-currency for a million tokens."""

    input: Micro
    output: Micro
    cached: Micro | None = None
    """Of input that the provider had read before; None: as dear as any input."""

    def cost(self, usage: Usage) -> Micro:
        """What `usage` costs, rounded up to a whole micro: no call of a priced model is free."""
        cached = min(usage.cached_tokens, usage.input_tokens)
        fresh = usage.input_tokens - cached
        of_cached = self.input if self.cached is None else self.cached
        total = fresh * self.input + cached * of_cached + usage.output_tokens * self.output
        return Micro(-(-total // MICROS))


NO_CHARGE = Price(input=FREE, output=FREE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model as callers, routes and budgets know it."""

    name: str
    tier: Tier
    context_tokens: int
    """Input and output together."""
    max_output_tokens: int
    price: Price | None
    """None where nobody knows: whoever counts money takes the catalogue's `ceiling`."""
    deployments: tuple[Deployment, ...]
    structured: bool = False
    """Whether it keeps to a JSON Schema when it is told to."""
    logprobs: bool = False

    @property
    def extractive(self) -> bool:
        """Whether it only quotes: it needs evidence, and writes nothing of its own."""
        return all(deployment.provider.kind == "extractive" for deployment in self.deployments)


EXTRACTIVE = ModelSpec(
    name="extractive",
    tier=Tier.LAST_RESORT,
    context_tokens=1_000_000,
    max_output_tokens=4_096,
    price=NO_CHARGE,
    deployments=(
        Deployment(
            name="extractive",
            provider=Provider(name="extractive", kind="extractive", trusted=True),
            model="extractive",
            trusted=True,
        ),
    ),
)
"""Quotes the sentences of the evidence that answer best. Needs no endpoint, so it never fails."""

UNKNOWN_CEILING = Price(input=Micro(100 * MICROS), output=Micro(400 * MICROS))
"""What an unknown price is taken for where no price is known at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Models in the order in which the operator wrote them. Names are unique."""

    models: tuple[ModelSpec, ...]
    ceiling: Price = UNKNOWN_CEILING
    """At least as dear as every known price."""
    _by_name: dict[str, ModelSpec] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {model.name: model for model in self.models})

    def find(self, name: str) -> ModelSpec | None:
        return self._by_name.get(name)

    def price_of(self, name: str) -> Price:
        """The model's price, or the ceiling where it is unknown, or the model is."""
        model = self.find(name)
        return self.ceiling if model is None or model.price is None else model.price

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        return tuple(each for model in self.models for each in model.deployments)
