"""Every error the platform raises on purpose, named by what to do next.

* Error
  + NotFound             what was named is not there, or not there for this principal
  + Unauthenticated      say who you are, with a key or token that is valid now
  + Forbidden            this principal may not do this, whatever it sends
    - TooManyGroups
    - PolicyForbids
  + InvalidRequest       the caller must change the request
    - UnknownFilter
    - Conflict           or come back when what its text names has been done
  + TransientError       the same call may succeed later: a timeout, a 429, a 5xx
    - RateLimited
    - OverBudget
    - SourceUnavailable
    - SourceInconsistent
    - CursorExpired
    - ModelUnavailable
    - IndexUnavailable
    - StorageUnavailable
  + PermanentError       it will not succeed until somebody changes something
    - UnsupportedMediaType
    - ParseError
      . EncryptedFile
      . EmptyText
      . LimitExceeded
    - SourceGone
    - AccessUnknown
    - ModelRejects
  + ConfigurationError   raised at start-up, never while serving
"""

from typing import Literal


class Error(Exception):
    """Base class of every error raised on purpose. Its text may be shown to the caller."""


class NotFound(Error):
    """What was named is not there, or not there for this principal: never say which."""


class Unauthenticated(Error):
    """No valid key or token came with the request."""


class Forbidden(Error):
    """The principal is known and lacks the right to do this."""


class TooManyGroups(Forbidden):
    """Whom the principal counts as cannot be said in full, and less than that could open what is
    denied: an administrator must take it out of groups."""


class PolicyForbids(Forbidden):
    """A policy lets no model be sent this, such as personal data outside a region."""


class InvalidRequest(Error):
    """The request cannot be served as it stands."""


class UnknownFilter(InvalidRequest):
    """A filter names a field that no document has."""


class Conflict(InvalidRequest):
    """What is asked is right, but not as things stand: the text says what to do first."""


class TransientError(Error):
    """The same call may succeed later, after `retry_after_s` where the other side said so."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimited(TransientError):
    """The caller has used up its share for now."""


class OverBudget(TransientError):
    """A budget is spent; `retry_after_s` is when its window ends."""


class SourceUnavailable(TransientError):
    """A source did not answer, or asked us to slow down."""


class SourceInconsistent(TransientError):
    """A source contradicts itself, such as by giving the same page for ever."""


class CursorExpired(TransientError):
    """A source does not know any more what changed since then; a full listing tells."""


ModelFault = Literal[
    "unreachable",
    "no_first_token",
    "gap",
    "out_of_time",
    "broken_off",
    "rate_limited",
    "server_error",
    "bad_response",
    "wrong_schema",
    "endless",
]


class ModelUnavailable(TransientError):
    """A model endpoint did not answer, or asked us to slow down; `fault` says what went wrong."""

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        fault: ModelFault = "server_error",
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.fault: ModelFault = fault


class IndexUnavailable(TransientError):
    """The index did not answer."""


class StorageUnavailable(TransientError):
    """The database or the disk did not answer, or is full."""


class PermanentError(Error):
    """It will not succeed until somebody changes something."""


class UnsupportedMediaType(PermanentError):
    """No parser reads this media type, or the bytes are of another type than the name says."""


class ParseError(PermanentError):
    """The bytes are not what their media type says, or cannot be read."""


class EncryptedFile(ParseError):
    """The file is protected by a password."""


class EmptyText(ParseError):
    """A file that is not empty gave no text."""


class LimitExceeded(ParseError):
    """The file is larger, deeper or slower to read than the limits allow."""


class SourceGone(PermanentError):
    """The resource, or our right to it, is gone."""


class AccessUnknown(PermanentError):
    """Who may read a resource could not be read; it stays private until that is mended."""


class ModelRejects(PermanentError):
    """A model endpoint says with `status` that the request, its address or its key is at fault."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class ConfigurationError(Error):
    """The settings cannot be turned into a running system."""
