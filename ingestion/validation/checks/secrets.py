"""Keys, tokens and passwords in a document, as `rag.guardrails.secrets` finds them everywhere."""

from ingestion.validation.checking import Check, Finding
from ingestion.validation.hits import counted, told
from ingestion.validation.policy import Handling, Policy
from ingestion.validation.reasons import Reason
from ingestion.validation.subjects import TextSubject
from rag.guardrails.secrets import secrets_in
from rag.storage.verdicts.records import Result

PREFIX = "secret_"
"""What the metadata fields of the counts begin with."""


def secrets(text: TextSubject) -> Finding | None:
    counts = counted(text.pieces, secrets_in, prefix=PREFIX)
    handling = text.policy.secrets
    return told(counts, reason=Reason.SECRETS, handling=handling, allowed=Result.WARNED)


def protects(policy: Policy) -> bool:
    return policy.secrets is not Handling.ALLOW


CHECKS = (Check(name="secrets", version=1, run=secrets, protects=protects),)
