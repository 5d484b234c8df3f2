"""What the routes of the prompts take and give of a rollout: a prompt, a model or a profile on trial."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from api.routers.prompt_version_shapes import Owner, VersionText, owner_of, person_told
from api.shapes import Schema, ShortText
from rag.gateway.money import MICROS, Micro
from rag.prompts.experiments import Result, Winner, p_value_of
from rag.prompts.rollouts import (
    Arm,
    Candidate,
    ModelCandidate,
    Plan,
    ProfileCandidate,
    Rollout,
    told_of,
)
from rag.prompts.tallies import Tally


class ProfileShape(Schema):
    """What one question may spend; what is left out stays as it is."""

    hits: int | None = Field(default=None, ge=1, le=200)
    rerank: bool | None = None
    passages: int | None = Field(default=None, ge=1, le=50)
    evidence_tokens: int | None = Field(default=None, ge=100, le=32_000)


class RolloutRequest(Schema):
    plan: Plan
    share: float | None = Field(
        default=None, description="Unset: 0.05 of a canary, 0.5 of an A/B test, 0.1 of a shadow."
    )
    version: VersionText | None = Field(default=None, description="The prompt that is tried,")
    model: ShortText | None = Field(default=None, min_length=1, description="or the model,")
    profile: ProfileShape | None = Field(default=None, description="or the retrieval profile.")
    budget: Decimal | None = Field(
        default=None, gt=0, le=1_000_000, description="Of a shadow: what it may cost altogether."
    )
    all_tenants: bool = False

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"plan": "canary", "share": 0.05, "version": "own-1"}]}
    )

    @model_validator(mode="after")
    def _one_thing_is_tried(self) -> Self:
        if sum(each is not None for each in (self.version, self.model, self.profile)) != 1:
            raise ValueError("name one of version, model and profile")
        return self

    @property
    def chosen_share(self) -> float:
        usual = {Plan.CANARY: 0.05, Plan.AB: 0.5, Plan.SHADOW: 0.1}
        return usual[self.plan] if self.share is None else self.share

    @property
    def micros(self) -> Micro | None:
        return None if self.budget is None else Micro(round(self.budget * MICROS))

    @property
    def other_candidate(self) -> Candidate | None:
        """The model or the profile; None where a version is tried."""
        if self.model is not None:
            return ModelCandidate(self.model)
        if self.profile is not None:
            return ProfileCandidate(self.profile.model_dump(exclude_none=True))
        return None


class RolloutOut(Schema):
    id: int
    name: str
    owner: Owner
    plan: Plan
    candidate: Mapping[str, Any]
    share: float
    budget: float | None
    started_at: datetime
    started_by: str
    stopped_at: datetime | None
    stopped_by: str
    reason: str

    @classmethod
    def of(cls, rollout: Rollout) -> Self:
        return cls(
            id=rollout.id,
            name=rollout.name,
            owner=owner_of(rollout.tenant),
            plan=rollout.plan,
            candidate=told_of(rollout.candidate),
            share=rollout.share,
            budget=None if rollout.budget is None else rollout.budget / MICROS,
            started_at=rollout.started_at,
            started_by=person_told(rollout.started_by, rollout.tenant),
            stopped_at=rollout.stopped_at,
            stopped_by=person_told(rollout.stopped_by, rollout.tenant)
            if rollout.stopped_by
            else "",
            reason=rollout.reason,
        )


class ArmOut(Schema):
    asked: int
    errors: int
    judged: int
    ungrounded: int
    slow: int
    good: int = Field(description="Without an error, and not found to be unsupported.")
    mean_latency_ms: float
    cost: float

    @classmethod
    def of(cls, tally: Tally) -> Self:
        return cls(
            asked=tally.asked,
            errors=tally.failed,
            judged=tally.judged,
            ungrounded=tally.ungrounded,
            slow=tally.slow,
            good=tally.good,
            mean_latency_ms=tally.mean_latency_ms,
            cost=tally.cost / MICROS,
        )


class RolloutReport(Schema):
    rollout: RolloutOut
    control: ArmOut
    candidate: ArmOut
    winner: Arm | None = Field(description="Null until the test says so, however long that takes.")
    p_value: float | None = Field(
        description="That of a sequential test: it may be read at any time. Null for a shadow, whose "
        "arms answer the same questions."
    )

    @classmethod
    def made_of(cls, rollout: Rollout, arms: Mapping[Arm, Tally], result: Result | None) -> Self:
        return cls(
            rollout=RolloutOut.of(rollout),
            control=ArmOut.of(arms["control"]),
            candidate=ArmOut.of(arms["candidate"]),
            winner=result.arm if isinstance(result, Winner) else None,
            p_value=None if result is None else p_value_of(result),
        )


class StopRequest(Schema):
    reason: ShortText = Field(min_length=1)


def running_told(rollouts: Sequence[Rollout], name: str) -> list[int]:
    return [each.id for each in rollouts if each.name == name and each.runs]
