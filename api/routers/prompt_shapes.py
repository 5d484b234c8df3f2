"""What the routes of the prompts take and give of a prompt as a whole, its labels and its changes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from api.routers.prompt_version_shapes import Owner, VersionOut, VersionText, owner_of, person_told
from api.routers.rollout_shapes import RolloutOut
from api.shapes import Schema, ShortText
from rag.access import TenantId
from rag.storage.prompts.records import Change

LabelText = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


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
            made_by=person_told(change.made_by, change.tenant),
        )


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
