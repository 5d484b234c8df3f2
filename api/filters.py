"""The filters of a request: from JSON to what retrieval understands."""

from operator import ge, gt, le, lt
from typing import Annotated, Any, Self

from pydantic import (
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    Tag,
    model_validator,
)

from api.shapes import Schema
from rag.access import AccessScope
from rag.errors import UnknownFilter
from rag.storage.documents.filter_fields import FilterFields
from rag.types import BUILT_IN_FIELDS, AnyOf, Between, Filters, Metadata, MetadataValue

FieldName = Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,64}$")]


def _shape_of(sent: object) -> str:
    match sent:
        case dict():
            return "range"
        case list():
            return "list"
        case str():
            return "text"
        case bool():
            return "truth"
        case float():
            return "number"
        case _:
            return "integer"


Integer = Annotated[StrictInt, Field(ge=-(2**53), le=2**53)]
Number = Annotated[StrictFloat, Field(allow_inf_nan=False)]
FilterText = Annotated[str, StringConstraints(max_length=1_000)]
Bound = Annotated[
    Annotated[Integer, Tag("integer")]
    | Annotated[Number, Tag("number")]
    | Annotated[FilterText, Tag("text")],
    Discriminator(_shape_of),
]


class Range(Schema):
    """Bounds of a number or of an ISO date; at least one, all of one kind."""

    gte: Bound | None = None
    lte: Bound | None = None
    gt: Bound | None = None
    lt: Bound | None = None

    @model_validator(mode="after")
    def _bounds_agree(self) -> Self:
        kinds = {isinstance(bound, str) for bound in self.bounds.values()}
        if not kinds:
            raise ValueError("a range needs one of gte, lte, gt, lt")
        if len(kinds) > 1:
            raise ValueError("a range is between numbers or between dates, not both")
        return self

    @property
    def bounds(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


Scalar = Annotated[
    Annotated[StrictBool, Tag("truth")]
    | Annotated[Integer, Tag("integer")]
    | Annotated[Number, Tag("number")]
    | Annotated[FilterText, Tag("text")],
    Discriminator(_shape_of),
]
Condition = Annotated[
    Annotated[StrictBool, Tag("truth")]
    | Annotated[Integer, Tag("integer")]
    | Annotated[Number, Tag("number")]
    | Annotated[FilterText, Tag("text")]
    | Annotated[list[Scalar], Field(min_length=1, max_length=100), Tag("list")]
    | Annotated[Range, Tag("range")],
    Discriminator(_shape_of),
]
"""A value, a list of values of which one must match, or bounds. Told apart by their JSON type, so
that a mistake is explained once."""
FilterMap = Annotated[dict[FieldName, Condition], Field(max_length=20)]


async def filters_of(
    sent: dict[str, Condition], *, scope: AccessScope, fields: FilterFields
) -> Filters:
    """The filters that retrieval understands.

    Raises `UnknownFilter`, naming the fields that every document may have. A field that only
    documents outside `scope` have is as unknown as one that none has.
    """
    if not sent:
        return {}
    return known_filters(sent, await fields.known(sent.keys(), scope=scope))


def known_filters(sent: dict[str, Condition], known: frozenset[str]) -> Filters:
    """The same, where it is known which of the fields there are."""
    unknown = sorted(set(sent) - known.union(BUILT_IN_FIELDS))
    if unknown:
        raise UnknownFilter(
            f"unknown filter {', '.join(unknown)}; "
            f"known are {', '.join(sorted(BUILT_IN_FIELDS))} or a metadata field"
        )
    return {name: _condition(condition) for name, condition in sent.items()}


def _condition(sent: Condition) -> AnyOf | Between:
    match sent:
        case Range():
            return Between(**sent.bounds)
        case list():
            return AnyOf(tuple(sent))
        case _:
            return AnyOf((sent,))


def matches(metadata: Metadata, filters: Filters) -> bool:
    """Whether every filter holds, as an index would say of a chunk with this metadata."""
    return all(_holds(metadata.get(name), condition) for name, condition in filters.items())


def _holds(value: MetadataValue | None, condition: AnyOf | Between) -> bool:
    match condition:
        case AnyOf(values=values):
            # True is no 1, although Python says they are equal.
            return any(
                value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
                for wanted in values
            )
        case Between():
            return _is_between(value, condition)


def _is_between(value: MetadataValue | None, bounds: Between) -> bool:
    given = {
        name: bound
        for name in ("gte", "lte", "gt", "lt")
        if (bound := getattr(bounds, name)) is not None
    }
    if value is None or isinstance(value, bool):
        return False
    if any(isinstance(bound, str) != isinstance(value, str) for bound in given.values()):
        return False
    compare: dict[str, Any] = {"gte": ge, "lte": le, "gt": gt, "lt": lt}
    return all(compare[name](value, bound) for name, bound in given.items())
