"""Puts every administration into the audit: who did what, and how it ended, before it is answered."""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth import Caller
from api.deps import Running
from rag.audit import AuditEvent
from rag.trail import RequestId

READING = frozenset({"GET", "HEAD", "OPTIONS"})
AUDITED = ("/v1/admin/", "/v1/documents")
"""What begins with one of these changes something, unless it only reads."""
_REFUSED = 400


class AuditAdministration:
    """An answer goes out once what it tells of stands in the audit; else it is an error."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READING or not _is_audited(scope["path"]):
            await self._app(scope, receive, send)
            return

        async def audited(message: Message) -> None:
            caller: Caller | None = scope["state"].get("caller")
            if message["type"] == "http.response.start" and caller is not None:
                platform = _running(scope).platform
                await platform.audit.record(_event(scope, caller, message["status"]))
            await send(message)

        await self._app(scope, receive, audited)


def _running(scope: Scope) -> Running:
    return scope["app"].state.running


def _is_audited(path: str) -> bool:
    return path.startswith(AUDITED)


def _event(scope: Scope, caller: Caller, status: int) -> AuditEvent:
    route: str = getattr(scope.get("route"), "path", "unknown")
    parameters: dict[str, Any] = scope.get("path_params", {})
    return AuditEvent(
        tenant=caller.principal.tenant,
        action=f"{scope['method']} {route}"[:128],
        decision=f"done:{status}" if status < _REFUSED else f"refused:{status}",
        principal=caller.principal.id,
        application=caller.key,
        on_behalf_of=caller.via == "on_behalf_of",
        trace=RequestId(scope["state"]["trace_id"]),
        # What it was done to may be a person: it is sealed like everything people write.
        question=" ".join(f"{name}={value}" for name, value in sorted(parameters.items())),
    )
