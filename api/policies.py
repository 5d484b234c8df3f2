"""Validation policies at the edge: the platform's, and a source's before it is registered."""

from collections.abc import Mapping
from typing import Any

from api.settings_ingestion import ValidationSettings
from ingestion.validation.policy import Handling, Objection, Policy, policy_of


def policy_from(settings: ValidationSettings) -> Policy:
    """What holds for every source that does not say otherwise."""
    return Policy(
        secrets=Handling(settings.secrets),
        personal_data=Handling(settings.personal_data),
        instructions=Objection(settings.instructions),
        garbled=Objection(settings.garbled),
        columns_changed=Objection(settings.columns_changed),
        values_missing=Objection(settings.values_missing),
        min_characters=settings.min_characters,
        near_duplicates=settings.near_duplicates,
    )


def check_policy(settings: Mapping[str, Any]) -> None:
    """Raises `ConfigurationError` where a source's `validation` cannot be kept."""
    policy_of(settings, Policy())
