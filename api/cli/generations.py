"""`rag generations`: indexes with other models or chunks, built beside the one that serves."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.calling import call
from api.cli.client import Api, open_api, path_of
from api.cli.options import AsJson, Tenant, settings_for
from api.cli.output import note, progress_bar, show, show_json, show_table
from api.cli.syncing import counted, estimated

GENERATIONS = "/v1/admin/generations"
_LOOK_EVERY_S = 1.0
_SHARES = (
    "ndcg",
    "recall",
    "citation_precision",
    "citation_recall",
    "answer_accuracy",
    "refusal_precision",
    "refusal_recall",
    "forbidden_leaks",
    "search_p95_ms",
    "ask_p95_ms",
)

GenerationId = Annotated[int, typer.Argument(help="The generation's number.")]


def add_to(app: typer.Typer) -> None:
    generations = typer.Typer(no_args_is_help=True, help="Indexes beside the one that serves.")
    generations.command("list", epilog="Example: rag generations list")(list_generations)
    generations.command("show", epilog="Example: rag generations show 2")(show_generation)
    generations.command(
        "build", epilog="Example: rag generations build --chunk-tokens 300 --dry-run"
    )(build)
    generations.command("compare", epilog="Example: rag generations compare 2 corpora/aldermoor")(
        compare
    )
    generations.command("switch", epilog="Example: rag generations switch 2")(switch)
    generations.command("drop", epilog="Example: rag generations drop 1")(drop)
    app.add_typer(generations, name="generations")


def list_generations(*, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """All that there ever were: which one serves, what each is made with, how far it is."""
    result = call("GET", GENERATIONS, tenant)
    if as_json:
        show_json(result)
        return
    columns = ("id", "state", "embedder", "chunks of", "documents", "lacking", "failed", "verdict")
    show_table("Generations", columns, map(_row, result["generations"]))


def show_generation(
    generation: GenerationId, *, tenant: Tenant = None, as_json: AsJson = False
) -> None:
    """One: how far it is, what its comparison found, why documents are missing."""
    shown = call("GET", _path_of(generation), tenant)
    if as_json:
        show_json(shown)
        return
    show(f"Generation {shown['id']}: {shown['state']}", style="bold")
    show(f"Made with {_recipe(shown['recipe'])}.")
    if standing := shown["standing"]:
        show(_standing(standing))
    if shown["failures"]:
        columns = ("jobs", "state", "error_class", "example_uri", "example_error")
        rows = ([group[name] for name in columns] for group in shown["failures"])
        show_table("Failed", columns, rows)
    if comparison := shown["comparison"]:
        _show_comparison(comparison)
    if forced := shown["forced"]:
        show(f"{forced['by']} forced the switch at {forced['at']}, against:", style="yellow")
        for against in forced["against"]:
            show(f"  {against}")


def build(
    *,
    chunk_tokens: Annotated[int | None, typer.Option(help="Token budget of a chunk.")] = None,
    overlap: Annotated[
        float | None, typer.Option(help="Overlap inside a section, 0 to 0.5.")
    ] = None,
    embedder: Annotated[str | None, typer.Option(help="minilm or sentence_transformers.")] = None,
    model: Annotated[str | None, typer.Option(help="Its model's id or path.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell how much it is.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until it holds every document.")] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Build an index beside the one that serves, from the originals that are kept.

    What is left out is as the settings have it now. Readers notice nothing before a switch.
    """
    said = {"chunk_tokens": chunk_tokens, "overlap": overlap, "embedder": embedder, "model": model}
    body = {name: value for name, value in said.items() if value is not None}

    async def run() -> dict[str, Any]:
        async with open_api(settings_for(tenant)) as api:
            begun = await api.call("POST", GENERATIONS, body={**body, "dry_run": dry_run})
            if wait and not dry_run:
                begun["generation"] = await _built(api, begun["generation"], shown=not as_json)
            return begun

    begun = asyncio.run(run())
    if as_json:
        show_json(begun)
    else:
        _show_begun(begun)
    if wait and not dry_run and begun["generation"]["standing"]["lacking"]:
        raise typer.Exit(1)


def compare(
    generation: GenerationId,
    folder: Annotated[Path, typer.Argument(help="documents/ and questions.jsonl.")],
    *,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Ask golden questions of it and of the one that serves, as those who ask them.

    The documents must have been ingested from the folder's documents/.
    """
    from rag.evaluation.golden import read_golden  # noqa: PLC0415 - it brings scipy

    cases = [
        {
            "id": case.id,
            "question": case.question,
            "as": case.asker,
            "groups": sorted(case.groups),
            "kind": case.kind,
            "expected_documents": case.expected_documents,
            "alternative_documents": case.alternative_documents,
            "forbidden_documents": case.forbidden_documents,
            "answer_contains": case.answer_contains,
            "answer_excludes": case.answer_excludes,
            "refuses": case.refuses,
        }
        for case in read_golden(folder)
    ]
    documents = (folder / "documents").resolve()
    body = {"cases": cases, "documents_uri": documents.as_uri()}
    comparison = call("POST", _path_of(generation, "compare"), tenant, body=body)
    if as_json:
        show_json(comparison)
    else:
        _show_comparison(comparison)
    if comparison["verdict"] != "passed":
        raise typer.Exit(1)


def switch(
    generation: GenerationId,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Whatever stands against it, but for leaks.")
    ] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Send readers to it: a new one that has passed, or back to one that served before."""
    switched = call("POST", _path_of(generation, "switch"), tenant, body={"force": force})
    if as_json:
        show_json(switched)
        return
    if switched["before"] == switched["serving"]:
        show(f"Generation {switched['serving']} serves already.")
        return
    show(
        f"Generation {switched['serving']} serves. Back: rag generations switch {switched['before']}"
    )
    if switched["lacking"]:
        show(f"It lacks {counted(switched['lacking'], 'document')}.", style="yellow")
    for against in switched["forced"]:
        show(f"  forced against: {against}", style="yellow")


def drop(generation: GenerationId, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Remove an index for good. There is no going back to it."""
    call("DELETE", _path_of(generation), tenant)
    if as_json:
        show_json({"id": generation, "dropped": True})
    else:
        show(f"Generation {generation} is gone.")


def _path_of(generation: int, *more: str) -> str:
    return path_of(GENERATIONS, str(generation), *more)


async def _built(api: Api, begun: dict[str, Any], *, shown: bool) -> dict[str, Any]:
    """The generation once it lacks only what failed."""
    with progress_bar(shown=shown) as bar:
        task = bar.add_task(f"building generation {begun['id']}", total=None)
        while True:
            now: dict[str, Any] = await api.call("GET", _path_of(begun["id"]))
            standing = now["standing"]
            if standing is None:
                note("It was dropped meanwhile.")
                return {**now, "standing": begun["standing"]}
            held = standing["documents"] - standing["lacking"]
            bar.update(task, total=standing["documents"], completed=held)
            if standing["lacking"] <= standing["failed"]:
                return now
            await asyncio.sleep(_LOOK_EVERY_S)


def _show_begun(begun: dict[str, Any]) -> None:
    would = "Would build" if begun["dry_run"] else "Building"
    documents, chunks = counted(begun["documents"], "document"), counted(begun["chunks"], "chunk")
    show(
        f"{would} from {documents} ({begun['bytes']} bytes, {chunks} now): {_recipe(begun['recipe'])}."
    )
    show(estimated(begun))
    if generation := begun["generation"]:
        show(f"Generation {generation['id']}: {_standing(generation['standing'])}")
        if generation["standing"]["failed"]:
            show(f"Why they failed: rag generations show {generation['id']}", style="red")


def _show_comparison(comparison: dict[str, Any]) -> None:
    serving, new = comparison["serving"], comparison["new"]
    columns = ("figure", f"serving ({comparison['against']})", "new")
    rows = ((name, serving[name], new[name]) for name in _SHARES)
    show_table(f"{counted(comparison['cases'], 'case')}, {comparison['at']}", columns, rows)
    passed = comparison["verdict"] == "passed"
    show(f"The gate: {comparison['verdict']}.", style="green" if passed else "red")
    for reason in comparison["reasons"]:
        show(f"  {reason['words']}", style="red")


def _row(generation: dict[str, Any]) -> list[object]:
    recipe: dict[str, Any] = generation["recipe"] or {}
    standing: dict[str, Any] = generation["standing"] or {}
    made_with = " ".join(str(recipe[name]) for name in ("embedder", "model") if recipe.get(name))
    told = [standing.get(name) for name in ("documents", "lacking", "failed")]
    return [
        generation["id"],
        generation["state"],
        made_with,
        recipe.get("chunk_tokens"),
        *told,
        generation["verdict"],
    ]


def _recipe(recipe: dict[str, Any] | None) -> str:
    if recipe is None:
        return "nobody knows what"
    model = f" {recipe['model']}" if recipe["model"] else ""
    return (
        f"{recipe['embedder']}{model}, chunks of {recipe['chunk_tokens']} tokens, "
        f"overlap {recipe['overlap']}"
    )


def _standing(standing: dict[str, Any]) -> str:
    held = standing["documents"] - standing["lacking"]
    failed = f", {standing['failed']} failed" if standing["failed"] else ""
    chunks = counted(standing["chunks"], "chunk")
    return f"{held} of {counted(standing['documents'], 'document')}{failed}, {chunks}."
