"""Trying something else on some of the questions: a prompt, a model, or settings of retrieval.

A rollout has two arms. `control` is what would be chosen without it; `candidate` is what is tried.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Literal, NewType, cast

from rag.access import TenantId
from rag.errors import InvalidRequest
from rag.gateway.money import Micro
from rag.prompts.versions import VersionKey
from rag.trail import Account

RolloutId = NewType("RolloutId", int)
Arm = Literal["control", "candidate"]
ARMS: tuple[Arm, Arm] = ("control", "candidate")


class Plan(StrEnum):
    """What a rollout is for."""

    CANARY = "canary"
    """A few people get the candidate, so that few are hurt if it is bad."""
    AB = "ab"
    """Both arms are compared until one is shown to be better."""
    SHADOW = "shadow"
    """Nobody gets the candidate: it runs after the answer, for its own money."""


SHARES: Mapping[Plan, tuple[float, float]] = {
    Plan.CANARY: (0.01, 0.10),
    Plan.AB: (0.10, 0.90),
    Plan.SHADOW: (0.001, 1.0),
}
"""Of the people (of a shadow: of the questions), the least and the most that get the candidate."""


@dataclass(frozen=True, slots=True)
class PromptCandidate:
    version: VersionKey


@dataclass(frozen=True, slots=True)
class ModelCandidate:
    model: str
    """A name in the catalogue. Routing still asks the tenant's policy."""


ProfileValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class ProfileCandidate:
    """Settings of retrieval by name, such as `candidates` or `rerank`."""

    settings: Mapping[str, ProfileValue]


Candidate = PromptCandidate | ModelCandidate | ProfileCandidate
Subject = Literal["prompt", "model", "profile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    id: RolloutId
    tenant: TenantId
    name: str
    """The prompt whose questions it is about."""
    plan: Plan
    candidate: Candidate
    share: float
    salt: str
    """Key of the hash that tells who gets the candidate: another rollout picks others."""
    budget: Micro | None = None
    """What the candidate's own runs may cost altogether; a shadow has one."""
    started_at: datetime
    started_by: str
    stopped_at: datetime | None = None
    stopped_by: str = ""
    reason: str = ""
    """Why it was stopped."""

    @property
    def subject(self) -> Subject:
        return subject_of(self.candidate)

    @property
    def lane(self) -> str:
        """Rollouts of one lane would get in each other's way: a tenant runs one at a time."""
        return lane_of(self.plan, self.candidate)

    @property
    def runs(self) -> bool:
        return self.stopped_at is None

    def arm_of(self, account: Account) -> Arm:
        """The same person always gets the same arm; a larger share keeps those who had it."""
        return "candidate" if place_of(self.salt, account) < self.share else "control"


def subject_of(candidate: Candidate) -> Subject:
    match candidate:
        case PromptCandidate():
            return "prompt"
        case ModelCandidate():
            return "model"
        case ProfileCandidate():
            return "profile"


def lane_of(plan: Plan, candidate: Candidate) -> str:
    return "shadow" if plan is Plan.SHADOW else subject_of(candidate)


def place_of(salt: str, account: Account) -> float:
    """Where a person stands between 0 and 1, evenly spread, by a keyed hash (BLAKE2b)."""
    whose = f"{account.tenant}\0{account.user}".encode()
    digest = blake2b(whose, key=bytes.fromhex(salt), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def check_rollout(plan: Plan, candidate: Candidate, *, share: float, budget: Micro | None) -> None:
    """Raises `InvalidRequest`."""
    least, most = SHARES[plan]
    if not least <= share <= most:
        raise InvalidRequest(f"the share of a {plan} rollout is between {least:g} and {most:g}")
    if plan is Plan.SHADOW and (budget is None or budget <= 0):
        raise InvalidRequest("a shadow needs a budget of its own")
    if plan is not Plan.SHADOW and budget is not None:
        raise InvalidRequest("only a shadow has a budget of its own")
    if isinstance(candidate, ProfileCandidate) and not candidate.settings:
        raise InvalidRequest("the profile has no settings")


def told_of(candidate: Candidate) -> dict[str, object]:
    """As JSON, in the API and in the ledger."""
    match candidate:
        case PromptCandidate(version):
            return {"version": version}
        case ModelCandidate(model):
            return {"model": model}
        case ProfileCandidate(settings):
            return {"settings": dict(settings)}


def candidate_of(told: Mapping[str, object]) -> Candidate:
    if "version" in told:
        return PromptCandidate(VersionKey(str(told["version"])))
    if "model" in told:
        return ModelCandidate(str(told["model"]))
    return ProfileCandidate(cast("Mapping[str, ProfileValue]", told["settings"]))
