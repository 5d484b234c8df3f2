"""`rag gateway`: the models that may be called, and how choosing among them turned out."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.calling import call
from api.cli.checking import check
from api.cli.options import AsJson, Tenant, settings_for
from api.cli.output import show, show_json, show_table
from rag.evaluation.routing import Curve, curve_of, held_out, read_graded
from rag.gateway.catalogue import ModelSpec, Price
from rag.gateway.complexity import learned_from, load_complexity
from rag.gateway.money import MICROS

ROUTING = "/v1/admin/routing"


def add_to(app: typer.Typer) -> None:
    gateway = typer.Typer(no_args_is_help=True, help="Language models, and the way to them.")
    gateway.command("models", epilog="Example: rag gateway models --json")(models)
    gateway.command(
        "route-report", epilog="Example: rag gateway route-report --since 2026-11-01T00:00:00Z"
    )(route_report)
    gateway.command("check", epilog='Example: rag gateway check "Who approves invoices?" --json')(
        check
    )
    app.add_typer(gateway, name="gateway")


def models(*, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """The models of `models.yaml`, or of the settings, with prices, tiers and deployments.

    It reads what this machine's settings name, and finds the mistakes in it.
    """
    from api.catalogue import models_of  # noqa: PLC0415 - heavy

    settings = settings_for(tenant)
    setup = models_of(settings)
    if as_json:
        ceiling = setup.catalogue.ceiling
        show_json(
            {"models": [_told(m) for m in setup.catalogue.models], "ceiling": asdict(ceiling)}
        )
        return
    columns = ("model", "tier", "context", "in / out per million", "can", "deployments")
    show_table("Models", columns, map(_row, setup.catalogue.models))
    show(f"A model of unknown price counts as {_priced(setup.catalogue.ceiling)}.")


def route_report(
    *,
    since: Annotated[str, typer.Option(help="From this moment on, in ISO 8601.")] = "",
    data: Annotated[
        Path | None,
        typer.Option(help="A folder of graded answers of two models, as RouteLLM has them."),
    ] = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Cost and quality of routing beside always the cheap model, always the best, and chance.

    From the log of what was asked; with `--data`, of the complexity measure on graded answers,
    those files left out that its weights were learned from.
    """
    if data is not None:
        _report_data(data, as_json=as_json)
        return
    result = call("GET", ROUTING, tenant, params={"since": since} if since else {})
    if as_json:
        show_json(result)
        return
    show(f"{result['questions']} questions, {result['escalated']} of them escalated.")
    columns = ("strategy", "model", "per question", "per answer", "answered", "known for")
    rows = (
        (
            each["strategy"],
            each["model"],
            _money(each["micro_per_question"]),
            _money(each["micro_per_answer"]),
            _share(each["answered"]),
            _share(each["known"]),
        )
        for each in result["strategies"]
    )
    show_table("Routing", columns, rows)


def _report_data(folder: Path, *, as_json: bool) -> None:
    files = read_graded(folder)
    kept = held_out(files, learned_from())
    complexity = load_complexity()
    graded = [each for file in kept for each in file.questions]
    curve = curve_of(graded, [complexity(each.question, None) for each in graded])
    left_out = len(files) - len(kept)
    if as_json:
        show_json({**asdict(curve), "left_out": left_out})
        return
    show(
        f"{curve.questions} questions on {curve.subjects} subjects; {left_out} files left out, which the weights were learned from."
    )
    show(f"Always cheap {curve.cheap:.3f}, always best {curve.best:.3f}.")
    show_table("Share right", ("calls of the best", "by complexity", "by chance"), _points(curve))
    if curve.apgr is not None:
        within = "" if curve.interval is None else " ({:.3f} to {:.3f})".format(*curve.interval)
        show(f"Gap recovered on average (APGR): {curve.apgr:.3f}{within}; by chance .5.")
        show(f"Within a subject, where telling subjects apart wins nothing: {curve.within:.3f}.")


def _points(curve: Curve) -> list[tuple[str, str, str]]:
    return [
        (f"{share:.0%}", f"{right:.3f}", f"{curve.cheap + share * (curve.best - curve.cheap):.3f}")
        for share, right in curve.points
    ]


def _told(model: ModelSpec) -> dict[str, Any]:
    """The model without what is only the wire's."""
    return {
        "name": model.name,
        "tier": model.tier,
        "context_tokens": model.context_tokens,
        "max_output_tokens": model.max_output_tokens,
        "price": None if model.price is None else asdict(model.price),
        "structured": model.structured,
        "logprobs": model.logprobs,
        "deployments": [
            {
                "name": each.name,
                "provider": each.provider.name,
                "kind": each.provider.kind,
                "base_url": each.base_url,
                "region": each.region,
                "trusted": each.trusted,
                "weight": each.weight,
                "max_concurrent": each.max_concurrent,
            }
            for each in model.deployments
        ],
    }


def _row(model: ModelSpec) -> tuple[str, ...]:
    able = [
        name for name, can in (("schemas", model.structured), ("logprobs", model.logprobs)) if can
    ]
    return (
        model.name,
        model.tier,
        f"{model.context_tokens:,}",
        "unknown" if model.price is None else _priced(model.price),
        ", ".join(able) or "-",
        ", ".join(each.name for each in model.deployments),
    )


def _priced(price: Price) -> str:
    return f"{price.input / MICROS:g} / {price.output / MICROS:g}"


def _money(micro: float | None) -> str:
    return "unknown" if micro is None else f"{micro / MICROS:.6f}"


def _share(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.1%}"
