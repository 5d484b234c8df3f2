"""Prompts, accounts and reports that tests of prompts share."""

from typing import Any

from rag.access import PrincipalId, TenantId
from rag.prompts.registry import load_version
from rag.prompts.versions import Content, Parameters, Variant
from rag.trail import Account

ACME, OTHER = TenantId("acme"), TenantId("other")


def account(user: str = "anna", tenant: TenantId = ACME) -> Account:
    return Account(tenant=tenant, user=PrincipalId(f"user:{user}"))


def variant(words: str = "Be brief.", *, locale: str = "", audience: str = "") -> Variant:
    """A variant of `answer` that may be kept, and says `words`."""
    shipped = load_version("answer", "v2").content.variants[0]
    return Variant(
        system=f"{shipped.system} {words}",
        context=shipped.context,
        instruction=shipped.instruction,
        format=shipped.format,
        locale=locale,
        audience=audience,
    )


def content(words: str = "Be brief.", *more: Variant, temperature: float = 0.0) -> Content:
    return Content(variants=(variant(words), *more), parameters=Parameters(temperature=temperature))


def report(**figures: Any) -> dict[str, Any]:
    """What an evaluation found, good but for what `figures` say otherwise."""
    return {
        "cases": 100,
        "ndcg@10": 0.9,
        "recall@10": 0.9,
        "citation_precision": 0.9,
        "citation_recall": 0.9,
        "answer_accuracy": 0.9,
        "refusal_precision": 0.9,
        "refusal_recall": 0.9,
        "forbidden_leaks": 0,
        "search_ms": {"p95": 20.0},
        "ask_ms": {"p95": 100.0},
        **figures,
    }
