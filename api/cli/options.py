"""The options that several commands share, and how their texts are read."""

from typing import Annotated, Any

import typer
from pydantic import ValidationError

from api.cli.client import Asker
from api.settings import Settings, load_settings
from rag.errors import InvalidRequest

AsUser = Annotated[
    str, typer.Option("--as", help="In whose name: a principal id.", metavar="user:1042")
]
Groups = Annotated[
    str, typer.Option("--groups", help="Their groups, with commas between.", metavar="g1,g2")
]
FilterTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        help="k=v, k=v1,v2 for either, or k>=v (also <=, >, <). Repeat for more.",
        metavar="K=V",
    ),
]
Tenant = Annotated[str | None, typer.Option("--tenant", help="Unset: the default tenant.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

RANGES = {">=": "gte", "<=": "lte", ">": "gt", "<": "lt"}


def settings_for(tenant: str | None) -> Settings:
    """This process's settings, for `tenant` where one is named."""
    settings = load_settings()
    if tenant is None:
        return settings
    try:
        return Settings.model_validate({**settings.model_dump(), "tenant": tenant})
    except ValidationError as error:
        raise InvalidRequest(f"{tenant!r} is no name for a tenant") from error


def readers_of(text: str) -> list[str]:
    """`group:finance,user:1042` as a list."""
    return [reader.strip() for reader in text.split(",") if reader.strip()]


def asker_of(user: str, groups: str) -> Asker:
    """`finance` and `group:finance` name the same group; `1042` and `user:1042` the same user."""
    return Asker(user_of(user), tuple(groups_of(groups)))


def user_of(text: str) -> str:
    """Raises `InvalidRequest` for a text that names nobody."""
    stripped = text.strip()
    if not stripped:
        raise InvalidRequest("name a principal, such as user:1042")
    return stripped if ":" in stripped else f"user:{stripped}"


def groups_of(text: str) -> list[str]:
    named = [group.strip() for group in text.split(",") if group.strip()]
    return [group if group.startswith("group:") else f"group:{group}" for group in named]


def filters_of(texts: list[str] | None) -> dict[str, Any]:
    """The API's `filters`. Raises `InvalidRequest` for a text that is not a filter."""
    filters: dict[str, Any] = {}
    for text in texts or []:
        sign = next((sign for sign in (">=", "<=", ">", "<", "=") if sign in text), None)
        field, _, value = text.partition(sign) if sign else (text, "", "")
        if sign is None or not field.strip() or not value.strip():
            raise InvalidRequest(f"--filter {text!r} is not K=V, K=V1,V2, K>=V, K<=V, K>V or K<V")
        if sign == "=":
            values = [value_of(part) for part in value.split(",")]
            filters[field.strip()] = values if len(values) > 1 else values[0]
        else:
            bounds = filters.setdefault(field.strip(), {})
            if not isinstance(bounds, dict):
                raise InvalidRequest(f"--filter {field.strip()!r} has a value and a bound")
            bounds[RANGES[sign]] = value_of(value)
    return filters


def metadata_of(texts: list[str] | None) -> dict[str, Any]:
    """`k=v` texts as metadata. Raises `InvalidRequest` for a text that is not one."""
    metadata: dict[str, Any] = {}
    for text in texts or []:
        field, sign, value = text.partition("=")
        if not sign or not field.strip():
            raise InvalidRequest(f"--metadata {text!r} is not K=V")
        metadata[field.strip()] = value_of(value)
    return metadata


def value_of(text: str) -> str | int | float | bool:
    """A number or a truth value where the text is exactly one, else the text."""
    stripped = text.strip()
    if stripped in {"true", "false"}:
        return stripped == "true"
    for number in (int, float):
        try:
            read = number(stripped)
        except ValueError:
            continue
        if str(read) == stripped:
            return read
    return stripped
