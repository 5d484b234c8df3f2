"""Models and calls for tests of routing, made of as little as a test wants to say."""

from typing import Any

from rag.access import PrincipalId
from rag.adapters.catalogue_file import catalogue_of
from rag.gateway.calls import ModelCall
from rag.gateway.catalogue import Deployment, ModelSpec, Price, Provider, Tier
from rag.gateway.money import MICROS, Micro
from rag.gateway.policy import Policies
from rag.gateway.routing import Router
from rag.protocols import Message, ModelPrompt
from rag.trail import Account, RequestId, UseCase
from rag.types import Evidence
from tests.values import ACME, hit

ACCOUNT = Account(tenant=ACME, user=PrincipalId("user:1"))


def price(amount: float) -> Price:
    """So many units for a million tokens, in or out."""
    micro = Micro(int(amount * MICROS))
    return Price(input=micro, output=micro)


def deployment(name: str, *, region: str = "", trusted: bool = False) -> Deployment:
    provider = Provider(name="house", kind="openai", base_url="http://models.test/v1")
    return Deployment(name=name, provider=provider, model=name, region=region, trusted=trusted)


def model(name: str, tier: Tier, *deployments: Deployment, **other: Any) -> ModelSpec:
    told: dict[str, Any] = {"context_tokens": 8_000, "max_output_tokens": 1_000, "price": price(1)}
    return ModelSpec(
        name=name,
        tier=tier,
        deployments=deployments or (deployment(f"{name}-1"),),
        **{**told, **other},
    )


SMALL = model("small", Tier.CHEAP, price=price(0.1))
MEDIUM = model("medium", Tier.STANDARD, price=price(1))
LARGE = model("large", Tier.PREMIUM, price=price(10))


def router(
    *models: ModelSpec, hard: float = 0.0, policies: Policies | None = None, **other: Any
) -> Router:
    """Over `models`, or one of each tier; every question is as `hard`."""
    return Router(
        catalogue=catalogue_of(models or (LARGE, SMALL, MEDIUM)),
        complexity=lambda _question, _signals: hard,
        policies=policies or Policies(),
        **other,
    )


def evidence(text: str = "The fee is 40 euros.") -> tuple[Evidence, ...]:
    found = hit(text)
    return (Evidence(number=1, hit=found, text=text, parts=(found,)),)


def call(
    question: str = "What is the fee?",
    *,
    quoting: tuple[Evidence, ...] = (),
    schema: dict[str, Any] | None = None,
    **other: Any,
) -> ModelCall:
    told: dict[str, Any] = {"account": ACCOUNT, "request": RequestId("r1"), "use_case": UseCase.ASK}
    return ModelCall(
        prompt=ModelPrompt(
            messages=(Message("user", question),),
            question=question,
            evidence=quoting,
            response_schema=schema,
        ),
        **{**told, **other},
    )
