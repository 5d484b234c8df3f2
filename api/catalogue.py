"""The models of this process, from its settings, and the keys of those who serve them."""

from collections.abc import Mapping

from pydantic import SecretStr

from api.settings import Settings
from api.settings_gateway import LanguageModelSettings
from rag.adapters.catalogue_file import ModelSetup, catalogue_of, read_models
from rag.errors import ConfigurationError
from rag.gateway.catalogue import Catalogue, Deployment, ModelSpec, Provider, Tier
from rag.gateway.complexity import load_complexity
from rag.gateway.routing import Router

OF_SETTINGS = "language_model"
"""The provider of the one model that the settings name where there is no `models.yaml`."""


def models_of(settings: Settings) -> ModelSetup:
    """What `models.file` says, or the settings' own model and what only quotes.

    Raises `ConfigurationError`.
    """
    if settings.models.file is not None:
        return read_models(settings.models.file)
    if settings.language_model.kind == "extractive":
        return ModelSetup(catalogue=catalogue_of(()))
    return ModelSetup(catalogue=catalogue_of((_model_of(settings.language_model),)))


def router_of(setup: ModelSetup) -> Router:
    return Router(
        catalogue=setup.catalogue,
        complexity=load_complexity(),
        policies=setup.policies,
        rules=setup.rules,
        thresholds=setup.thresholds,
    )


def keys_of(
    catalogue: Catalogue, settings: Settings, environment: Mapping[str, str]
) -> Mapping[str, SecretStr]:
    """Each provider's key, by the provider's name; those that need none are left out.

    Raises `ConfigurationError` where a variable that the catalogue names is not set.
    """
    keys: dict[str, SecretStr] = {}
    for provider in {each.provider for each in catalogue.deployments}:
        if provider.key_variable:
            if not environment.get(provider.key_variable):
                raise ConfigurationError(
                    f"provider {provider.name}: {provider.key_variable} is not set"
                )
            keys[provider.name] = SecretStr(environment[provider.key_variable])
    key = settings.language_model.api_key
    if key is not None and settings.models.file is None:
        keys[OF_SETTINGS] = key
    return keys


def _model_of(settings: LanguageModelSettings) -> ModelSpec:
    openai = settings.kind == "openai"
    provider = Provider(
        name=OF_SETTINGS,
        kind="openai" if openai else "llama_index",
        base_url=settings.base_url.rstrip("/") if openai else "",
        llama_index_class=settings.llama_index_class,
        trusted=settings.trusted,
        prompt_cache=settings.prompt_cache if openai else "none",
    )
    name = settings.model or settings.llama_index_class.rpartition(":")[2]
    deployment = Deployment(
        name=f"{name}@{OF_SETTINGS}",
        provider=provider,
        model=settings.model,
        base_url=provider.base_url,
        trusted=settings.trusted,
    )
    return ModelSpec(
        name=name,
        tier=Tier.STANDARD,
        context_tokens=settings.context_tokens,
        max_output_tokens=settings.context_tokens,
        price=None,
        deployments=(deployment,),
    )
