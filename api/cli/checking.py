"""`rag gateway check`: what the guardrails say of a text, without a model and without a server."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from api.cli.options import AsJson, Tenant, settings_for
from api.cli.output import show, show_json, show_table
from rag.access import PrincipalId, TenantId
from rag.errors import InvalidRequest
from rag.guardrails.checks import Scanned
from rag.guardrails.flow import Guardrails
from rag.guardrails.judging import Cleared
from rag.starting import importing
from rag.trail import Account, Direction, RequestId, Trail, UseCase

_DIRECTIONS: dict[str, Direction] = {"input": "input", "evidence": "evidence", "output": "output"}


def check(
    text: Annotated[str | None, typer.Argument(help="The text.")] = None,
    *,
    file: Annotated[
        Path | None,
        typer.Option(help='Check each line of this file instead: text, or {"text": …}; - reads standard input.'),
    ] = None,
    direction: Annotated[str, typer.Option(help="input, evidence or output.")] = "input",
    use_case: Annotated[UseCase, typer.Option(help="Whose policy holds.")] = UseCase.ASK,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """What every guardrail says of a text, and what the policy would do about it.

    It runs on this machine with this machine's settings; nothing is sent anywhere or kept.
    """
    if (text is None) == (file is None):
        raise InvalidRequest("name one text, or --file")
    if direction not in _DIRECTIONS:
        raise InvalidRequest(f"--direction {direction!r} is none of {', '.join(_DIRECTIONS)}")
    with importing():
        from api.guarding import build_guardrails  # noqa: PLC0415 - heavy

    settings = settings_for(tenant)
    guardrails = build_guardrails(settings)
    texts = [text] if text is not None else _lines(file or Path("-"))
    results = asyncio.run(
        _checked(
            guardrails,
            texts,
            tenant=TenantId(settings.tenant),
            direction=_DIRECTIONS[direction],
            use_case=use_case,
        )
    )
    if file is not None:
        _tell_many(results, as_json=as_json)
    elif as_json:
        show_json(results[0])
    else:
        _tell(results[0])


async def _checked(
    guardrails: Guardrails,
    texts: Sequence[str],
    *,
    tenant: TenantId,
    direction: Direction,
    use_case: UseCase,
) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    for text in texts:
        trail = Trail(
            request=RequestId("check"),
            account=Account(tenant=tenant, user=PrincipalId("user:check")),
            use_case=use_case,
            endpoint="rag gateway check",
        )
        scanned = Scanned(text=text, direction=direction, tenant=tenant, use_case=use_case)
        outcome = await guardrails.check(scanned, trail)
        results.append(
            {
                "outcome": "cleared" if isinstance(outcome, Cleared) else "stopped",
                "policy": guardrails.policy_for(trail).version,
                **asdict(outcome),
                "verdicts": [asdict(verdict) for verdict in trail.verdicts],
            }
        )
    return results


def _lines(path: Path) -> list[str]:
    written = sys.stdin.read() if path == Path("-") else path.read_text(encoding="utf-8")
    return [_text_of(line) for line in written.splitlines() if line.strip()]


def _text_of(line: str) -> str:
    if not line.lstrip().startswith("{"):
        return line
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError):
        return line
    return text if isinstance(text, str) else line


def _tell_many(results: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    stopped = sum(result["outcome"] == "stopped" for result in results)
    if as_json:
        show_json({"results": results, "texts": len(results), "stopped": stopped})
        return
    columns = ("line", "outcome", "stopped by", "highest score")
    rows = (
        (number, each["outcome"], each.get("check", ""), f"{_highest(each):.2f}")
        for number, each in enumerate(results, start=1)
    )
    show_table(f"{stopped} of {len(results)} stopped", columns, rows)


def _highest(result: dict[str, Any]) -> float:
    return max((verdict["score"] for verdict in result["verdicts"]), default=0.0)


def _tell(result: dict[str, Any]) -> None:
    columns = ("check", "standing", "score", "kinds", "reason", "took_ms")
    rows = (
        [
            f"{verdict[name]:.2f}" if name in {"score", "took_ms"} else _plain(verdict[name])
            for name in columns
        ]
        for verdict in result["verdicts"]
    )
    show_table(f"Policy {result['policy']}", columns, rows)
    show("It may go on." if result["outcome"] == "cleared" else result["reason"])


def _plain(value: object) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(str, cast("Sequence[object]", value)))
    return str(value)
