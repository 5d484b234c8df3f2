"""Everything an operator can set. Read once, at the edge of the process, and passed inward.

`load_settings()` reads them: `RAG_…` environment variables (nested with `__`) over `rag.toml` (in
the working directory, or where `RAG_CONFIG` says) over the defaults below.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from api.settings_base import Section
from api.settings_gateway import (
    AnswerCacheSettings,
    AuditSettings,
    BudgetSettings,
    ConversationSettings,
    GatewaySettings,
    GuardrailSettings,
    LanguageModelSettings,
    MaskingSettings,
    ModelsSettings,
    PromptSettings,
)
from api.settings_sources import PREFIX, StrictEnvironment, StrictToml
from rag.errors import ConfigurationError

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
MIB = 1024 * 1024


class RetrievalSettings(Section):
    candidates: int = Field(default=50, ge=1, le=1_000, description="Hits taken from each search.")
    fusion: Literal["sum", "rrf"] = Field(
        default="sum", description="Normalised sum of scores, or reciprocal rank fusion."
    )
    dense_weight: float = Field(default=1.0, ge=0, description="Weight of the dense ranking.")
    sparse_weight: float = Field(default=1.0, ge=0, description="Weight of the BM25 ranking.")
    dictionary: bool = Field(
        default=True,
        description="Also look for a question's words in the other language (English, German) and for their synonyms.",
    )
    translated_weight: float = Field(
        default=1.0, ge=0, description="Weight of the ranking by translated words."
    )
    rerank: Literal["late_interaction", "cross_encoder", "none"] = Field(
        default="late_interaction", description="What orders the fused hits once more."
    )
    rerank_model: str = Field(
        default="cross-encoder/ms-marco-MiniLM-L6-v2",
        description="Model id or path of the cross-encoder.",
    )
    rerank_candidates: int = Field(
        default=20, ge=1, le=1_000, description="Hits that are reranked."
    )
    rerank_budget_ms: float = Field(
        default=300, gt=0, description="Time a rerank may take; the rest keep their fused order."
    )
    rerank_weight: float = Field(
        default=0.4, ge=0, le=1, description="Share of the reranker's score beside the fused one."
    )

    @model_validator(mode="after")
    def _some_ranking_counts(self) -> Self:
        if self.dense_weight == 0 and self.sparse_weight == 0:
            raise ValueError("dense_weight and sparse_weight cannot both be 0")
        return self


class EmbedderSettings(Section):
    kind: Literal["minilm", "sentence_transformers"] = Field(
        default="minilm", description="The MiniLM of the packages on ONNX Runtime, or any model id."
    )
    model: str = Field(
        default="sentence-transformers/all-MiniLM-L6-v2",
        description="Model id or path for `sentence_transformers`.",
    )
    threads: int = Field(default=2, ge=1, le=64, description="Threads of one forward pass.")
    token_dimensions: int | None = Field(
        default=128,
        ge=16,
        description="Dimensions of stored token vectors; unset: none are stored.",
    )
    price_per_million_tokens: float = Field(
        default=0.0,
        ge=0,
        description="What embedding a million tokens costs, for estimates. A model of one's own "
        "machine costs nothing.",
    )


class IngestionSettings(Section):
    filesystem_roots: tuple[Path, ...] = Field(
        default=(),
        description="Folders below which connectors may be registered. Unset: anywhere. Set it "
        "where a tenant's administrators are not the machine's.",
    )
    max_bytes: int = Field(default=100 * MIB, ge=1, description="Size of one document.")
    parse_timeout_s: float = Field(
        default=120, gt=0, description="Time that parsing a document may take."
    )
    parse_memory_bytes: int = Field(
        default=2_048 * MIB, ge=256 * MIB, description="Memory of the parsing subprocess."
    )
    max_pages: int = Field(default=2_000, ge=1, description="Pages or slides of one document.")
    container_levels: int = Field(
        default=3, ge=0, le=10, description="How deep documents are looked for inside documents."
    )
    container_files: int = Field(
        default=2_000, ge=0, le=100_000, description="Documents that one may hold, at all depths."
    )
    container_bytes: int = Field(
        default=1_024 * MIB, ge=0, description="Size of all that one document holds, unpacked."
    )
    parsers: int = Field(default=1, ge=1, le=32, description="Parsing subprocesses.")
    chunk_tokens: int = Field(default=200, ge=32, le=2_000, description="Token budget of a chunk.")
    overlap: float = Field(default=0.15, ge=0, le=0.5, description="Overlap inside a section.")
    workers: int = Field(
        default=8, ge=1, le=64, description="Jobs that one process runs at a time."
    )
    source_timeout_s: float = Field(
        default=300, gt=0, description="How long a source may be silent while it is read."
    )
    lease_s: float = Field(default=300, gt=0, description="How long a worker holds a job unheard.")
    memory_bytes: int | None = Field(
        default=None,
        ge=256 * MIB,
        description="Resident memory of this process and its parsers above which no more jobs are "
        "begun. Unset: 80 % of what the machine has or the container may take.",
    )
    tenant_weights: dict[str, Annotated[float, Field(gt=0, le=1_000)]] = Field(
        default_factory=dict,
        description="Shares of the tenants in running jobs, as JSON; 1 where nothing is said.",
    )


class ValidationSettings(Section):
    """What holds for every source; a connector's `validation` setting may say otherwise."""

    secrets: Literal["allow", "mask", "quarantine"] = Field(
        default="allow",
        description="What is done with passwords, keys and tokens in documents; they are counted "
        "in any case.",
    )
    personal_data: Literal["allow", "mask", "quarantine"] = Field(
        default="allow", description="The same with addresses, account numbers and the like."
    )
    instructions: Literal["warn", "quarantine"] = Field(
        default="warn", description="Where a text tells a language model what to do."
    )
    garbled: Literal["warn", "quarantine"] = Field(
        default="quarantine", description="Where most of a text is no words."
    )
    columns_changed: Literal["warn", "quarantine"] = Field(
        default="warn", description="Where a table's columns are others than in its last version."
    )
    values_missing: Literal["warn", "quarantine"] = Field(
        default="quarantine", description="Where a connector's `required_columns` have gaps."
    )
    min_characters: int = Field(
        default=0, ge=0, description="Documents with less text are quarantined."
    )
    near_duplicates: bool = Field(
        default=True, description="Whether documents are compared with the tenant's others."
    )
    kept_versions: int = Field(
        default=10, ge=1, le=1_000, description="Versions of a document whose verdicts are kept."
    )


class ServerSettings(Section):
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=1, le=65_535, description="Port to listen on.")
    max_request_bytes: int = Field(
        default=256 * 1024, ge=1_024, description="Size of a request body, uploads aside."
    )
    upload_overhead_bytes: int = Field(
        default=MIB, ge=0, description="What an upload may carry besides the document itself."
    )


class RateLimitSettings(Section):
    """Written as the `limits` library writes them: `60/minute`, several joined by `;`."""

    per_caller: str = Field(default="300/minute", description="For one key or one person.")
    per_tenant: str = Field(
        default="3000/minute", description="For all callers of a tenant together."
    )
    per_key: str = Field(
        default="",
        description="For all that come with one key, whoever it speaks for. Unset: no limit.",
    )
    tokens_per_user: str = Field(
        default="",
        description="Tokens that models may read and write for one user: `100000/minute`. Unset: "
        "no limit.",
    )
    tokens_per_key: str = Field(default="", description="The same for all that come with one key.")
    tokens_per_tenant: str = Field(default="", description="The same for a tenant.")
    enabled: bool = Field(default=True, description="Whether callers are limited at all.")


class OidcSettings(Section):
    issuer: str | None = Field(default=None, description="The provider's issuer. Unset: no OIDC.")
    audience: str | None = Field(default=None, description="What `aud` must hold.")
    jwks_uri: str | None = Field(
        default=None, description="The provider's keys. Unset: discovered."
    )
    algorithms: tuple[Algorithm, ...] = Field(
        default=("RS256", "ES256"),
        min_length=1,
        description="Signatures accepted; asymmetric only.",
    )
    subject_claim: str = Field(default="sub", description="The claim that becomes `user:…`.")
    groups_claim: str = Field(
        default="groups", description="The claim that lists immutable group ids."
    )
    group_prefix: str = Field(
        default="group:oidc:",
        pattern=r"^group:[A-Za-z0-9:._-]*$",
        description="What a group's id in the claim is put behind to become a principal id.",
    )
    tenant: str | None = Field(
        default=None, description="The tenant of its users. Unset: `tenant`."
    )
    permissions: tuple[str, ...] = Field(
        default=("search", "ask", "documents:read", "feedback"),
        description="What everyone who signs in may do.",
    )
    admin_groups: tuple[str, ...] = Field(
        default=(), description="Principal ids of groups whose members may administrate."
    )
    leeway_s: float = Field(default=30, ge=0, le=120, description="Clock skew that is forgiven.")
    refresh_cooldown_s: float = Field(
        default=30, ge=1, description="Time between two fetches of the provider's keys."
    )
    refresh_after_s: float = Field(
        default=3_600, ge=1, description="Age at which the provider's keys are fetched anew."
    )
    max_age_s: float = Field(
        default=86_400, ge=1, description="Age beyond which keys that were not renewed are void."
    )

    @model_validator(mode="after")
    def _an_issuer_needs_an_audience(self) -> Self:
        if self.issuer and not self.audience:
            raise ValueError("oidc.issuer needs oidc.audience: a token for others is not for us")
        return self


Fall = Annotated[float, Field(ge=0, le=1)]


class GateSettings(Section):
    """How much worse a generation of the index may be than the one that serves, to take its
    place. Shares run from 0 to 1."""

    ndcg_fall: Fall = Field(default=0.02, description="How much nDCG@10 may fall.")
    recall_fall: Fall = Field(default=0.02, description="How much recall@10 may fall.")
    citation_precision_fall: Fall = Field(
        default=0.02, description="How much the precision of citations may fall."
    )
    citation_recall_fall: Fall = Field(
        default=0.02, description="How much the recall of citations may fall."
    )
    answer_accuracy_fall: Fall = Field(
        default=0.02, description="How much the share of right answers may fall."
    )
    refusal_fall: Fall = Field(
        default=0.02, description="How much the precision and the recall of refusals may fall."
    )
    latency_ratio: float = Field(
        default=1.5, ge=1, description="How many times as long a search or an answer may take, p95."
    )
    latency_slack_ms: float = Field(
        default=50, ge=0, description="So much longer it may take in any case."
    )


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level."
    )


class AccessSettings(Section):
    max_age_hours: float | None = Field(
        default=None,
        gt=0,
        le=1_000_000,
        description="Hide a document when its source has not confirmed for so long who may read "
        "it. A connector may say otherwise; pushed documents are never hidden. Unset: never.",
    )

    @property
    def max_age(self) -> timedelta | None:
        return None if self.max_age_hours is None else timedelta(hours=self.max_age_hours)


class Settings(BaseSettings):
    """Frozen. An unknown `RAG_…` variable or key is a `ConfigurationError` that names it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_nested_max_split=1,
        extra="forbid",
        frozen=True,
    )

    data_dir: Path = Field(
        default=Path(".rag-data"),
        description="Where the database, the index and the originals live.",
    )
    database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL, or another SQLite file. Unset: SQLite in `data_dir`."
    )
    redis_url: SecretStr | None = Field(
        default=None, description="Redis for jobs and rate limits. Unset: both inside this process."
    )
    qdrant_url: str | None = Field(
        default=None,
        description="A Qdrant server or cluster. Unset: Qdrant Edge inside this process.",
    )
    qdrant_api_key: SecretStr | None = Field(
        default=None, description="The Qdrant server's API key."
    )
    qdrant_collection: str = Field(
        default="chunks", min_length=1, description="The collection's name."
    )
    tenant: str = Field(
        default="default",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="The tenant where none is named.",
    )
    retrieval: RetrievalSettings = Field(default_factory=RetrievalSettings)
    language_model: LanguageModelSettings = Field(default_factory=LanguageModelSettings)
    models: ModelsSettings = Field(default_factory=ModelsSettings)
    gateway: GatewaySettings = Field(default_factory=GatewaySettings)
    embedder: EmbedderSettings = Field(default_factory=EmbedderSettings)
    ingestion: IngestionSettings = Field(default_factory=IngestionSettings)
    validation: ValidationSettings = Field(default_factory=ValidationSettings)
    server: ServerSettings = Field(default_factory=ServerSettings)
    rate_limits: RateLimitSettings = Field(default_factory=RateLimitSettings)
    oidc: OidcSettings = Field(default_factory=OidcSettings)
    access: AccessSettings = Field(default_factory=AccessSettings)
    gate: GateSettings = Field(default_factory=GateSettings)
    prompts: PromptSettings = Field(default_factory=PromptSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    budgets: BudgetSettings = Field(default_factory=BudgetSettings)
    answer_cache: AnswerCacheSettings = Field(default_factory=AnswerCacheSettings)
    conversations: ConversationSettings = Field(default_factory=ConversationSettings)
    guardrails: GuardrailSettings = Field(default_factory=GuardrailSettings)
    masking: MaskingSettings = Field(default_factory=MaskingSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @model_validator(mode="after")
    def _late_interaction_has_its_token_vectors(self) -> Self:
        gives_tokens = self.embedder.kind == "minilm" and self.embedder.token_dimensions is not None
        if self.retrieval.rerank == "late_interaction" and not gives_tokens:
            raise ValueError(
                "retrieval.rerank = late_interaction needs token vectors, which only"
                " embedder.kind = minilm with token_dimensions gives; set cross_encoder or none"
            )
        return self

    @model_validator(mode="after")
    def _models_are_named_in_one_place(self) -> Self:
        if self.models.file is not None and self.language_model.kind != "extractive":
            raise ValueError("models.file takes the place of language_model: set one of them")
        return self

    @property
    def fetched_dir(self) -> Path:
        """Where connectors keep copies of what they would else fetch again."""
        return self.data_dir / "fetched"

    @property
    def audit_anchor_file(self) -> Path:
        return self.audit.anchor_file or self.data_dir / "audit-anchors.jsonl"

    @property
    def resolved_database_url(self) -> str:
        """The database to open: `database_url`, or the SQLite file in `data_dir`."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{(self.data_dir / 'rag.db').absolute()}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        _ = env_settings, dotenv_settings, file_secret_settings
        return init_settings, StrictEnvironment(settings_cls), StrictToml(settings_cls)


def load_settings() -> Settings:
    """The settings of this process. Every mistake is a `ConfigurationError` of one line each."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(_told(error)) from None
    except SettingsError as error:
        raise ConfigurationError(f"{error}: a list is written as JSON") from None


def _told(error: ValidationError) -> str:
    """What is wrong, by setting. Never the value: it may be a secret."""
    return "\n".join(
        f"{'.'.join(map(str, entry['loc'])) or 'settings'}: {entry['msg']}"
        for entry in error.errors(include_input=False, include_url=False, include_context=False)
    )
