"""What `models.yaml` says of models and of those who serve them, as it is parsed."""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rag.adapters.list_prices import list_price
from rag.gateway.catalogue import (
    NO_CHARGE,
    Deployment,
    ModelSpec,
    Price,
    PromptCache,
    Provider,
    ProviderKind,
    Tier,
)
from rag.gateway.money import MICROS, Micro

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$")]
Region = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,32}$")]
Variable = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]{0,127}$")]
"""An environment variable's name. A key that is pasted here does not look like one."""


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PricePart(Part):
    """In the unit of account for a million tokens."""

    input: Decimal = Field(ge=0, le=1_000_000)
    output: Decimal = Field(ge=0, le=1_000_000)
    cached: Decimal | None = Field(default=None, ge=0, le=1_000_000)

    def price(self) -> Price:
        cached = None if self.cached is None else _micro(self.cached)
        return Price(input=_micro(self.input), output=_micro(self.output), cached=cached)


class ProviderPart(Part):
    kind: ProviderKind = "openai"
    base_url: str = ""
    key_variable: Variable | Literal[""] = ""
    llama_index_class: str = Field(default="", pattern=r"^([\w.]+:\w+)?$")
    region: Region | Literal[""] = ""
    trusted: bool = False
    prompt_cache: PromptCache = "none"

    @model_validator(mode="after")
    def _it_can_be_reached(self) -> Self:
        if self.kind == "llama_index" and not self.llama_index_class:
            raise ValueError("a llama_index provider needs llama_index_class as module:Class")
        if self.prompt_cache != "none" and self.kind != "openai":
            raise ValueError("prompt_cache is for the openai wire alone")
        _check_url(self.base_url)
        return self

    def provider(self, name: str) -> Provider:
        return Provider(
            name=name,
            kind=self.kind,
            base_url=self.base_url.rstrip("/"),
            key_variable=self.key_variable,
            llama_index_class=self.llama_index_class,
            region=self.region,
            trusted=self.trusted or self.kind == "extractive",
            prompt_cache=self.prompt_cache,
        )


class DeploymentPart(Part):
    provider: str
    model: str = ""
    name: Name | None = None
    base_url: str = ""
    region: Region | Literal[""] = ""
    trusted: bool | None = None
    weight: int = Field(default=1, ge=1, le=1_000)
    max_concurrent: int = Field(default=64, ge=1, le=10_000)

    def deployment(self, name: str, provider: Provider, model: str) -> Deployment:
        base_url = self.base_url.rstrip("/") or provider.base_url
        _check_url(base_url)
        if provider.kind == "openai" and not base_url:
            raise ValueError(f"deployment {name}: neither it nor its provider has a base_url")
        return Deployment(
            name=name,
            provider=provider,
            model=self.model or model,
            base_url=base_url,
            region=self.region or provider.region,
            trusted=provider.trusted if self.trusted is None else self.trusted,
            weight=self.weight,
            max_concurrent=self.max_concurrent,
        )


class ModelPart(Part):
    name: Name
    tier: Tier = Tier.STANDARD
    context_tokens: int = Field(ge=256, le=100_000_000)
    max_output_tokens: int = Field(default=4_096, ge=1, le=10_000_000)
    structured: bool = False
    logprobs: bool = False
    price: PricePart | Literal["genai-prices"] | None = None
    price_as: str = Field(default="", description="The model's name in genai-prices.")
    deployments: tuple[DeploymentPart, ...] = Field(min_length=1)

    def model(self, providers: Mapping[str, Provider]) -> ModelSpec:
        deployments: list[Deployment] = []
        for number, each in enumerate(self.deployments, start=1):
            if each.provider not in providers:
                raise ValueError(f"model {self.name}: there is no provider {each.provider!r}")
            unnamed = f"{self.name}@{each.provider}" + (f"-{number}" if number > 1 else "")
            provider = providers[each.provider]
            deployments.append(each.deployment(each.name or unnamed, provider, self.name))
        if len({each.provider.kind == "extractive" for each in deployments}) > 1:
            raise ValueError(f"model {self.name}: what only quotes is a model of its own")
        return ModelSpec(
            name=self.name,
            tier=self.tier,
            context_tokens=self.context_tokens,
            max_output_tokens=self.max_output_tokens,
            price=self._price(deployments),
            deployments=tuple(deployments),
            structured=self.structured,
            logprobs=self.logprobs,
        )

    def _price(self, deployments: list[Deployment]) -> Price | None:
        if isinstance(self.price, PricePart):
            return self.price.price()
        if all(each.provider.kind == "extractive" for each in deployments):
            return NO_CHARGE
        if self.price is None:
            return None
        listed = list_price(self.price_as or deployments[0].model)
        if listed is None:
            raise ValueError(
                f"model {self.name}: genai-prices knows no price; say price or price_as"
            )
        return listed


def _micro(amount: Decimal) -> Micro:
    return Micro(int((amount * MICROS).to_integral_value(ROUND_CEILING)))


def _check_url(url: str) -> None:
    if not url:
        return
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("base_url starts with http:// or https:// and names a host")
    if parts.username or parts.password or parts.query:
        raise ValueError("base_url holds no key: name its variable in key_variable")
