"""The guardrails of a process, from its settings: every check there is, and the policies over them."""

from collections.abc import Iterable

from api.settings import Settings
from rag.adapters.language_detector import FastLanguageDetector
from rag.adapters.policy_file import read_policies
from rag.grounding import GroundingCheck
from rag.guardrails.checks import Check
from rag.guardrails.flow import Guardrails
from rag.guardrails.groundedness import GroundednessCheck
from rag.guardrails.injection import InjectionCheck
from rag.guardrails.judge import ModelJudge
from rag.guardrails.language import LanguageCheck
from rag.guardrails.leakage import CanaryOf, LeakageCheck, no_canary
from rag.guardrails.length import LengthCheck
from rag.guardrails.linear import load_linear
from rag.guardrails.links import LinksCheck
from rag.guardrails.pii import PersonalData, PersonalDataCheck
from rag.guardrails.policy import Policies
from rag.guardrails.remembering import Remembering
from rag.guardrails.secrets_check import SecretsCheck
from rag.guardrails.topics import TopicCheck
from rag.guardrails.toxicity import ToxicityCheck


def build_guardrails(
    settings: Settings,
    *,
    grounding: GroundingCheck | None = None,
    canary: CanaryOf = no_canary,
    judge: ModelJudge | None = None,
) -> Guardrails:
    """Without `grounding` no policy may name `groundedness`, and `judge` without a judge. Raises `ConfigurationError` where the
    policy file makes no sense."""
    policies = read_policies(settings.guardrails.file)
    checks = checks_for(
        policies, grounding=grounding, canary=canary, link_hosts=settings.guardrails.link_hosts
    )
    return Guardrails(checks=checks if judge is None else (*checks, judge), policies=policies)


def checks_for(
    policies: Policies,
    *,
    grounding: GroundingCheck | None = None,
    canary: CanaryOf = no_canary,
    link_hosts: Iterable[str] = (),
) -> tuple[Check, ...]:
    """Every check there is. The weights of the classifiers are read here."""
    checks: tuple[Check, ...] = (
        LengthCheck(policies),
        TopicCheck(policies),
        LanguageCheck(FastLanguageDetector(), policies),
        Remembering(SecretsCheck()),
        PersonalDataCheck(finder=PersonalData()),
        Remembering(InjectionCheck(load_linear("injection"))),
        Remembering(ToxicityCheck(load_linear("toxicity"))),
        LinksCheck(frozenset(link_hosts)),
        LeakageCheck(canary=canary),
    )
    return checks if grounding is None else (*checks, GroundednessCheck(grounding=grounding))
