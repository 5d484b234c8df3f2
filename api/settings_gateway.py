"""What an operator can set of models, money, caches, prompts, guardrails and audit."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from api.settings_base import Section
from rag.gateway.catalogue import PromptCache
from rag.prompts.tallies import Limits


class LanguageModelSettings(Section):
    kind: Literal["extractive", "openai", "llama_index"] = Field(
        default="extractive",
        description="Quotes from the evidence; an OpenAI-compatible endpoint; a llama-index LLM.",
    )
    base_url: str = Field(
        default="http://localhost:11434/v1", description="The OpenAI-compatible endpoint."
    )
    model: str = Field(default="", description="The model's name at that endpoint.")
    api_key: SecretStr | None = Field(default=None, description="The endpoint's key.")
    llama_index_class: str = Field(
        default="", description="For `llama_index`: `module:Class` of the LLM, made with `model`."
    )
    context_tokens: int = Field(
        default=32_768, ge=256, description="How many tokens of input and output it takes."
    )
    trusted: bool = Field(
        default=False,
        description="Whether it is your own, so that personal data may reach it unmasked.",
    )
    prompt_cache: PromptCache = Field(
        default="none",
        description="How the endpoint is told which prompts begin alike: by `prompt_cache_key`, by "
        "`cache_salt` (vLLM), by a mark on the system message. docs/models.md says more.",
    )
    connect_timeout_s: float = Field(default=5, gt=0, description="Time to connect.")
    first_token_timeout_s: float = Field(default=30, gt=0, description="Time to the first token.")
    total_timeout_s: float = Field(default=120, gt=0, description="Time for the whole answer.")

    @model_validator(mode="after")
    def _a_model_is_named(self) -> Self:
        if self.kind == "openai" and not self.model:
            raise ValueError("kind = openai needs `model`")
        if self.kind == "llama_index" and ":" not in self.llama_index_class:
            raise ValueError("kind = llama_index needs `llama_index_class` as module:Class")
        return self


class ModelsSettings(Section):
    file: Path | None = Field(
        default=None,
        description="`models.yaml`: the models that may be called, the tenants' policies and the "
        "rules of routing; in place of `language_model`. docs/models.md describes it.",
    )
    keep_routes_days: int = Field(
        default=90, ge=1, le=3_650, description="How long outcomes of routes are kept."
    )


class GatewaySettings(Section):
    deadline_s: float = Field(
        default=120, gt=0, description="Time for all attempts of a call together."
    )
    batch_deadline_s: float = Field(
        default=1_800, gt=0, description="The same for batch work, its wait for room included."
    )
    connect_timeout_s: float = Field(default=5, gt=0, description="Time to connect.")
    first_token_timeout_s: float = Field(default=30, gt=0, description="Time to the first token.")
    gap_timeout_s: float = Field(default=20, gt=0, description="Time between two tokens.")
    attempt_timeout_s: float = Field(default=90, gt=0, description="Time for one attempt.")
    retries: int = Field(
        default=1, ge=0, le=5, description="Further rounds over a model's deployments that failed."
    )
    backoff_s: float = Field(
        default=0.2, ge=0, description="The longest wait before the first of them; then twice that."
    )
    restarts: bool = Field(
        default=True,
        description="Whether another deployment begins again when one breaks off in mid-answer.",
    )
    cooldown_s: float = Field(
        default=5,
        ge=0,
        description="For a deployment that answers 429 without saying for how long.",
    )
    breaker_window_s: float = Field(
        default=30, gt=0, description="Calls of a deployment are judged over so long."
    )
    breaker_failure_share: float = Field(
        default=0.5, gt=0, le=1, description="Share of failures that stops calls to a deployment."
    )
    breaker_minimum_calls: int = Field(
        default=5, ge=1, description="Fewer calls than these stop nothing."
    )
    breaker_open_s: float = Field(
        default=15, gt=0, description="For so long a deployment is left alone, then it is probed."
    )
    breaker_probes: int = Field(
        default=2, ge=1, description="Probes at once, and successes that bring it back."
    )
    batch_share: float = Field(
        default=0.5, gt=0, le=1, description="Share of a deployment that batch work may fill."
    )
    health_every_s: float = Field(
        default=30, ge=0, description="How often deployments are asked if they answer; 0: never."
    )
    share_identical_calls: bool = Field(
        default=True,
        description="Whether identical calls of a tenant at the same time are made once.",
    )


class AuditSettings(Section):
    text: Literal["none", "hashes", "redacted", "full"] = Field(
        default="redacted",
        description="What the audit keeps of questions and answers, sealed with the person's key: "
        "nothing, keyed hashes, the text without personal data and secrets, or all of it.",
    )
    key: SecretStr | None = Field(
        default=None,
        description="32 bytes in base64 that every key of the audit comes from. Unset: a file in "
        "`data_dir`. All processes of a platform need the same.",
    )
    anchor_file: Path | None = Field(
        default=None,
        description="Where signed anchors of the audit are appended: best outside the reach of "
        "whoever owns the database. Unset: in `data_dir`.",
    )
    anchor_every_s: float = Field(
        default=300, gt=0, description="Time between two anchors of an audit that goes on."
    )
    retention_months: int | None = Field(
        default=None,
        ge=1,
        le=1_200,
        description="Full months for which audit entries are kept. Unset: for good.",
    )


class PromptSettings(Section):
    """A share runs from 0 to 1."""

    pinned: dict[str, str] = Field(
        default_factory=dict,
        description="Versions that this process uses whatever the labels say, by name, as an "
        'evaluation does: {"answer": "own-3"}.',
    )
    slow_ms: float = Field(
        default=10_000, gt=0, description="An answer that takes longer counts as slow."
    )
    window_minutes: float = Field(
        default=30, ge=1, description="Outcomes within it decide about going back by itself."
    )
    watched_minutes: float = Field(
        default=1_440, ge=1, description="For how long a promoted version is watched."
    )
    least_outcomes: int = Field(
        default=30, ge=10, description="Fewer outcomes than these say nothing."
    )
    error_rise: float = Field(
        default=0.02, ge=0, le=1, description="How much the share of errors may rise."
    )
    ungrounded_rise: float = Field(
        default=0.05, ge=0, le=1, description="How much the share of unsupported answers may rise."
    )
    slow_rise: float = Field(
        default=0.10, ge=0, le=1, description="How much the share of slow answers may rise."
    )
    kept_days: float = Field(default=90, ge=1, description="How long counted outcomes are kept.")

    @property
    def limits(self) -> Limits:
        return Limits(
            least=self.least_outcomes,
            error_rise=self.error_rise,
            ungrounded_rise=self.ungrounded_rise,
            slow_rise=self.slow_rise,
        )


TokensByTask = dict[str, Annotated[int, Field(ge=1)]]


class BudgetSettings(Section):
    teams: tuple[Annotated[str, Field(pattern=r"^group:[!-~]{1,249}$")], ...] = Field(
        default=(),
        description="Groups whose members spend as a team, the first that somebody belongs to. "
        "Besides them, every group that has a budget as a team.",
    )
    max_input_tokens: TokensByTask = Field(
        default_factory=dict,
        description="Tokens of one call's messages, as JSON, by what it is for: `chat`, "
        "`ask/answer`, or `*`. Longer ones are refused.",
    )
    max_output_tokens: TokensByTask = Field(
        default_factory=dict, description="Tokens that one call may write, in the same way."
    )
    when_spent: Literal["refuse", "quote"] = Field(
        default="refuse",
        description="What becomes of a question that no budget has room for: it is refused (429), or "
        "answered by quoting passages, which costs nothing and is said in the answer.",
    )
    in_redis: bool = Field(
        default=True,
        description="Whether Redis counts, where there is one: it must not evict keys.",
    )
    lease_s: float = Field(
        default=600,
        gt=0,
        description="After so long, what a call holds that never ended is given back: longer than "
        "any call.",
    )


class AnswerCacheSettings(Section):
    """Answers that are given again, to those who may read what they were made of."""

    enabled: bool = Field(default=True, description="Whether answers are given again at all.")
    shared: bool = Field(
        default=True,
        description="Whether others than who asked first are given an answer, as far as they may "
        "read all of its evidence.",
    )
    threshold: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="Least cosine of two questions that share an answer; their words must say the "
        "same besides.",
    )
    ttl_s: float = Field(default=3_600, gt=0, description="How old an answer may be.")
    max_answers: int = Field(
        default=2_000, ge=1, description="Answers kept of a tenant; those unused for longest go."
    )
    changes_ignored_s: float = Field(
        default=0,
        ge=0,
        description="For how long an answer may be given after another document of the tenant was "
        "added or changed. A change of its own evidence counts at once in any case.",
    )
    recheck_share: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="Share of the answers given again that are made anew afterwards, to compare.",
    )


class ConversationSettings(Section):
    kept_days: float = Field(
        default=30, gt=0, le=3_650, description="For how long an unused conversation is kept."
    )
    history_tokens: int = Field(
        default=600,
        ge=50,
        description="What of a conversation a model is shown that rewrites a follow-up question.",
    )
    rewrite_deadline_s: float = Field(
        default=1.5,
        gt=0,
        description="Time for that model; then the question is completed by rules alone.",
    )
    summaries: bool = Field(
        default=True,
        description="Whether a model sums up, after an answer, the turns that no longer fit. Else, and "
        "where none can, sentences of them are chosen.",
    )
    summary_input_tokens: int = Field(
        default=3_000, ge=200, description="What it is shown of the older turns at a time."
    )


class MaskingSettings(Section):
    enabled: bool = Field(
        default=True,
        description="Whether personal data and secrets are replaced by placeholders in what is sent "
        "to a model that is not your own. Where not, only trusted models may be sent any.",
    )
    depth: Literal["patterns", "likely", "thorough"] = Field(
        default="likely",
        description="How hard it is looked for: what has a form; whatever may be a name, too; and "
        "with a model of names besides. docs/masking.md has what each finds and costs.",
    )
    names_timeout_s: float = Field(
        default=30, gt=0, description="Time for the model of names to read a message."
    )
    public_words: tuple[Annotated[str, Field(min_length=2, max_length=64)], ...] = Field(
        default=(),
        description="Words that name nobody here, such as your firm, products and sites. They are "
        "not masked where no name stands beside them.",
    )


class GuardrailSettings(Section):
    file: Path | None = Field(
        default=None,
        description="`guardrails.yaml`: policies by tenant and use case, over the shipped ones. "
        "docs/guardrails.md describes it.",
    )
    link_hosts: tuple[Annotated[str, Field(min_length=1, max_length=253)], ...] = Field(
        default=(),
        description="Hosts that links and images in answers may lead to, such as "
        "`intranet.example.com` or `*.example.com`. Others are taken out.",
    )
