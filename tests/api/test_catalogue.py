"""Which models the settings name, and whose keys they need."""

from pathlib import Path

import pytest

from api.catalogue import OF_SETTINGS, keys_of, models_of, router_of
from api.settings import Settings
from rag.errors import ConfigurationError
from rag.gateway.catalogue import EXTRACTIVE, Tier
from tests.routes import call, evidence

FILE = """
providers:
  cloud: {base_url: "https://cloud.example.com/v1", key_variable: CLOUD_KEY}
  house: {base_url: "http://localhost:8001/v1", trusted: true}
models:
  - {name: small, tier: cheap, context_tokens: 8192, deployments: [{provider: house}]}
  - {name: large, tier: premium, context_tokens: 8192, deployments: [{provider: cloud}]}
"""
OPENAI = {
    "language_model": {
        "kind": "openai",
        "model": "llama3",
        "base_url": "http://localhost:11434/v1/",
        "api_key": "s3cret",
        "trusted": True,
    }
}


def settings_with(tmp_path: Path, text: str = FILE) -> Settings:
    file = tmp_path / "models.yaml"
    file.write_text(text)
    return Settings.model_validate({"models": {"file": file}})


def test_without_any_setting_there_is_what_quotes() -> None:
    setup = models_of(Settings())
    assert setup.catalogue.models == (EXTRACTIVE,)
    route = router_of(setup).route(call(quoting=evidence()))
    assert [model.name for model in route.models] == ["extractive"]


def test_the_one_model_of_the_settings_stands_before_what_quotes() -> None:
    settings = Settings.model_validate(OPENAI)
    model, last = models_of(settings).catalogue.models
    assert (model.name, model.tier, model.price, last) == (
        "llama3",
        Tier.STANDARD,
        None,
        EXTRACTIVE,
    )
    [deployment] = model.deployments
    assert (deployment.base_url, deployment.trusted) == ("http://localhost:11434/v1", True)
    keys = keys_of(models_of(settings).catalogue, settings, {})
    assert {name: key.get_secret_value() for name, key in keys.items()} == {OF_SETTINGS: "s3cret"}


def test_a_llama_index_model_is_called_as_its_class_where_it_has_no_name() -> None:
    settings = Settings.model_validate(
        {"language_model": {"kind": "llama_index", "llama_index_class": "a.b:Some"}}
    )
    model, _ = models_of(settings).catalogue.models
    assert model.name == "Some" and model.deployments[0].provider.llama_index_class == "a.b:Some"


def test_a_file_takes_the_place_of_the_settings_model(tmp_path: Path) -> None:
    settings = settings_with(tmp_path)
    assert [model.name for model in models_of(settings).catalogue.models] == [
        "small",
        "large",
        "extractive",
    ]
    with pytest.raises(ValueError, match="set one of them"):
        Settings.model_validate({**OPENAI, "models": {"file": tmp_path / "models.yaml"}})


def test_keys_come_from_the_variables_that_the_file_names(tmp_path: Path) -> None:
    settings = settings_with(tmp_path)
    catalogue = models_of(settings).catalogue
    keys = keys_of(catalogue, settings, {"CLOUD_KEY": "s3cret", "OTHER": "x"})
    assert {name: key.get_secret_value() for name, key in keys.items()} == {"cloud": "s3cret"}
    with pytest.raises(ConfigurationError, match="provider cloud: CLOUD_KEY is not set"):
        keys_of(catalogue, settings, {})


def test_a_mistake_in_the_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"models\.yaml: modles: Extra inputs"):
        models_of(settings_with(tmp_path, "modles: []"))
