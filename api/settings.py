"""Everything an operator can set. Read once, at the edge of the process, and passed inward.

`load_settings()` reads them: `RAG_…` environment variables (nested with `__`) over `rag.toml` (in
the working directory, or where `RAG_CONFIG` says) over the defaults below.
"""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

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
from api.settings_ingestion import AccessSettings, IngestionSettings, ValidationSettings
from api.settings_search import EmbedderSettings, GateSettings, RetrievalSettings
from api.settings_server import LogSettings, OidcSettings, RateLimitSettings, ServerSettings
from api.settings_sources import PREFIX, StrictEnvironment, StrictToml
from rag.errors import ConfigurationError


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
