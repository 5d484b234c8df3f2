"""What the routes of the prompts take and give of one version."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.shapes import Schema, ShortText
from rag.access import TenantId
from rag.prompts.versions import EVERY_TENANT, Content, Parameters, PromptVersion, Variant
from rag.storage.prompts.records import PLATFORM

VersionText = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}(@[0-9a-f]{8})?$")]
SectionText = Annotated[str, StringConstraints(max_length=20_000)]
Owner = Literal["tenant", "all tenants"]


def owner_of(tenant: TenantId) -> Owner:
    return "all tenants" if tenant == EVERY_TENANT else "tenant"


def person_told(who: str, tenant: TenantId) -> str:
    """Who did it; of what is every tenant's, only that an operator did: they are of one tenant."""
    return who if tenant != EVERY_TENANT or who in {"shipped", PLATFORM} else "operator"


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
        "created_by": person_told(version.created_by, version.tenant),
    }


class DifferenceOut(Schema):
    before: str
    after: str
    lines: list[str] = Field(description="A unified diff; none where the contents are equal.")
