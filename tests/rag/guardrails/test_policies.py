"""Policies as a file says them, and which one holds."""

from pathlib import Path

import pytest

from rag.access import TenantId
from rag.adapters.policy_file import policies_of, read_policies
from rag.errors import ConfigurationError
from rag.guardrails.policy import Action, Passages
from rag.trail import UseCase

ACME, OTHER = TenantId("acme"), TenantId("other")
FILE = """
default:
  languages: [en, de]
  input: {injection: {threshold: 0.7}}
use_cases:
  chat: {strict: true}
tenants:
  acme:
    all:
      passages: quote
      input: {toxicity: {enabled: false}}
      classification: {actions: {restricted: block}}
    use_cases:
      evaluate: {dry_run: true}
topics:
  canteen: ["menu lunch soup"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "guardrails.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_the_shipped_policy_holds_for_everyone() -> None:
    policies = read_policies(None)
    policy = policies.of(ACME, UseCase.ASK)
    assert policy == policies.of(OTHER, UseCase.CHAT)
    assert policy.input["injection"].action is Action.BLOCK
    assert policy.input["secrets"].on_error == "closed"


def test_the_most_particular_policy_holds_and_says_only_what_is_different(tmp_path: Path) -> None:
    policies = read_policies(written(tmp_path, FILE))
    acme, acme_chat = policies.of(ACME, UseCase.ASK), policies.of(ACME, UseCase.CHAT)
    evaluate, other = policies.of(ACME, UseCase.EVALUATE), policies.of(OTHER, UseCase.ASK)
    assert acme.input["injection"].threshold == other.input["injection"].threshold == 0.7
    assert acme.input["injection"].action is Action.BLOCK
    assert "toxicity" not in acme.input and "toxicity" in other.input
    assert (acme.passages, other.passages) == (Passages.QUOTE, Passages.DROP)
    assert acme.classification.action_on("restricted") is Action.BLOCK
    assert (acme.strict, acme_chat.strict, acme_chat.passages) == (False, True, Passages.QUOTE)
    assert (evaluate.dry_run, evaluate.passages) == (True, Passages.QUOTE)
    assert policies.of(OTHER, UseCase.CHAT).strict
    assert policies.topics == {"canteen": ("menu lunch soup",)}


def test_a_version_is_the_hash_of_what_the_policy_says(tmp_path: Path) -> None:
    shipped = read_policies(None).default
    same = read_policies(written(tmp_path, "default: {strict: false}")).default
    other = read_policies(written(tmp_path, "default: {strict: true}")).default
    assert shipped.version == same.version != other.version


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("default: {inptu: {}}", "default.inptu: Extra inputs"),
        ("defaults: {}", "defaults: Extra inputs"),
        ("default: {input: {injection: {treshold: 1}}}", "default.input.injection.treshold"),
        ("default: {input: {injection: {threshold: 2}}}", "less than or equal to 1"),
        ("default: {input: {injection: {action: explode}}}", "default.input.injection.action"),
        ("use_cases: {asking: {}}", "use_cases.asking"),
        ("tenants: {acme: {use_cases: {ask: {hold_back: -1}}}}", "tenants.acme.use_cases.ask"),
        ("default: {classification: {unknown: none}}", "'none' is none of the levels"),
        ("default: {classification: {actions: {internal: mask}}}", "allowed, flagged or blocked"),
        ("default: {input: {secrets: {action: mask}}}", "input.secrets: `mask` is for outputs"),
        ("default: {evidence: {injection: {kinds: {role: mask}}}}", "evidence.injection: `mask`"),
        ("default: {strict: true, strict: false}", "stands twice"),
        ("- a\n- b", "a mapping is expected"),
        ("default: [", "not valid YAML"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=r"guardrails\.yaml") as raised:
        read_policies(written(tmp_path, text))
    assert told in str(raised.value)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_policies(tmp_path / "nowhere.yaml")


def test_other_words_of_a_topic_make_another_policy() -> None:
    def version(words: str, *, denied: str = "cars") -> str:
        written = {"default": {"topics": {"denied": [denied]}}, "topics": {"cars": [words]}}
        return policies_of(written, name="test").default.version

    assert version("engine wheel") == version("engine wheel")
    assert version("engine wheel") != version("engine brake")
    assert version("engine wheel", denied="politics") == version("brake", denied="politics")
