"""The policy that holds where no file says otherwise, as data: what `guardrails.yaml` is merged over."""

from types import MappingProxyType
from typing import Any

from rag.guardrails.injection import WORDING
from rag.guardrails.rules import RULE_KINDS

DEFAULT: MappingProxyType[str, Any] = MappingProxyType(
    {
        "passages": "drop",
        "hold_back": 16,
        "max_characters": 16_000,
        "input": {
            "length": {"action": "block", "on_error": "closed"},
            "injection": {"action": "block", "on_error": "closed"},
            # What is found is masked on its way to a model, or keeps it in its region.
            "pii": {"action": "allow", "on_error": "closed"},
            "secrets": {"action": "flag", "on_error": "closed"},
            "toxicity": {"action": "flag", "threshold": 0.7},
            # These two look at nothing before a policy names topics, or languages.
            "topics": {"action": "block"},
            "language": {"action": "block"},
        },
        "evidence": {
            # Of a document only what a rule names is left out. By wording alone, listings of
            # settings would be, too, and hardly more attacks: that is told, and nothing is done.
            "injection": {
                "action": "allow",
                "kinds": {**dict.fromkeys(RULE_KINDS, "block"), WORDING: "flag"},
            },
        },
        "output": {
            "links": {"action": "mask", "stage": "piece"},
            "leakage": {
                "action": "mask",
                "kinds": {"canary": "block", "system_prompt": "block"},
                "stage": "piece",
                "on_error": "closed",
            },
            "toxicity": {"action": "block", "stage": "answer", "threshold": 0.95},
        },
        "classification": {
            "levels": ["public", "internal", "confidential", "restricted"],
            "unknown": "confidential",
        },
    }
)
