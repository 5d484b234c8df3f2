"""`models.yaml`, as operators write it and mistype it."""

from pathlib import Path

import pytest

from rag.access import TenantId
from rag.adapters.catalogue_file import catalogue_of, parse_models, read_models
from rag.errors import ConfigurationError, ParseError
from rag.gateway.calls import Lane
from rag.gateway.catalogue import EXTRACTIVE, UNKNOWN_CEILING, Price, Tier
from rag.gateway.money import Micro
from rag.gateway.routing import DEFAULT_RULES, Rule
from rag.trail import UseCase
from rag.types import Usage
from tests.routes import LARGE, MEDIUM, SMALL

WHOLE = """
providers:
  house:
    base_url: https://models.example.com/v1/
    trusted: true
    region: eu
  cloud:
    base_url: https://cloud.example.com/v1
    key_variable: CLOUD_KEY
    region: us
  native:
    kind: llama_index
    llama_index_class: llama_index.llms.example:Example
models:
  - name: small
    tier: cheap
    context_tokens: 32768
    max_output_tokens: 2048
    structured: true
    logprobs: true
    price: {input: 0.15, output: 0.6, cached: 0.075}
    deployments:
      - {provider: house, model: tiny-7b, weight: 2, max_concurrent: 8}
      - {provider: house, name: second, base_url: "https://other.example.com/v1", region: de}
  - name: large
    tier: premium
    context_tokens: 200000
    deployments: [{provider: cloud, trusted: false}, {provider: native}]
policy: {allow: [small]}
tenants:
  acme: {allow: [small, large], personal_data_regions: [eu, de]}
rules:
  - {name: enrichment, when: {use_case: enrich, lane: batch}, models: [small]}
  - {name: all else, tier: standard}
complexity: {standard: 0.4, premium: 0.9}
"""


def test_every_part_of_a_file_is_read() -> None:
    setup = parse_models(WHOLE.encode())
    small, large, extractive = setup.catalogue.models
    assert (small.name, small.tier, small.context_tokens, small.max_output_tokens) == (
        "small",
        Tier.CHEAP,
        32_768,
        2_048,
    )
    assert small.structured and small.logprobs
    assert small.price == Price(input=Micro(150_000), output=Micro(600_000), cached=Micro(75_000))
    first, second = small.deployments
    assert (first.name, first.model, first.base_url) == (
        "small@house",
        "tiny-7b",
        "https://models.example.com/v1",
    )
    assert (first.weight, first.max_concurrent, first.region, first.trusted) == (2, 8, "eu", True)
    assert (second.name, second.model, second.base_url, second.region) == (
        "second",
        "small",
        "https://other.example.com/v1",
        "de",
    )
    cloud, native = large.deployments
    assert cloud.provider.key_variable == "CLOUD_KEY" and not cloud.trusted
    assert native.provider.kind == "llama_index" and not native.trusted
    assert large.price is None and extractive == EXTRACTIVE
    assert setup.policies.of(TenantId("nobody")).allow == {"small"}
    assert setup.policies.of(TenantId("acme")).personal_data_regions == {"eu", "de"}
    assert setup.rules == (
        Rule(name="enrichment", use_case=UseCase.ENRICH, lane=Lane.BATCH, models=("small",)),
        Rule(name="all else", tier=Tier.STANDARD),
        *DEFAULT_RULES,
    )
    assert (setup.thresholds.standard, setup.thresholds.premium) == (0.4, 0.9)


def test_an_empty_file_leaves_what_quotes() -> None:
    assert parse_models(b"").catalogue.models == (EXTRACTIVE,)


def test_listed_prices_come_from_what_is_installed() -> None:
    setup = parse_models(
        b"""
providers: {one: {base_url: "http://localhost/v1"}}
models:
  - {name: a, context_tokens: 128000, price: genai-prices, price_as: "openai:gpt-4o-mini",
     deployments: [{provider: one}]}
  - {name: b, context_tokens: 128000, price: genai-prices,
     deployments: [{provider: one, model: gemini-2.5-pro}]}
"""
    )
    mini, pro = setup.catalogue.price_of("a"), setup.catalogue.price_of("b")
    assert mini == Price(input=Micro(150_000), output=Micro(600_000), cached=Micro(75_000))
    # It costs more beyond 200,000 tokens: nobody is promised the lower step.
    assert pro.input == 2_500_000


MODEL = "{name: m, context_tokens: 4096, deployments: [{provider: p}]}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("modles: []", "modles: Extra inputs are not permitted"),
        ("models: [{name: m}]", "models.0.context_tokens: Field required"),
        (f"models: [{MODEL}]", "the file: model m: there is no provider 'p'"),
        (
            f"providers: {{p: {{}}}}\nmodels: [{MODEL}]",
            "neither it nor its provider has a base_url",
        ),
        ("providers: {p: {base_url: 'ftp://x'}}", "base_url starts with http:// or https://"),
        ("providers: {p: {base_url: 'http://u:s3cret@x/v1'}}", "base_url holds no key"),
        ("providers: {p: {key_variable: sk-live-123}}", "providers.p.key_variable"),
        ("providers: {p: {api_key: sk-live-123}}", "providers.p.api_key: Extra inputs"),
        ("providers: {p: {kind: llama_index}}", "needs llama_index_class"),
        (
            f"providers: {{p: {{base_url: 'http://x/v1'}}}}\nmodels: [{MODEL}, {MODEL}]",
            "two models are called 'm'",
        ),
        ("tenants: {acme: {allow: [gone]}}", "acme: there is no model 'gone'"),
        ("rules: [{name: r, models: [gone]}]", "rule r: there is no model 'gone'"),
        ("rules: [{name: r}]", "a rule says either tier or models"),
        ("complexity: {standard: 0.9, premium: 0.1}", "it cannot be higher"),
        ("models: []\nmodels: []", "the key 'models' stands twice"),
        ("models: [", "it is not valid YAML"),
        ("[1, 2]", "the file: Input should be"),
    ],
)
def test_a_mistake_is_told_by_its_place(text: str, told: str) -> None:
    with pytest.raises(ParseError) as error:
        parse_models(text.encode())
    assert told in str(error.value)
    assert "s3cret" not in str(error.value) and "sk-live" not in str(error.value)


def test_a_model_whose_price_is_listed_nowhere_must_say_one() -> None:
    text = (
        "providers: {p: {base_url: 'http://x/v1'}}\n"
        "models: [{name: m, context_tokens: 4096, price: genai-prices, deployments: [{provider: p}]}]"
    )
    with pytest.raises(ParseError, match="genai-prices knows no price"):
        parse_models(text.encode())


def test_a_file_that_is_missing_or_wrong_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"models\.yaml cannot be read"):
        read_models(tmp_path / "models.yaml")
    (tmp_path / "models.yaml").write_text("modles: []")
    with pytest.raises(ConfigurationError, match=r"models\.yaml: modles"):
        read_models(tmp_path / "models.yaml")


def test_no_known_price_exceeds_the_ceiling() -> None:
    catalogue = catalogue_of((SMALL, LARGE))
    assert catalogue.ceiling == LARGE.price
    assert catalogue.price_of("unheard-of") == LARGE.price
    assert catalogue.price_of("small") == SMALL.price
    low = Price(input=Micro(1), output=Micro(1))
    assert catalogue_of((MEDIUM,), ceiling=low).ceiling == MEDIUM.price
    assert catalogue_of(()).ceiling == UNKNOWN_CEILING
    assert catalogue_of(()).price_of("extractive").cost(Usage(10_000, 10_000)) == 0
