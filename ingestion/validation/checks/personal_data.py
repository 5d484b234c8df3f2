"""Personal data in a document, as `rag.guardrails.identifiers` finds it everywhere.

Addresses of streets and dates of birth are left to what is sent to a model: documents of a company
are full of both, and a placeholder in the index is for good.
"""

from ingestion.validation.checking import Check, Finding
from ingestion.validation.hits import counted, told
from ingestion.validation.policy import Handling, Policy
from ingestion.validation.reasons import Reason
from ingestion.validation.subjects import TextSubject
from rag.guardrails.identifiers import identifiers_in
from rag.storage.verdicts.records import Result

PREFIX = "pii_"
"""What the metadata fields of the counts begin with."""


def personal_data(text: TextSubject) -> Finding | None:
    """Names and addresses of business are everywhere: under `allow` they are counted, no more."""
    counts = counted(text.pieces, identifiers_in, prefix=PREFIX)
    handling = text.policy.personal_data
    return told(counts, reason=Reason.PERSONAL_DATA, handling=handling, allowed=Result.PASSED)


def protects(policy: Policy) -> bool:
    return policy.personal_data is not Handling.ALLOW


CHECKS = (Check(name="personal_data", version=1, run=personal_data, protects=protects),)
