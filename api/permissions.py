"""What a caller may be allowed to do, and how a route says which of it it asks for."""

from enum import StrEnum


class Permission(StrEnum):
    """What a key or a signed-in person may do. None implies another."""

    SEARCH = "search"
    ASK = "ask"
    DOCUMENTS_READ = "documents:read"
    DOCUMENTS_WRITE = "documents:write"
    MODELS = "models"
    """Calling language models by name with one's own messages. It opens no document."""
    FEEDBACK = "feedback"
    ADMIN = "admin"
    """Everything under /v1/admin of the key's own tenant. It opens no document."""
    AUDIT = "audit"
    """Reading the audit of the key's own tenant, what people asked among it, deciding what
    guardrails flagged in it, and erasing persons from it. It opens no document."""
    OPERATE = "operate"
    """What is every tenant's: the generations of the index. It opens no document."""
    IMPERSONATE = "impersonate"
    """An app may speak for the people who use it, with `X-On-Behalf-Of`."""


EVERY_PERMISSION = frozenset(Permission)
NEVER_ON_BEHALF = frozenset(
    {Permission.ADMIN, Permission.AUDIT, Permission.OPERATE, Permission.IMPERSONATE}
)
"""What an app cannot hand to the person it speaks for."""
