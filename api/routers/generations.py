"""Generations of the index: build one beside the one that serves, compare the two, switch."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import ValidationError

from api.auth import Caller
from api.comparison import Compared, compare_generations
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS, problems
from api.opening import recipe_of
from api.permissions import Permission
from api.platform import Platform
from api.routers.generation_shapes import (
    BuildOut,
    BuildRequest,
    CompareRequest,
    ComparisonOut,
    FiguresOut,
    ForcedOut,
    GenerationDetail,
    GenerationOut,
    GenerationsOut,
    ReasonOut,
    RecipeOut,
    StandingOut,
    SwitchOut,
    SwitchRequest,
    report_with,
)
from api.routers.jobs import FailureOut
from api.settings import Settings
from api.switching import check_drop, check_switch
from ingestion.upkeep import enqueue_rendering
from rag.errors import Conflict, InvalidRequest, NotFound
from rag.evaluation.gate import Passed, Refused, figures_of
from rag.storage.documents.estimates import amount_shown, seconds_of
from rag.storage.generations.records import (
    Generation,
    GenerationId,
    GenerationState,
    Recipe,
    Standing,
)
from rag.storage.jobs.failures import Failures
from rag.storage.jobs.records import JobKind

KINDS = (JobKind.RENDER, JobKind.REINDEX, JobKind.UPSERT)
"""Jobs whose pace tells how long building takes: those that do the same first."""

router = APIRouter(prefix="/v1/admin/generations", tags=["operation"], responses=PROBLEMS)

Operator = Annotated[Caller, requires(Permission.OPERATE)]
Id = Annotated[int, Path(ge=1, le=1_000_000)]


@router.get("")
async def list_generations(caller: Operator, platform: PlatformDep) -> GenerationsOut:
    """All that there ever were: their state, recipe, how far they are, and what was found."""
    _ = caller
    listed = await platform.generation_ledger.listed()
    return GenerationsOut(generations=[await _shown(platform, each) for each in listed])


@router.post("", status_code=202, responses=problems(409))
async def build_generation(
    request: BuildRequest, caller: Operator, platform: PlatformDep
) -> BuildOut:
    """Begin one beside the one that serves, from the originals that are kept, at the lowest
    priority. Readers see nothing of it. With `dry_run`: only how much that would be."""
    _ = caller
    recipe = _recipe_of(request, platform.settings)
    amount = await amount_shown(platform.database)
    seconds = await seconds_of(platform.database, amount.documents, kinds=KINDS)
    begun = None if request.dry_run else await _begin(platform, recipe)
    return BuildOut(
        dry_run=request.dry_run,
        recipe=RecipeOut.of(recipe),
        documents=amount.documents,
        bytes=amount.bytes,
        chunks=amount.chunks,
        tokens=amount.tokens,
        seconds=seconds,
        cost=amount.cost(platform.settings.embedder.price_per_million_tokens),
        generation=None if begun is None else await _shown(platform, begun),
    )


@router.get("/{generation_id}", responses=problems(404))
async def show_generation(
    generation_id: Id, caller: Operator, platform: PlatformDep
) -> GenerationDetail:
    """One, with its comparison and why documents failed to come into it."""
    generation = await platform.generation_ledger.get(GenerationId(generation_id))
    shown, report = await _shown(platform, generation), generation.report or {}
    failures = await Failures(platform.database).groups(
        None, kind=JobKind.RENDER, since=generation.created_at
    )
    return GenerationDetail(
        **shown.model_dump(),
        comparison=report.get("comparison"),
        forced=report.get("forced"),
        failures=[FailureOut.for_tenant(caller.principal.tenant, each) for each in failures],
    )


@router.post("/{generation_id}/compare", responses=problems(404, 409))
async def compare_generation(
    generation_id: Id, request: CompareRequest, caller: Operator, platform: PlatformDep
) -> ComparisonOut:
    """Ask golden cases of the one that serves and of this one, as those whom the cases name in
    the caller's tenant. Figures and ids come back, and no text; they are kept for the switch."""
    ledger = platform.generation_ledger
    generation = await ledger.get(GenerationId(generation_id))
    if generation.state in {GenerationState.DROPPED, GenerationState.SERVING}:
        raise Conflict(
            f"generation {generation.id} is {generation.state}: there is nothing to tell"
        )
    standing = await ledger.standing(generation.id)
    serving = await platform.generations.serving()
    try:
        new = await platform.generations.get(generation.id)
    except NotFound as error:
        raise Conflict(f"generation {generation.id} cannot be opened: the log says why") from error
    compared = await compare_generations(
        platform,
        serving,
        new,
        [case.case() for case in request.cases],
        tenant=caller.principal.tenant,
        documents_uri=request.documents_uri,
    )
    comparison = _told(compared, standing, against=serving.id, by=caller.principal.id)
    generation = await ledger.get(generation.id)
    await ledger.note_report(generation.id, report_with(generation, comparison=comparison))
    return comparison


@router.post("/{generation_id}/switch", responses=problems(404, 409))
async def switch_generation(
    generation_id: Id, request: SwitchRequest, caller: Operator, platform: PlatformDep
) -> SwitchOut:
    """Send readers to it: at once, and all of them within a second. One that was never served must
    hold every document and have passed its comparison, unless `force` says otherwise; one that
    served before needs nothing."""
    ledger = platform.generation_ledger
    generation = await ledger.get(GenerationId(generation_id))
    standing = await ledger.standing(generation.id)
    [serving, *_] = await ledger.live()
    forced = check_switch(generation, standing, serving=serving, force=request.force)
    if forced:
        note = ForcedOut(by=caller.principal.id, at=datetime.now(UTC), against=forced)
        await ledger.note_report(generation.id, report_with(generation, forced=note))
    await ledger.switch(generation.id)
    await platform.generations.look()
    if standing.lacking:
        # What it missed is not to wait for the next tidying: readers search it now.
        await enqueue_rendering(ledger, platform.jobs)
    return SwitchOut(
        serving=generation.id, before=serving.id, lacking=standing.lacking, forced=forced
    )


@router.delete("/{generation_id}", status_code=204, responses=problems(404, 409))
async def drop_generation(generation_id: Id, caller: Operator, platform: PlatformDep) -> Response:
    """Write it no more and remove it. There is no going back to it."""
    _ = caller
    ledger = platform.generation_ledger
    generation = await ledger.get(GenerationId(generation_id))
    [serving, *_] = await ledger.live()
    check_drop(generation, serving=serving, moment=datetime.now(UTC))
    await ledger.drop(generation.id)
    await platform.generations.look()
    return Response(status_code=204)


async def _shown(platform: Platform, generation: Generation) -> GenerationOut:
    dropped = generation.state is GenerationState.DROPPED
    standing = None if dropped else await platform.generation_ledger.standing(generation.id)
    return GenerationOut.of(generation, standing)


def _recipe_of(request: BuildRequest, settings: Settings) -> Recipe:
    """Raises `InvalidRequest` where the platform could not be set up so."""
    embedder = settings.embedder.model_dump() | request.of_the_embedder()
    if request.model is not None and embedder["kind"] == "minilm":
        raise InvalidRequest("minilm is one model: name the embedder of the model too")
    chosen = {
        **settings.model_dump(),
        "embedder": embedder,
        "ingestion": settings.ingestion.model_dump() | request.of_the_chunks(),
    }
    try:
        return recipe_of(Settings.model_validate(chosen))
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False, include_context=False)
        raise InvalidRequest(
            "; ".join(_message(entry["loc"], entry["msg"]) for entry in wrong)
        ) from None


def _message(place: tuple[int | str, ...], message: str) -> str:
    return ": ".join((*map(str, place[-1:]), message.removeprefix("Value error, ")))


async def _begin(platform: Platform, recipe: Recipe) -> Generation:
    """Raises `Conflict` while another is being built, and `InvalidRequest` where it cannot be
    opened: nothing is left of it then."""
    ledger = platform.generation_ledger
    begun = await ledger.begin(recipe)
    await platform.generations.look()
    try:
        await platform.generations.get(begun.id)
    except NotFound as error:
        await ledger.drop(begun.id)
        await platform.generations.look()
        raise InvalidRequest(
            "a generation with this recipe cannot be opened (is the model's name right?): the log "
            "says why"
        ) from error
    await enqueue_rendering(ledger, platform.jobs)
    return begun


def _told(
    compared: Compared, standing: Standing, *, against: GenerationId, by: str
) -> ComparisonOut:
    match compared.verdict:
        case Passed():
            verdict, reasons = "passed", ()
        case Refused(reasons=reasons):
            verdict = "refused"
    return ComparisonOut(
        verdict=verdict,
        reasons=[ReasonOut.of(reason) for reason in reasons],
        against=against,
        cases=compared.new["cases"],
        serving=_figures(compared.serving),
        new=_figures(compared.new),
        standing=StandingOut.of(standing),
        at=datetime.now(UTC),
        by=by,
    )


def _figures(report: Mapping[str, Any]) -> FiguresOut:
    figures = asdict(figures_of(report))
    del figures["cases"]
    return FiguresOut(**figures, wrong=report["wrong"])
