"""The building blocks of what crosses the wire."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

MAX_QUERY_CHARACTERS = 4_000
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")


def without_control_characters(text: str) -> str:
    """`text` with a space for each control character but tab and line feed, and for each half of a
    surrogate pair, which no encoding takes; and no white space at its ends."""
    return CONTROL.sub(" ", text).strip()


def _said(text: str) -> str:
    cleaned = without_control_characters(text)
    if not cleaned:
        raise ValueError("there is no text in it")
    return cleaned


QueryText = Annotated[
    str, StringConstraints(max_length=MAX_QUERY_CHARACTERS), AfterValidator(_said)
]
ShortText = Annotated[
    str, StringConstraints(max_length=500), AfterValidator(without_control_characters)
]
LongText = Annotated[
    str, StringConstraints(max_length=10_000), AfterValidator(without_control_characters)
]
GroupText = Annotated[str, StringConstraints(pattern=r"^group:[!-~]{1,249}$")]
PrincipalText = Annotated[
    str, StringConstraints(pattern=r"^(everyone|(user|group|app):[!-~]{1,248})$")
]
"""`user:…`, `group:…`, `app:…` or `everyone`."""


class Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class JobAccepted(Schema):
    """The work is durable and will be done."""

    job_id: str
