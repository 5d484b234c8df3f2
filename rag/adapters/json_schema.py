"""Whether a model's text is JSON that satisfies a schema."""

import json
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable

from rag.errors import InvalidRequest
from rag.lenient_json import JsonValue

_FENCE = "```"
_LONGEST_RULE = 80
_NOTHING_ELSEWHERE: Registry[Any] = Registry()
"""A schema may refer to its own parts only: nothing is fetched because an app's schema says so."""


def checked_json(text: str, schema: Mapping[str, Any]) -> str | None:
    """The JSON in `text` where it satisfies `schema`, without a Markdown fence around it; None
    where it is none, does not satisfy it, or the schema is no schema."""
    inner = _unfenced(text)
    try:
        value = json.loads(inner)
        Draft202012Validator.check_schema(schema)
        validator: Any = Draft202012Validator(schema, registry=_NOTHING_ELSEWHERE)
        valid = bool(validator.is_valid(value))
    except (ValueError, RecursionError, SchemaError, Unresolvable):
        return None
    return inner if valid else None


def schema_errors(value: JsonValue, schema: Mapping[str, Any]) -> tuple[str, ...]:
    """What of `value` breaks `schema`, by place and rule: no value is repeated.

    Raises `InvalidRequest` where the schema is no schema.
    """
    try:
        Draft202012Validator.check_schema(schema)
        validator: Any = Draft202012Validator(schema, registry=_NOTHING_ELSEWHERE)
        found = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.path)))
    except (SchemaError, Unresolvable, RecursionError) as error:
        raise InvalidRequest("the schema of the answer is no JSON schema of 2020-12") from error
    return tuple(
        f"{error.json_path}: does not satisfy {error.validator} ({_rule_of(error.validator_value)})"
        for error in found
    )


def _rule_of(rule: object) -> str:
    told = json.dumps(rule, default=str)
    return told if len(told) <= _LONGEST_RULE else f"{told[:_LONGEST_RULE]}…"


def _unfenced(text: str) -> str:
    stripped = text.strip()
    if stripped.startswith(_FENCE) and stripped.endswith(_FENCE) and "\n" in stripped:
        return stripped[stripped.index("\n") : -len(_FENCE)].strip()
    return stripped
