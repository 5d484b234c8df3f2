"""What the routes of the generations take and give."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from api.routers.jobs import FailureOut
from api.shapes import GroupText, QueryText, Schema, ShortText
from rag.evaluation.gate import Reason
from rag.evaluation.golden import GoldenCase
from rag.storage.generations.records import Generation, GenerationState, Recipe, Standing

MAX_CASES = 5_000
MAX_DOCUMENTS_OF_A_CASE = 100

CaseId = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
AskerText = Annotated[str, StringConstraints(pattern=r"^(user|app):[!-~]{1,249}$")]
Paths = Annotated[list[ShortText], Field(max_length=MAX_DOCUMENTS_OF_A_CASE)]


class RecipeOut(Schema):
    embedder: str
    model: str
    token_dimensions: int | None
    chunk_tokens: int
    overlap: float

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        return cls(
            embedder=recipe.embedder,
            model=recipe.model,
            token_dimensions=recipe.token_dimensions,
            chunk_tokens=recipe.chunk_tokens,
            overlap=recipe.overlap,
        )


class BuildRequest(Schema):
    """What is left out is as the settings have it now."""

    embedder: Literal["minilm", "sentence_transformers"] | None = None
    model: ShortText | None = Field(default=None, min_length=1)
    token_dimensions: int | None = Field(
        default=None, description="Null stores no token vectors; left out, as the settings have it."
    )
    chunk_tokens: int | None = None
    overlap: float | None = None
    dry_run: bool = False

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"chunk_tokens": 300, "overlap": 0.1, "dry_run": True}]}
    )

    def of_the_embedder(self) -> dict[str, Any]:
        """What is said of it, by the settings' names."""
        said: dict[str, Any] = {"kind": self.embedder, "model": self.model}
        said = {name: value for name, value in said.items() if value is not None}
        if "token_dimensions" in self.model_fields_set:
            said["token_dimensions"] = self.token_dimensions
        return said

    def of_the_chunks(self) -> dict[str, Any]:
        said = {"chunk_tokens": self.chunk_tokens, "overlap": self.overlap}
        return {name: value for name, value in said.items() if value is not None}


class StandingOut(Schema):
    documents: int = Field(description="Those of all tenants that readers see.")
    lacking: int = Field(description="Documents whose current content it does not hold.")
    failed: int = Field(description="Of those, the ones that failed: they wait for somebody.")
    chunks: int

    @classmethod
    def of(cls, standing: Standing) -> Self:
        return cls(
            documents=standing.documents,
            lacking=standing.lacking,
            failed=standing.failed,
            chunks=standing.chunks,
        )


class GenerationOut(Schema):
    id: int
    state: GenerationState
    recipe: RecipeOut | None
    created_at: datetime
    serving_since: datetime | None
    standing: StandingOut | None = Field(description="Null for one that was dropped.")
    verdict: Literal["passed", "refused"] | None = Field(
        description="Of its last comparison with the one that serves; null before the first."
    )

    @classmethod
    def of(cls, generation: Generation, standing: Standing | None) -> Self:
        comparison = (generation.report or {}).get("comparison")
        return cls(
            id=generation.id,
            state=generation.state,
            recipe=None if generation.recipe is None else RecipeOut.of(generation.recipe),
            created_at=generation.created_at,
            serving_since=generation.serving_since,
            standing=None if standing is None else StandingOut.of(standing),
            verdict=None if comparison is None else comparison["verdict"],
        )


class GenerationsOut(Schema):
    generations: list[GenerationOut]


class BuildOut(Schema):
    dry_run: bool
    recipe: RecipeOut
    documents: int
    bytes: int = Field(description="Size of the originals that are parsed again.")
    chunks: int = Field(description="Chunks of the one that serves.")
    tokens: int = Field(description="About as many are embedded: a quarter of the characters.")
    seconds: float | None = Field(
        description="How long it would take if nothing else were done; null before any job."
    )
    cost: float = Field(description="At `embedder.price_per_million_tokens`.")
    generation: GenerationOut | None = Field(description="Null in a dry run.")


class CaseIn(Schema):
    """A question, who asks it, and what should come back."""

    id: CaseId
    question: QueryText
    asker: AskerText = Field(alias="as")
    groups: list[GroupText] = Field(default_factory=list[str], max_length=1_000)
    kind: ShortText = "question"
    expected_documents: Paths = Field(default_factory=list[str])
    alternative_documents: Paths = Field(default_factory=list[str])
    forbidden_documents: Paths = Field(default_factory=list[str])
    answer_contains: Paths = Field(default_factory=list[str])
    answer_excludes: Paths = Field(default_factory=list[str])
    refuses: bool = False

    def case(self) -> GoldenCase:
        return GoldenCase(
            id=self.id,
            question=self.question,
            asker=self.asker,
            groups=frozenset(self.groups),
            kind=self.kind,
            expected_documents=tuple(self.expected_documents),
            alternative_documents=tuple(self.alternative_documents),
            forbidden_documents=tuple(self.forbidden_documents),
            answer_contains=tuple(self.answer_contains),
            answer_excludes=tuple(self.answer_excludes),
            refuses=self.refuses,
        )


def _a_folder(uri: str) -> str:
    if "://" not in uri:
        raise ValueError("it is no URI: file:///srv/handbook is one")
    return uri


class CompareRequest(Schema):
    cases: list[CaseIn] = Field(min_length=1, max_length=MAX_CASES)
    documents_uri: Annotated[ShortText, AfterValidator(_a_folder)] = Field(
        description="The folder that the documents of the cases lie in, as it was ingested."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "cases": [
                        {
                            "id": "people-001",
                            "question": "How many days of leave does a full-time employee get?",
                            "as": "user:1101",
                            "groups": ["group:operations"],
                            "expected_documents": ["people/leave-policy-2026.md"],
                            "answer_contains": ["26 days"],
                        }
                    ],
                    "documents_uri": "file:///srv/handbook",
                }
            ]
        }
    )

    @model_validator(mode="after")
    def _each_case_is_another(self) -> Self:
        if len({case.id for case in self.cases}) < len(self.cases):
            raise ValueError("two cases have the same id")
        return self


class FiguresOut(Schema):
    """What one generation reached; see docs/generations.md."""

    ndcg: float
    recall: float
    citation_precision: float
    citation_recall: float
    answer_accuracy: float
    refusal_precision: float
    refusal_recall: float
    forbidden_leaks: int
    search_p95_ms: float
    ask_p95_ms: float
    wrong: list[str] = Field(description="Ids of the cases that were answered wrongly.")


class ReasonOut(Schema):
    figure: str
    serving: float
    new: float
    words: str

    @classmethod
    def of(cls, reason: Reason) -> Self:
        return cls(figure=reason.figure, serving=reason.serving, new=reason.new, words=reason.words)


class ComparisonOut(Schema):
    """Figures and ids of cases; never what a document or an answer says."""

    verdict: Literal["passed", "refused"]
    reasons: list[ReasonOut]
    against: int = Field(description="The generation that served.")
    cases: int
    serving: FiguresOut
    new: FiguresOut
    standing: StandingOut = Field(description="How far the new one had come.")
    at: datetime
    by: str


class ForcedOut(Schema):
    by: str
    at: datetime
    against: list[str] = Field(description="What stood against it.")


class GenerationDetail(GenerationOut):
    comparison: ComparisonOut | None
    forced: ForcedOut | None = Field(description="Who sent readers to it all the same.")
    failures: list[FailureOut] = Field(
        description="Why documents failed, of all tenants, with an example of the caller's."
    )


class SwitchRequest(Schema):
    force: bool = Field(
        default=False, description="Whatever stands against it, but for forbidden leaks."
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"force": False}]})


class SwitchOut(Schema):
    serving: int
    before: int = Field(description="The one that served: it is kept, and one can go back to it.")
    lacking: int = Field(description="Documents that the one that serves now does not hold.")
    forced: list[str] = Field(description="What stood against it.")


def report_with(generation: Generation, **parts: Schema) -> Mapping[str, Any]:
    """Its report with `parts` in the place of those that it had."""
    new = {name: part.model_dump(mode="json") for name, part in parts.items()}
    return {**(generation.report or {}), **new}
