"""The one place where errors become HTTP: problem+json (RFC 9457), by one table."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from api.client import ClientGone
from rag.errors import (
    ConfigurationError,
    Conflict,
    Error,
    Forbidden,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    OverBudget,
    PermanentError,
    RateLimited,
    TransientError,
    Unauthenticated,
    UnsupportedMediaType,
)

STATUS: Mapping[type[Error], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    Conflict: HTTPStatus.CONFLICT,
    RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    OverBudget: HTTPStatus.TOO_MANY_REQUESTS,
    TransientError: HTTPStatus.SERVICE_UNAVAILABLE,
    UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    LimitExceeded: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    PermanentError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ConfigurationError: HTTPStatus.INTERNAL_SERVER_ERROR,
    Error: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""A subclass that is not listed has the status of the nearest class above it."""

MEDIA_TYPE = "application/problem+json"
CLIENT_GONE = 499
"""What the log and the metrics say of a request whose client went away. Nobody receives it."""


class Problem(BaseModel):
    """What every error looks like."""

    type: str
    title: str
    status: int
    detail: str
    trace_id: str

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:problem:unauthenticated",
                    "title": "Unauthorized",
                    "status": 401,
                    "detail": "the key is not valid",
                    "trace_id": "6f2c1f0a9d4e4a0c8f6f0d9a3b1c2e4d",
                }
            ]
        }
    )


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's OpenAPI: which of these it may answer with problem+json."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}}
        for status in statuses
    }


PROBLEMS = problems(401, 403, 413, 422, 429, 503)


def status_of(error: Error) -> HTTPStatus:
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def problem_of(error: Exception, *, trace_id: str) -> dict[str, Any]:
    """The problem document of any error. What was not raised on purpose shows nothing of itself."""
    match error:
        case Error():
            status, name, detail = status_of(error), _slug(type(error).__name__), str(error)
        case RequestValidationError():
            status, name = HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"
            detail = _invalid(error)
        case HTTPException():
            status = HTTPStatus(error.status_code)
            name, detail = _slug(status.phrase), str(error.detail)
        case _:
            status, name = HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error"
            detail = "Something went wrong here. The trace id finds it in the log."
    if status is HTTPStatus.INTERNAL_SERVER_ERROR and isinstance(error, Error):
        detail = "Something is not set up right here. The trace id finds it in the log."
    return {
        "type": f"urn:problem:{name}",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "trace_id": trace_id,
    }


def problem_response(error: Exception, *, trace_id: str) -> Response:
    problem = problem_of(error, trace_id=trace_id)
    return JSONResponse(
        problem, problem["status"], media_type=MEDIA_TYPE, headers=_headers_of(error)
    )


def add_error_handlers(app: FastAPI) -> None:
    async def answer(request: Request, error: Exception) -> Response:
        return problem_response(error, trace_id=request.state.trace_id)

    async def tell_nobody(_request: Request, _error: Exception) -> Response:
        return Response(status_code=CLIENT_GONE)

    for kind in (Error, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(ClientGone, tell_nobody)


def _headers_of(error: Exception) -> dict[str, str]:
    match error:
        case Unauthenticated():
            return {"WWW-Authenticate": "Bearer"}
        case TransientError(retry_after_s=float() | int() as seconds):
            return {"Retry-After": str(max(1, round(seconds + 0.5)))}
        case HTTPException(headers=dict() as headers):
            return dict(headers)
        case _:
            return {}


def _invalid(error: RequestValidationError) -> str:
    """What is wrong, by field. Never the value that was sent: it is content."""
    entries = error.errors()
    if any(entry["type"] == "json_invalid" for entry in entries):
        return "the body is not valid JSON"
    told = [f"{_place(entry['loc'])}: {_message(entry)}" for entry in entries[:10]]
    return "; ".join(told)


def _place(location: tuple[int | str, ...]) -> str:
    """`('body', 'filters', 'date')` as `filters.date`; what cannot be a name is left out."""
    parts = [str(part) for part in location[1:] or location]
    return ".".join(part for part in parts if re.fullmatch(r"[\w.-]{1,64}", part)) or "the body"


def _message(entry: Mapping[str, Any]) -> str:
    message = str(entry["msg"])
    return message.removeprefix("Value error, ")[:300]


def _slug(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "-", name).strip("-").lower()
