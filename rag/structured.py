"""Answers that have to be JSON of a given form: read, mended, asked for once more, or honestly failed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rag.lenient_json import JsonValue, NotJson, read_json

MOST_ERRORS = 8


class SchemaErrors(Protocol):
    def __call__(self, value: JsonValue, schema: Mapping[str, Any], /) -> tuple[str, ...]:
        """What of `value` breaks `schema`, a sentence each with its place; empty where nothing does."""
        ...


class AskAgain(Protocol):
    async def __call__(self, told: str, /) -> str:
        """The model's text when asked anew; `told` says what was wrong with the last one, and is
        empty the first time."""
        ...


@dataclass(frozen=True, slots=True)
class Valid:
    """What the model said satisfies the schema."""

    value: JsonValue
    mended: bool
    """Whether its text was no JSON before it was mended."""
    attempts: int


@dataclass(frozen=True, slots=True)
class Invalid:
    """What the model said does not satisfy the schema, however often it was asked."""

    errors: tuple[str, ...]
    attempts: int


Structured = Valid | Invalid


def checked(text: str, schema: Mapping[str, Any], *, errors_of: SchemaErrors) -> Structured:
    """`text` as it stands, or mended, against `schema`."""
    try:
        read = read_json(text)
    except NotJson as error:
        return Invalid((f"This is not JSON: {error}",), 1)
    if errors := errors_of(read.value, schema):
        return Invalid(errors[:MOST_ERRORS], 1)
    return Valid(read.value, read.mended, 1)


async def structured(
    ask: AskAgain, schema: Mapping[str, Any], *, errors_of: SchemaErrors, attempts: int = 2
) -> Structured:
    """Ask until the answer satisfies `schema`, `attempts` times at most. Errors: those of `ask`."""
    found: Structured = Invalid(("Nothing was asked.",), 0)
    told = ""
    for attempt in range(1, attempts + 1):
        match checked(await ask(told), schema, errors_of=errors_of):
            case Valid(value, mended):
                return Valid(value, mended, attempt)
            case Invalid(errors):
                found = Invalid(errors, attempt)
                told = complaint(errors)
    return found


def complaint(errors: tuple[str, ...]) -> str:
    """What a model is told of its last answer. It repeats nothing of the answer's text."""
    listed = "\n".join(f"- {error}" for error in errors)
    return (
        "Your last answer could not be used:\n"
        f"{listed}\n"
        "Answer again with JSON alone, of the form that was asked for."
    )
