"""`rag eval`: measuring retrieval and answers on a fresh copy of the platform."""

import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from api.cli.options import AsJson
from api.cli.output import progress_bar, show_json, show_table
from api.settings import load_settings
from rag.errors import InvalidRequest
from rag.starting import importing
from rag.types import Mode, Refusal

if TYPE_CHECKING:
    from api.evaluation import Progress as Told
    from rag.evaluation.golden import GoldenResult


def add_to(app: typer.Typer) -> None:
    evaluation = typer.Typer(no_args_is_help=True, help="Measure retrieval and answers.")
    evaluation.command("beir", epilog="Example: rag eval beir scifact --rerank --json")(beir)
    evaluation.command("golden", epilog="Example: rag eval golden corpora/aldermoor")(golden)
    evaluation.command("compare", epilog="Example: rag eval compare before.json after.json")(
        compare
    )
    app.add_typer(evaluation, name="eval")


def beir(
    folder: Annotated[Path, typer.Argument(help="corpus.jsonl, queries.jsonl, qrels/test.tsv.")],
    *,
    mode: Annotated[Mode, typer.Option(help="Both searches, or one of them.")] = Mode.HYBRID,
    rerank: Annotated[bool, typer.Option("--rerank", help="Rerank the fused hits.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first queries.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ingest a data set in BEIR's layout through the ordinary pipeline, and measure the search."""
    with importing():
        from api.evaluation import evaluate_beir_folder  # noqa: PLC0415 - heavy

    with _told(shown=not as_json) as progress:
        report = asyncio.run(
            evaluate_beir_folder(
                load_settings(), folder, mode=mode, rerank=rerank, limit=limit, progress=progress
            )
        )
    _show(report, as_json=as_json)


def golden(
    folder: Annotated[Path, typer.Argument(help="documents/ and questions.jsonl.")],
    *,
    cases: Annotated[
        Path | None, typer.Option(help="Also write what came of each case, as JSON lines.")
    ] = None,
    at_once: Annotated[
        int,
        typer.Option(
            min=1, max=64, help="Questions at a time; with more than one, times mean less."
        ),
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Ingest a corpus, ask its questions as those who ask them, and measure what comes back."""
    with importing():
        from api.evaluation import evaluate_golden_folder  # noqa: PLC0415 - heavy

    with _told(shown=not as_json) as progress:
        report, results = asyncio.run(
            evaluate_golden_folder(load_settings(), folder, at_once=at_once, progress=progress)
        )
    if cases is not None:
        cases.write_text("".join(json.dumps(_case(r), ensure_ascii=False) + "\n" for r in results))
    _show(report, as_json=as_json)


def compare(
    before: Annotated[Path, typer.Argument(help="A report, from --json.")],
    after: Annotated[Path, typer.Argument(help="Another of the same kind.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Two reports side by side."""
    one, other = _numbers(before), _numbers(after)
    changes = [
        {
            "figure": name,
            "before": one[name],
            "after": other[name],
            "change": other[name] - one[name],
        }
        for name in one
        if name in other
    ]
    if not changes:
        raise InvalidRequest("the two reports have no figure in common")
    if as_json:
        show_json(changes)
        return
    show_table(
        "Compared",
        ("figure", "before", "after", "change"),
        ((c["figure"], c["before"], c["after"], f"{c['change']:+.4g}") for c in changes),
    )


def _show(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(report)
        return
    show_table("Figures", ("figure", "value"), _flat(report).items())


def _case(result: "GoldenResult") -> dict[str, Any]:
    outcome = result.outcome
    answered = not isinstance(outcome, Refusal)
    return {
        "id": result.case.id,
        "kind": result.case.kind,
        "question": result.case.question,
        "right": result.right,
        "expected": result.case.expected_documents,
        "wanted": result.case.answer_contains,
        "retrieved": result.retrieved,
        "cited": result.cited,
        "answer": outcome.text if answered else None,
        "refusal": None if answered else outcome.reason,
        "confidence": outcome.confidence if answered else None,
    }


def _numbers(path: Path) -> dict[str, float]:
    try:
        report = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{path} is no report") from error
    if not isinstance(report, dict):
        raise InvalidRequest(f"{path} is no report")
    flat = _flat(cast("dict[str, Any]", report))
    return {
        name: float(value)
        for name, value in flat.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _flat(report: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in report.items():
        if isinstance(value, dict):
            flat |= _flat(cast("dict[str, Any]", value), f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


@contextmanager
def _told(*, shown: bool) -> Generator["Told"]:
    with progress_bar(shown=shown) as bar:
        task = bar.add_task("starting", total=None)

        def tell(doing: str, done: int, of: int) -> None:
            bar.update(task, description=doing, completed=done, total=of or None)

        yield tell
