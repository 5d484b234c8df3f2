"""What an operator can set of models, money, caches, prompts, guardrails and audit."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from api.settings_base import Section


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
