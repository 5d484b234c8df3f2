"""Gateways over scripted upstreams, for tests of what happens between a call and its models."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from rag.access import PrincipalId, TenantId
from rag.adapters.json_schema import checked_json
from rag.adapters.openai_wire import OpenAIWire
from rag.gateway.attempts import Attempts
from rag.gateway.breaker import Breaker, BreakerPolicy, Circuit, LocalBreaker, NotNow, Permit
from rag.gateway.calls import Gateway, ModelCall, Restarted
from rag.gateway.catalogue import Catalogue, Deployment, ModelSpec, Price, Provider, Tier
from rag.gateway.fallback import RoutedGateway
from rag.gateway.health import Health
from rag.gateway.lanes import Rooms
from rag.gateway.money import Micro
from rag.gateway.patience import FallbackPolicy
from rag.gateway.routing import Route
from rag.gateway.upstreams import Upstream
from rag.protocols import Completion, Message, ModelPrompt
from rag.trail import Account, RequestId, Trail, UseCase
from tests.scripted_upstream import Reply, ScriptedUpstream, scripted_upstream

ACCOUNT = Account(tenant=TenantId("acme"), user=PrincipalId("user:1042"))
PROMPT = ModelPrompt(
    messages=(Message("system", "Answer in a word."), Message("user", "How deep is the sea?")),
    question="How deep is the sea?",
    max_output_tokens=12,
)
PRICE = Price(input=Micro(2_000_000), output=Micro(10_000_000))
"""Two micros for a token of input, ten for one of output."""
CEILING = Price(input=Micro(100_000_000), output=Micro(400_000_000))


def a_call(prompt: ModelPrompt = PROMPT) -> ModelCall:
    return ModelCall(
        prompt=prompt, account=ACCOUNT, request=RequestId("r-1"), use_case=UseCase.CHAT
    )


def a_trail() -> Trail:
    return Trail(
        request=RequestId("r-1"), account=ACCOUNT, use_case=UseCase.CHAT, endpoint="/v1/chat"
    )


def a_deployment(name: str, *, weight: int = 1, max_concurrent: int = 64) -> Deployment:
    return Deployment(
        name=name,
        provider=Provider(name=f"provider of {name}", kind="openai"),
        model=name,
        weight=weight,
        max_concurrent=max_concurrent,
    )


def a_model(name: str, *deployments: Deployment, price: Price | None = PRICE) -> ModelSpec:
    return ModelSpec(
        name=name,
        tier=Tier.STANDARD,
        context_tokens=8_000,
        max_output_tokens=1_000,
        price=price,
        deployments=deployments or (a_deployment(f"{name}-1"),),
        structured=True,
    )


@dataclass(frozen=True, slots=True)
class FixedRoutes:
    """Every call goes down the same chain."""

    models: tuple[ModelSpec, ...]

    def route(self, call: ModelCall) -> Route:
        del call
        return Route(models=self.models, tier="standard", reasons=("fixed",))


@dataclass(slots=True)
class WatchedBreaker:
    """A breaker that keeps what it was asked and told."""

    breaker: Breaker
    admitted: list[str] = field(default_factory=list[str])
    refused: list[str] = field(default_factory=list[str])
    news: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Deployment, and `ok`, `failed` or `released`."""

    async def admit(self, deployment: str) -> Permit | NotNow:
        given = await self.breaker.admit(deployment)
        (self.admitted if isinstance(given, Permit) else self.refused).append(deployment)
        return given

    async def report(self, permit: Permit, *, ok: bool) -> None:
        self.news.append((permit.deployment, "ok" if ok else "failed"))
        await self.breaker.report(permit, ok=ok)

    async def release(self, permit: Permit) -> None:
        self.news.append((permit.deployment, "released"))
        await self.breaker.release(permit)

    async def cool_down(self, deployment: str, *, seconds: float) -> None:
        self.news.append((deployment, f"cool down {seconds:g} s"))
        await self.breaker.cool_down(deployment, seconds=seconds)

    async def circuit(self, deployment: str) -> Circuit:
        return await self.breaker.circuit(deployment)


@dataclass(frozen=True, slots=True)
class Chained:
    """A gateway, and all that stands behind it."""

    gateway: RoutedGateway
    breaker: WatchedBreaker
    rooms: Rooms
    health: Health
    models: tuple[ModelSpec, ...]


def gateway_over(
    models: Sequence[ModelSpec],
    upstreams: dict[str, Upstream],
    *,
    policy: FallbackPolicy | None = None,
    breaker_policy: BreakerPolicy | None = None,
) -> Chained:
    """`upstreams`: by the names of the deployments."""
    policy = policy or FallbackPolicy(backoff_s=0.0)
    breaker = WatchedBreaker(LocalBreaker(breaker_policy or BreakerPolicy()))
    rooms, health = Rooms(), Health()
    attempts = Attempts(
        catalogue=Catalogue(models=tuple(models), ceiling=CEILING),
        upstreams=upstreams,
        breaker=breaker,
        policy=policy,
        schema_check=checked_json,
    )
    gateway = RoutedGateway(
        routes=FixedRoutes(tuple(models)),
        attempts=attempts,
        breaker=breaker,
        rooms=rooms,
        health=health,
        policy=policy,
    )
    return Chained(gateway, breaker, rooms, health, tuple(models))


@asynccontextmanager
async def wires(**addresses: str) -> AsyncGenerator[dict[str, Upstream]]:
    """The OpenAI wire to each of these deployments; underscores in their names are dashes."""
    opened: dict[str, Upstream] = {
        name.replace("_", "-"): OpenAIWire(base_url=address, model=name)
        for name, address in addresses.items()
    }
    try:
        yield opened
    finally:
        for each in opened.values():
            await each.aclose()


@asynccontextmanager
async def scripted_chain(
    *scripts: Sequence[Reply], policy: FallbackPolicy | None = None
) -> AsyncGenerator[tuple[Chained, list[ScriptedUpstream]]]:
    """A chain of models, each with one deployment that plays its script. They are named `a`, `b`,
    …, and their deployments `a-1`, `b-1`, …."""
    names = "abcdefgh"[: len(scripts)]
    async with _all_of(scripts) as upstreams:
        addresses = {
            f"{name}_1": upstream.base_url for name, upstream in zip(names, upstreams, strict=True)
        }
        async with wires(**addresses) as opened:
            yield gateway_over([a_model(name) for name in names], opened, policy=policy), upstreams


@asynccontextmanager
async def _all_of(scripts: Sequence[Sequence[Reply]]) -> AsyncGenerator[list[ScriptedUpstream]]:
    if not scripts:
        yield []
        return
    async with scripted_upstream(*scripts[0]) as first, _all_of(scripts[1:]) as rest:
        yield [first, *rest]


@dataclass(slots=True)
class Received:
    """What came of a call."""

    pieces: list[str | Restarted | Completion] = field(
        default_factory=list[str | Restarted | Completion]
    )

    @property
    def text(self) -> str:
        """What stands at the end: a restart makes void what was said before it."""
        said: list[str] = []
        for piece in self.pieces:
            if isinstance(piece, Restarted):
                said.clear()
            elif isinstance(piece, str):
                said.append(piece)
        return "".join(said)

    @property
    def restarts(self) -> list[str]:
        return [piece.reason for piece in self.pieces if isinstance(piece, Restarted)]

    @property
    def completion(self) -> Completion:
        last = self.pieces[-1]
        assert isinstance(last, Completion)
        return last


async def received(
    gateway: Gateway, call: ModelCall | None = None, trail: Trail | None = None
) -> Received:
    all_of_it = Received()
    await receive(gateway, all_of_it, call, trail)
    return all_of_it


async def receive(
    gateway: Gateway, into: Received, call: ModelCall | None = None, trail: Trail | None = None
) -> None:
    """The same, for calls that end badly: `into` has what came until then."""
    stream = gateway.stream(call or a_call(), a_trail() if trail is None else trail)
    async with aclosing(stream) as pieces:
        async for piece in pieces:
            into.pieces.append(piece)
