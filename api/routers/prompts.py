"""Prompts: their versions, which one serves, what is tried beside it, and going back."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.auth import Caller
from api.comparison import thresholds_of
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS, problems
from api.permissions import Permission
from api.platform import Platform
from api.routers.prompt_shapes import (
    ChangeOut,
    LabelOut,
    LabelRequest,
    LabelSetOut,
    LabelText,
    PromptDetail,
    PromptOut,
    PromptsOut,
    RollbackOut,
    RollbackRequest,
    labels_told,
)
from api.routers.prompt_version_shapes import (
    DifferenceOut,
    ReportShape,
    VersionDetail,
    VersionOut,
    VersionRequest,
    VersionText,
    owner_of,
)
from api.routers.rollout_shapes import (
    RolloutOut,
    RolloutReport,
    RolloutRequest,
    StopRequest,
    running_told,
)
from rag.access import TenantId
from rag.errors import Conflict, Forbidden
from rag.prompts.choosing import PRODUCTION
from rag.prompts.differences import difference
from rag.prompts.drafts import check_draft, variables_of
from rag.prompts.experiments import compare
from rag.prompts.promotion import Open, Shut, gate_of
from rag.prompts.registry import VARIABLES
from rag.prompts.rollouts import Plan, PromptCandidate, Rollout, RolloutId, check_rollout
from rag.prompts.versions import EVERY_TENANT, PromptVersion

_SETTLED = timedelta(minutes=2)
"""After so long, every process has written down the outcomes of a minute."""

router = APIRouter(prefix="/v1/admin/prompts", tags=["prompts"], responses=PROBLEMS)

Admin = Annotated[Caller, requires(Permission.ADMIN)]
Name = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
Id = Annotated[int, Path(ge=1, le=1_000_000_000)]


@router.get("")
async def list_prompts(caller: Admin, platform: PlatformDep) -> PromptsOut:
    """Every prompt that the platform asks for, what its labels name, and what is tried."""
    tenant, prompts = caller.principal.tenant, platform.prompts
    versions = await prompts.ledger.listed(tenant)
    rollouts = await prompts.rollouts.listed(tenant)
    return PromptsOut(
        prompts=[
            PromptOut(
                name=name,
                variables=variables_of(name),
                labels=labels_told(await prompts.ledger.labels(tenant, name)),
                versions=sum(each.name == name for each in versions),
                running=running_told(rollouts, name),
            )
            for name in VARIABLES
        ]
    )


@router.get("/{name}", responses=problems(404))
async def show_prompt(name: Name, caller: Admin, platform: PlatformDep) -> PromptDetail:
    """Its versions, labels, rollouts, and what was done to them by whom."""
    tenant, prompts = caller.principal.tenant, platform.prompts
    return PromptDetail(
        name=name,
        variables=variables_of(name),
        labels=labels_told(await prompts.ledger.labels(tenant, name)),
        versions=[VersionOut.of(each) for each in await prompts.ledger.listed(tenant, name)],
        rollouts=[RolloutOut.of(each) for each in await prompts.rollouts.listed(tenant, name)],
        changes=[ChangeOut.of(each) for each in await prompts.ledger.changes(tenant, name)],
    )


@router.post("/{name}/versions", status_code=201, responses=problems(404, 409))
async def create_version(
    name: Name, request: VersionRequest, caller: Admin, platform: PlatformDep
) -> VersionDetail:
    """A new version, which nobody gets before it is promoted or tried. With `dry_run`: only whether
    it could be one. Versions never change."""
    tenant = _owner(caller, all_tenants=request.all_tenants)
    check_draft(name, request.content)
    if request.dry_run:
        draft = PromptVersion(name=name, version="draft", content=request.content, tenant=tenant)
        return VersionDetail.of(draft)
    made = await platform.prompts.ledger.create(
        tenant, name, request.content, rationale=request.rationale, by=caller.principal.id
    )
    return VersionDetail.of(made)


@router.get("/{name}/versions/{version}", responses=problems(404))
async def show_version(
    name: Name, version: VersionText, caller: Admin, platform: PlatformDep
) -> VersionDetail:
    """All of it, by its version (`own-1`) or with its content (`own-1@0f3c9a71`)."""
    return VersionDetail.of(
        await platform.prompts.ledger.get(caller.principal.tenant, name, version)
    )


@router.put("/{name}/versions/{version}/report", responses=problems(404))
async def report_version(
    name: Name, version: VersionText, report: ReportShape, caller: Admin, platform: PlatformDep
) -> VersionDetail:
    """Attach what an evaluation with it found: the gate before a promotion reads it."""
    ledger, tenant = platform.prompts.ledger, caller.principal.tenant
    found = await ledger.get(tenant, name, version)
    _check_owner(caller, found.tenant)
    await ledger.note_report(found, report.kept, caller.principal.id)
    return VersionDetail.of(await ledger.get(tenant, name, version))


@router.get("/{name}/diff", responses=problems(404))
async def compare_versions(
    name: Name,
    before: Annotated[VersionText, Query()],
    after: Annotated[VersionText, Query()],
    caller: Admin,
    platform: PlatformDep,
) -> DifferenceOut:
    """What differs between two versions, line by line."""
    ledger, tenant = platform.prompts.ledger, caller.principal.tenant
    old, new = await ledger.get(tenant, name, before), await ledger.get(tenant, name, after)
    return DifferenceOut(before=old.key, after=new.key, lines=difference(old, new))


@router.put("/{name}/labels/{label}", responses=problems(404, 409))
async def set_label(
    name: Name, label: LabelText, request: LabelRequest, caller: Admin, platform: PlatformDep
) -> LabelSetOut:
    """Let a label name a version. `production` is what questions get: a promotion, for which the
    version's evaluation must be no worse than that of the one that serves, unless `force` and a
    reason say otherwise. It holds at once here, and within a second everywhere."""
    prompts, tenant = platform.prompts, _owner(caller, all_tenants=request.all_tenants)
    version = await prompts.ledger.get(tenant, name, request.version)
    before = (await prompts.ledger.labels(tenant, name)).get(label)
    against: tuple[str, ...] = ()
    if label == PRODUCTION and before is not None and before[1] != version.key:
        serving = await prompts.ledger.version(tenant, before[1])
        against = _passed(platform, version, serving, force=request.force)
    await prompts.ledger.set_label(
        version,
        label,
        tenant=tenant,
        by=caller.principal.id,
        reason=request.reason,
        against=against,
    )
    await prompts.look()
    return LabelSetOut(
        label=LabelOut(label=label, version=version.key, owner=owner_of(tenant)),
        before=None if before is None else before[1],
        forced_against=list(against),
    )


@router.post("/{name}/rollback", responses=problems(404, 409))
async def roll_back(
    name: Name, request: RollbackRequest, caller: Admin, platform: PlatformDep
) -> RollbackOut:
    """Go back to what the label named before: at once here, and within a second everywhere. What
    was answered with the version that goes is forgotten."""
    variables_of(name)
    prompts, tenant = platform.prompts, _owner(caller, all_tenants=request.all_tenants)
    back = await prompts.ledger.roll_back(
        tenant, name, by=caller.principal.id, reason=request.reason, label=request.label
    )
    await prompts.look()
    return RollbackOut(gone=back.gone.key, now=back.now.key)


@router.post("/{name}/rollouts", status_code=201, responses=problems(404, 409))
async def start_rollout(
    name: Name, request: RolloutRequest, caller: Admin, platform: PlatformDep
) -> RolloutOut:
    """Try another prompt, model or retrieval profile: on a few people (`canary`), against what
    serves (`ab`), or unseen after the answer (`shadow`). One that does badly is ended by itself."""
    prompts, tenant = platform.prompts, _owner(caller, all_tenants=request.all_tenants)
    variables_of(name)
    candidate = request.other_candidate
    if candidate is None:
        version = await prompts.ledger.get(tenant, name, str(request.version))
        candidate = PromptCandidate(version.key)
        serving = (await prompts.ledger.labels(tenant, name)).get(PRODUCTION)
        if serving is not None and serving[1] == version.key:
            raise Conflict(f"{version.key} serves already")
    check_rollout(request.plan, candidate, share=request.chosen_share, budget=request.micros)
    begun = await prompts.rollouts.start(
        tenant,
        name,
        request.plan,
        candidate,
        share=request.chosen_share,
        budget=request.micros,
        by=caller.principal.id,
    )
    await prompts.look()
    return RolloutOut.of(begun)


@router.get("/{name}/rollouts/{rollout_id}", responses=problems(404))
async def report_rollout(
    name: Name, rollout_id: Id, caller: Admin, platform: PlatformDep
) -> RolloutReport:
    """What both arms did, and whether one is shown to be better."""
    return await _reported(platform, await _own_rollout(platform, caller, name, rollout_id))


@router.post("/{name}/rollouts/{rollout_id}/stop", responses=problems(404))
async def stop_rollout(
    name: Name, rollout_id: Id, request: StopRequest, caller: Admin, platform: PlatformDep
) -> RolloutReport:
    """From now on everyone gets what the control arm got."""
    prompts = platform.prompts
    rollout = await _own_rollout(platform, caller, name, rollout_id)
    await prompts.rollouts.stop(rollout, by=caller.principal.id, reason=request.reason)
    await prompts.look()
    return await _reported(platform, await _own_rollout(platform, caller, name, rollout_id))


def _owner(caller: Caller, *, all_tenants: bool) -> TenantId:
    """Whose prompts are meant. Raises `Forbidden`."""
    if not all_tenants:
        return caller.principal.tenant
    _check_owner(caller, EVERY_TENANT)
    return EVERY_TENANT


def _check_owner(caller: Caller, owner: TenantId) -> None:
    if owner == EVERY_TENANT and Permission.OPERATE not in caller.permissions:
        raise Forbidden(f"what is every tenant's needs the permission {Permission.OPERATE}")


def _passed(
    platform: Platform, version: PromptVersion, serving: PromptVersion, *, force: bool
) -> tuple[str, ...]:
    """What was forced against; nothing where the gate is open. Raises `Conflict`."""
    match gate_of(version, serving, thresholds_of(platform.settings.gate)):
        case Open():
            return ()
        case Shut(against=against, may_be_forced=may_be_forced):
            if force and may_be_forced:
                return against
            way_out = "; to promote it all the same: force, with a reason" if may_be_forced else ""
            raise Conflict("; ".join(against) + way_out)


async def _own_rollout(platform: Platform, caller: Caller, name: str, number: int) -> Rollout:
    """Raises `NotFound`, and `Forbidden` where its figures are of every tenant's questions."""
    variables_of(name)
    rollout = await platform.prompts.rollouts.get(caller.principal.tenant, name, RolloutId(number))
    _check_owner(caller, rollout.tenant)
    return rollout


async def _reported(platform: Platform, rollout: Rollout) -> RolloutReport:
    prompts = platform.prompts
    await prompts.write()
    arms = await prompts.outcomes.of_arms(rollout.id)
    result = None
    if rollout.plan is not Plan.SHADOW:
        until = prompts.clock() - _SETTLED
        result = compare(await prompts.outcomes.blocks(rollout.id, until=until))
    return RolloutReport.made_of(rollout, arms, result)
