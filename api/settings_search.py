"""What an operator can set of search: embedding, retrieval, and when a new index may take over."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from api.settings_base import Section


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
