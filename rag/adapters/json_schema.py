"""Whether a model's text is JSON that satisfies a schema."""

import json
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable

from rag.lenient_json import NotJson, read_json

_FENCE = "```"
_NOTHING_ELSEWHERE: Registry[Any] = Registry()
"""A schema may refer to its own parts only: nothing is fetched because an app's schema says so."""


def checked_json(text: str, schema: Mapping[str, Any]) -> str | None:
    """The JSON in `text` where it satisfies `schema`: as it stands, or mended as `read_json` does;
    None where there is none, where it does not satisfy the schema, or that is no schema."""
    inner = _unfenced(text)
    try:
        value = json.loads(inner)
    except (ValueError, RecursionError):
        try:
            value = read_json(text).value
        except NotJson:
            return None
        inner = json.dumps(value, ensure_ascii=False)
    try:
        Draft202012Validator.check_schema(schema)
        validator: Any = Draft202012Validator(schema, registry=_NOTHING_ELSEWHERE)
        valid = bool(validator.is_valid(value))
    except (RecursionError, SchemaError, Unresolvable):
        return None
    return inner if valid else None


def _unfenced(text: str) -> str:
    stripped = text.strip()
    if stripped.startswith(_FENCE) and stripped.endswith(_FENCE) and "\n" in stripped:
        return stripped[stripped.index("\n") : -len(_FENCE)].strip()
    return stripped
