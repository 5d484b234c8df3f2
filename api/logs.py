"""Structured logs and request ids. What people ask, send and are sent is never in a log line."""

import json
import logging
import re
import sys
import time
import traceback
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem_response
from api.metrics import Metrics
from api.tracing import mark_request

log = logging.getLogger("api.requests")

OUR_LOGGERS = ("api", "ingestion", "connectors", "rag")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what was passed as `extra`.

    Of an exception it tells the class and the places in the code. Its text stays out: a
    database's error quotes the row, a parser's the document.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info is not None and record.exc_info[1] is not None:
            line["exception"] = type(record.exc_info[1]).__qualname__
            line["frames"] = list(_frames(record.exc_info[1]))
        return json.dumps(line, default=str, ensure_ascii=False)


def _frames(error: BaseException) -> Iterator[str]:
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}"
    if error.__cause__ is not None:
        yield f"caused by {type(error.__cause__).__qualname__}"
        yield from _frames(error.__cause__)


def configure_logging(level: str, *, stream: TextIO = sys.stderr) -> None:
    """Send the log records of this process to `stream` as JSON lines.

    `level` is that of our own records. Of libraries only warnings are heard: below that they tell
    of statements with their parameters, and of URLs with their queries.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.WARNING)


class RequestLog:
    """Gives every request its id, counts and times it, logs it, and answers what nobody caught."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace_id = _request_id(scope)
        scope.setdefault("state", {})["trace_id"] = trace_id
        mark_request(trace_id, has_query=bool(scope["query_string"]))
        started = time.perf_counter()
        status = 0

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *_headers(trace_id)]}
            await send(message)

        try:
            await self._app(scope, receive, marked)
        except Exception as error:
            log.exception("request failed", extra={"trace_id": trace_id})
            if status == 0:
                await problem_response(error, trace_id=trace_id)(scope, receive, marked)
            # Once a response has begun there is no other status to send: the server sees that
            # it is not complete and closes the connection.
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # A path that no route knows is the caller's invention, and may be content.
        route = getattr(scope.get("route"), "path", "unknown")
        self._metrics.request(scope["method"], route, status, seconds)
        caller = scope["state"].get("caller")
        log.info(
            "request",
            extra={
                "trace_id": scope["state"]["trace_id"],
                "method": scope["method"],
                "route": route,
                "status": status,
                "duration_ms": round(seconds * 1000, 1),
                "tenant": caller.principal.tenant if caller else None,
                "principal": caller.principal.id if caller else None,
                "key": caller.key if caller else None,
            },
        )


def _request_id(scope: Scope) -> str:
    sent = Request(scope).headers.get("x-request-id", "")
    return sent if REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex


def _headers(trace_id: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-request-id", trace_id.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
    ]
