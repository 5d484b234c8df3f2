"""Reading a pushed document out of a request: JSON, or a form with a file."""

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from starlette.datastructures import FormData, UploadFile

from api.filters import FieldName, Scalar
from api.shapes import PrincipalText, Schema, ShortText
from ingestion.members import MEMBER_MARK
from rag.access import AccessList, readable_by
from rag.bodies import Body, Spool
from rag.errors import InvalidRequest, LimitExceeded, UnsupportedMediaType
from rag.types import Metadata

Fields = TypeVar("Fields", bound="PushedFields")

MAX_READERS = 1_000
MAX_FIELDS = 50
FORM_FIELDS = ("uri", "title", "media_type", "readers", "denied", "metadata")
URI = r"^[a-z][a-z0-9+.-]*:[^\s\x00-\x1f\x7f]+$"
NOT_LINKS = ("javascript:", "data:", "vbscript:")

MetadataOut = Annotated[dict[FieldName, Scalar], Field(max_length=MAX_FIELDS)]
Principals = Annotated[list[PrincipalText], Field(max_length=MAX_READERS)]


def _is_no_script(uri: str) -> str:
    """A URI is shown as a link: one that runs something is refused."""
    if uri.startswith(NOT_LINKS):
        raise ValueError(f"a document does not live at {uri.partition(':')[0]}:")
    return uri


def _is_no_member(uri: str) -> str:
    """What lies inside another document is named by us alone."""
    if MEMBER_MARK in uri:
        raise ValueError(f"{MEMBER_MARK} names a file inside a document; push that document")
    return uri


class PushedFields(Schema):
    """What is said of a document, besides its bytes."""

    uri: Annotated[
        str,
        StringConstraints(max_length=2_000, pattern=URI),
        AfterValidator(_is_no_script),
        AfterValidator(_is_no_member),
    ] = Field(description="Where it lives. Pushing the same URI again is a new version.")
    title: ShortText = ""
    media_type: Annotated[str | None, StringConstraints(pattern=r"^[a-z0-9.+-]+/[a-z0-9.+-]+$")] = (
        None
    )
    readers: Principals = Field(
        default_factory=list, description="Who may read it. Left out or empty: nobody."
    )
    denied: Principals = Field(default_factory=list, description="Who may not, even so.")
    metadata: MetadataOut = Field(default_factory=dict)


class PushedJson(PushedFields):
    text: str | None = None
    base64: str | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "uri": "crm:note/8817",
                    "title": "Call with Nordhaven",
                    "text": "They need the replacement seals by week 14.",
                    "readers": ["group:sales", "user:1042"],
                    "metadata": {"department": "sales", "date": "2026-03-31"},
                }
            ]
        }
    )

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if (self.text is None) == (self.base64 is None):
            raise ValueError("send either text or base64")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedDocument:
    """A document as an app sent it, checked."""

    uri: str
    title: str
    media_type: str
    body: Body
    access: AccessList
    metadata: Metadata


PUSH_BODY: Mapping[str, Any] = {
    "required": True,
    "content": {
        "application/json": {"schema": PushedJson.model_json_schema()},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file", "uri"],
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "uri": {"type": "string"},
                    "title": {"type": "string"},
                    "media_type": {"type": "string"},
                    "readers": {"type": "string", "description": "A JSON list."},
                    "denied": {"type": "string", "description": "A JSON list."},
                    "metadata": {"type": "string", "description": "A JSON object."},
                },
            }
        },
    },
}


async def pushed_document(request: Request, *, max_bytes: int, spool: Spool) -> PushedDocument:
    """Raises `InvalidRequest`, `UnsupportedMediaType` or `LimitExceeded`.

    The body is read here and not by the framework, so that nobody uploads before they are known.
    """
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    match sent:
        case "application/json":
            pushed = await _from_json(request)
        case "multipart/form-data":
            pushed = await _from_form(request, max_bytes, spool)
        case _:
            raise UnsupportedMediaType("send application/json or multipart/form-data")
    if pushed.body.size > max_bytes:
        raise LimitExceeded(f"the document is larger than {max_bytes} bytes")
    return pushed


async def _from_json(request: Request) -> PushedDocument:
    try:
        content = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("the body is not valid JSON") from error
    fields = _checked(PushedJson, content)
    return _document(fields, Body.of(_bytes_of(fields)), fallback="text/plain")


def _bytes_of(fields: PushedJson) -> bytes:
    try:
        if fields.base64 is None:
            return str(fields.text).encode()
        return base64.b64decode(fields.base64, validate=True)
    except UnicodeEncodeError as error:
        raise InvalidRequest("text: it is not valid Unicode") from error
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("base64: it is not valid base64") from error


async def _from_form(request: Request, max_bytes: int, spool: Spool) -> PushedDocument:
    async with request.form(max_files=1, max_fields=len(FORM_FIELDS)) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise InvalidRequest("file: the form has no file of that name")
        fields = _checked(PushedFields, _fields_of(form))
        if (file.size or 0) > max_bytes:
            raise LimitExceeded(f"the document is larger than {max_bytes} bytes")
        body = await asyncio.to_thread(spool.copied, file.file, max_bytes=max_bytes)
        said = (file.content_type or "").partition(";")[0].strip().lower()
    fallback = said if re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", said) else ""
    return _document(fields, body, fallback=fallback or "application/octet-stream")


def _fields_of(form: FormData) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name == "file":
            continue
        if not isinstance(value, str):
            raise InvalidRequest("only `file` is a file")
        content[name] = _json(name, value) if name in {"readers", "denied", "metadata"} else value
    return content


def _json(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{name}: it is not valid JSON") from error


def _checked(kind: type[Fields], content: Any) -> Fields:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        told = error.errors(include_url=False, include_input=False)
        raise RequestValidationError(
            [{**each, "loc": ("body", *each["loc"])} for each in told]
        ) from None


def _document(fields: PushedFields, body: Body, *, fallback: str) -> PushedDocument:
    return PushedDocument(
        uri=fields.uri,
        title=fields.title or fields.uri,
        media_type=fields.media_type or fallback,
        body=body,
        access=readable_by(fields.readers, denied=fields.denied),
        metadata=fields.metadata,
    )
