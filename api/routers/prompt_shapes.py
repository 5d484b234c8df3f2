"""What the routes of the prompts take and give."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from api.shapes import Schema, ShortText
from rag.access import TenantId
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
from rag.prompts.versions import EVERY_TENANT, Content, Parameters, PromptVersion, Variant
from rag.storage.prompts.records import PLATFORM, Change

VersionText = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}(@[0-9a-f]{8})?$")]
LabelText = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
SectionText = Annotated[str, StringConstraints(max_length=20_000)]
Owner = Literal["tenant", "all tenants"]


def owner_of(tenant: TenantId) -> Owner:
    return "all tenants" if tenant == EVERY_TENANT else "tenant"


def _person(who: str, tenant: TenantId) -> str:
    """Who did it; of what is every tenant's, only that an operator did: they are of one tenant."""
    return who if tenant != EVERY_TENANT or who in {"shipped", PLATFORM} else "operator"


# --- versions ----------------------------------------------------------------------------------


class VariantShape(Schema):
    """The four sections, for a locale and an audience; empty is for any."""

    locale: str = Field(default="", max_length=8, description="Two letters, such as `de`.")
    audience: str = Field(default="", max_length=32, description="Such as `staff`.")
    system: SectionText
    context: SectionText
    instruction: SectionText
    format: SectionText

    @classmethod
    def of(cls, variant: Variant) -> Self:
        return cls(
            locale=variant.locale,
            audience=variant.audience,
            system=variant.system,
            context=variant.context,
            instruction=variant.instruction,
            format=variant.format,
        )


class VersionRequest(Schema):
    variants: list[VariantShape] = Field(min_length=1, max_length=50)
    temperature: float = Field(default=0.0, ge=0, le=2)
    max_output_tokens: int = Field(default=512, ge=1, le=32_768)
    rationale: ShortText = Field(min_length=1, description="Why there is this version.")
    all_tenants: bool = Field(default=False, description="For operators: a version for everyone.")
    dry_run: bool = Field(default=False, description="Only say what is amiss.")

    @property
    def content(self) -> Content:
        return Content(
            variants=tuple(Variant(**each.model_dump()) for each in self.variants),
            parameters=Parameters(
                temperature=self.temperature, max_output_tokens=self.max_output_tokens
            ),
        )


class Percentiles(BaseModel):
    p95: float = Field(ge=0)


_Share = Annotated[float, Field(ge=0, le=1)]


class ReportShape(BaseModel):
    """What `rag eval golden --json` told; what is there besides is kept."""

    cases: int = Field(ge=1)
    ndcg_at_10: _Share = Field(alias="ndcg@10")
    recall_at_10: _Share = Field(alias="recall@10")
    citation_precision: _Share
    citation_recall: _Share
    answer_accuracy: _Share
    refusal_precision: _Share
    refusal_recall: _Share
    forbidden_leaks: int = Field(ge=0)
    search_ms: Percentiles
    ask_ms: Percentiles

    model_config = ConfigDict(extra="ignore")

    @property
    def kept(self) -> dict[str, Any]:
        return self.model_dump(by_alias=True)


class VersionOut(Schema):
    name: str
    version: str
    key: str = Field(description="With its content: what traces, caches and usage name.")
    owner: Owner
    rationale: str
    evaluated: bool
    created_at: datetime | None
    created_by: str

    @classmethod
    def of(cls, version: PromptVersion) -> Self:
        return cls(**_told(version))


class VersionDetail(VersionOut):
    variants: list[VariantShape]
    temperature: float
    max_output_tokens: int
    report: Mapping[str, Any] | None

    @classmethod
    def of(cls, version: PromptVersion) -> Self:
        return cls(
            **_told(version),
            variants=[VariantShape.of(each) for each in version.content.variants],
            temperature=version.content.parameters.temperature,
            max_output_tokens=version.content.parameters.max_output_tokens,
            report=version.report,
        )


def _told(version: PromptVersion) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.version,
        "key": version.key,
        "owner": owner_of(version.tenant),
        "rationale": version.rationale,
        "evaluated": version.report is not None,
        "created_at": version.created_at,
        "created_by": _person(version.created_by, version.tenant),
    }


class DifferenceOut(Schema):
    before: str
    after: str
    lines: list[str] = Field(description="A unified diff; none where the contents are equal.")


# --- labels ------------------------------------------------------------------------------------


class LabelRequest(Schema):
    version: VersionText
    all_tenants: bool = False
    force: bool = Field(default=False, description="Promote it though the gate is shut.")
    reason: ShortText = ""

    @model_validator(mode="after")
    def _force_says_why(self) -> Self:
        if self.force and not self.reason:
            raise ValueError("to force it, say why in `reason`")
        return self


class RollbackRequest(Schema):
    reason: ShortText = Field(min_length=1)
    label: LabelText = "production"
    all_tenants: bool = False


class LabelOut(Schema):
    label: str
    version: str
    owner: Owner


class LabelSetOut(Schema):
    label: LabelOut
    before: str | None
    forced_against: list[str]


class RollbackOut(Schema):
    gone: str
    now: str


class ChangeOut(Schema):
    revision: int
    owner: Owner
    kind: str
    label: str
    version: str | None
    before: str | None
    reason: str
    against: list[str]
    made_at: datetime
    made_by: str

    @classmethod
    def of(cls, change: Change) -> Self:
        return cls(
            revision=change.revision,
            owner=owner_of(change.tenant),
            kind=change.kind.value,
            label=change.label,
            version=change.version,
            before=change.before,
            reason=change.reason,
            against=list(change.against),
            made_at=change.made_at,
            made_by=_person(change.made_by, change.tenant),
        )


# --- rollouts ----------------------------------------------------------------------------------


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
            started_by=_person(rollout.started_by, rollout.tenant),
            stopped_at=rollout.stopped_at,
            stopped_by=_person(rollout.stopped_by, rollout.tenant) if rollout.stopped_by else "",
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


# --- a prompt ----------------------------------------------------------------------------------


class PromptOut(Schema):
    name: str
    variables: Mapping[str, str] = Field(description="What is filled in, and what each is.")
    labels: list[LabelOut]
    versions: int
    running: list[int] = Field(description="Rollouts, by number.")


class PromptsOut(Schema):
    prompts: list[PromptOut]


class PromptDetail(Schema):
    name: str
    variables: Mapping[str, str]
    labels: list[LabelOut]
    versions: list[VersionOut]
    rollouts: list[RolloutOut]
    changes: list[ChangeOut] = Field(description="The newest, the last one first.")


def labels_told(labels: Mapping[str, tuple[TenantId, str]]) -> list[LabelOut]:
    return [
        LabelOut(label=label, version=version, owner=owner_of(tenant))
        for label, (tenant, version) in sorted(labels.items())
    ]


def running_told(rollouts: Sequence[Rollout], name: str) -> list[int]:
    return [each.id for each in rollouts if each.name == name and each.runs]
