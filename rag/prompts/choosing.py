"""Which prompt, model and retrieval profile a question gets: told from memory, without waiting."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from rag.access import TenantId
from rag.errors import NotFound
from rag.gateway.money import FREE, Micro
from rag.prompts.registry import SHIPPED, new_canary, shipped_versions
from rag.prompts.rollouts import (
    Arm,
    ModelCandidate,
    Plan,
    ProfileCandidate,
    ProfileValue,
    PromptCandidate,
    Rollout,
    RolloutId,
)
from rag.prompts.versions import EVERY_TENANT, Prompt, PromptVersion, VersionKey
from rag.trail import Account

PRODUCTION = "production"
"""The label of the version that questions get."""

Profile = Mapping[str, ProfileValue]


def no_profile() -> Profile:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which arm of a rollout a question is in."""

    rollout: RolloutId
    arm: Arm


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """What is to be run once more after the answer, for nobody to see and never to be cached.

    Its outcome is recorded with `shadow=True` and its cost, which its own budget pays.
    """

    rollout: RolloutId
    prompt: Prompt
    model: str | None = None
    profile: Profile = field(default_factory=no_profile)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What one question is answered with."""

    prompt: Prompt
    tenant: TenantId
    assignments: tuple[Assignment, ...] = ()
    model: str | None = None
    """For `ModelCall.model`; None leaves it to routing."""
    profile: Profile = field(default_factory=no_profile)
    """Settings of retrieval that differ from the ordinary ones; mostly none."""
    shadow: Shadow | None = None

    @property
    def rollout(self) -> str:
        """For `Trail.rollout`: `12/candidate`, with commas between; empty where nothing is tried."""
        return ",".join(f"{each.rollout}/{each.arm}" for each in self.assignments)

    @property
    def is_trial(self) -> bool:
        """Whether something other than the ordinary is tried: such an answer is never cached."""
        return any(each.arm == "candidate" for each in self.assignments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a question went that was answered with `chosen`."""

    chosen: Chosen
    ok: bool
    """Whether it ended without an error. A refusal is no error."""
    grounded: bool | None
    """Whether the evidence supported the answer; None where nothing was judged."""
    latency_ms: float
    cost: Micro = FREE
    shadow: bool = False
    """Whether it is that of `chosen.shadow` and not what the asker saw."""


class PromptChoice(Protocol):
    """Chooses for each question and hears how it went. Neither call waits for anything."""

    @property
    def canary(self) -> str:
        """Stands in every system prompt of this process; an answer must never hold it."""
        ...

    def choose(
        self, name: str, account: Account, *, locale: str = "", audience: str = ""
    ) -> Chosen:
        """Raises `NotFound` for a prompt that is not registered."""
        ...

    def record(self, outcome: Outcome) -> None:
        """Counted for the rollouts and for the version. Written to the ledger soon after."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptBook:
    """What the ledger said at one revision. Another revision is another book."""

    revision: int = 0
    versions: Mapping[tuple[TenantId, VersionKey], PromptVersion]
    production: Mapping[tuple[TenantId, str], VersionKey]
    """By tenant and name; those of `EVERY_TENANT` hold where a tenant has none."""
    rollouts: Mapping[tuple[TenantId, str], tuple[Rollout, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """Those that run."""
    pinned: Mapping[str, PromptVersion] = field(default_factory=lambda: MappingProxyType({}))
    """By name: what this process uses for everyone, as an evaluation does."""

    def version(self, tenant: TenantId, key: VersionKey) -> PromptVersion:
        """The tenant's own, or every tenant's. Raises `NotFound`."""
        for owner in (tenant, EVERY_TENANT):
            if found := self.versions.get((owner, key)):
                return found
        raise NotFound(f"there is no prompt {key}")

    def prompts(self) -> Iterator[Prompt]:
        """Every variant of every version that may be chosen."""
        for version in (*self.versions.values(), *self.pinned.values()):
            yield from version.prompts()

    def owner(self, tenant: TenantId, name: str) -> TenantId:
        """Whose label decides: the tenant's where it has one of its own."""
        return tenant if (tenant, name) in self.production else EVERY_TENANT

    def choose(self, name: str, account: Account, *, locale: str, audience: str) -> Chosen:
        """Raises `NotFound`."""
        tenant = account.tenant
        pinned = self.pinned.get(name)
        if pinned is not None and pinned.tenant in {EVERY_TENANT, tenant}:
            return Chosen(prompt=pinned.prompt(locale=locale, audience=audience), tenant=tenant)
        owner = self.owner(tenant, name)
        if (owner, name) not in self.production:
            raise NotFound(f"there is no prompt {name}")
        version = self.version(tenant, self.production[owner, name])
        model: str | None = None
        profile, shadow = no_profile(), None
        assignments: list[Assignment] = []
        for rollout in self._running(tenant, owner, name):
            if rollout.plan is Plan.SHADOW:
                # Questions are drawn, not people: over time everyone's are looked at.
                if random.random() < rollout.share:  # noqa: S311 - a sample, no secret
                    shadow = rollout
                continue
            arm = rollout.arm_of(account)
            assignments.append(Assignment(rollout.id, arm))
            if arm == "candidate":
                match rollout.candidate:
                    case PromptCandidate(key):
                        version = self.version(tenant, key)
                    case ModelCandidate(tried):
                        model = tried
                    case ProfileCandidate(settings):
                        profile = settings
        prompt = version.prompt(locale=locale, audience=audience)
        return Chosen(
            prompt=prompt,
            tenant=tenant,
            assignments=tuple(assignments),
            model=model,
            profile=profile,
            shadow=None if shadow is None else self._shadow(shadow, prompt, tenant),
        )

    def _running(self, tenant: TenantId, owner: TenantId, name: str) -> tuple[Rollout, ...]:
        """The tenant's own. Where it goes by every tenant's label, also every tenant's, but for
        those of which it has one of its own."""
        own = self.rollouts.get((tenant, name), ())
        if owner == tenant:
            return own
        has = {each.lane for each in own}
        of_all = self.rollouts.get((EVERY_TENANT, name), ())
        return own + tuple(each for each in of_all if each.lane not in has)

    def _shadow(self, rollout: Rollout, prompt: Prompt, tenant: TenantId) -> Shadow:
        match rollout.candidate:
            case PromptCandidate(key):
                tried = self.version(tenant, key)
                variant = tried.prompt(locale=prompt.locale, audience=prompt.audience)
                return Shadow(rollout=rollout.id, prompt=variant)
            case ModelCandidate(model):
                return Shadow(rollout=rollout.id, prompt=prompt, model=model)
            case ProfileCandidate(settings):
                return Shadow(rollout=rollout.id, prompt=prompt, profile=settings)


def shipped_book() -> PromptBook:
    """What a ledger that nobody changed says."""
    versions = shipped_versions()
    return PromptBook(
        versions={(EVERY_TENANT, each.key): each for each in versions},
        production={
            (EVERY_TENANT, each.name): each.key
            for each in versions
            if SHIPPED.get(each.name) == each.version
        },
    )


@dataclass(frozen=True, slots=True)
class ShippedPrompts:
    """`PromptChoice` without a ledger: the prompts that come with the platform, for everyone."""

    book: PromptBook = field(default_factory=shipped_book)
    canary: str = field(default_factory=new_canary)
    recorded: list[Outcome] = field(default_factory=list[Outcome])
    """All that was recorded, in order."""

    def choose(
        self, name: str, account: Account, *, locale: str = "", audience: str = ""
    ) -> Chosen:
        return self.book.choose(name, account, locale=locale, audience=audience)

    def record(self, outcome: Outcome) -> None:
        self.recorded.append(outcome)
