"""The answer cache of a tenant: how much it holds, and emptying it."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from api.auth import Caller
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS
from api.permissions import Permission
from api.shapes import Schema
from rag.types import DocumentId

router = APIRouter(prefix="/v1/admin/cache", tags=["administration"], responses=PROBLEMS)

Admin = Annotated[Caller, requires(Permission.ADMIN)]


class CacheOut(Schema):
    answers: int = Field(description="How many answers of the tenant are kept.")


class ClearedOut(Schema):
    forgotten: int = Field(description="How many answers were forgotten.")


@router.get("")
async def show_cache(caller: Admin, platform: PlatformDep) -> CacheOut:
    """How many answers are kept. Neither questions nor answers are shown: they are their askers'."""
    return CacheOut(answers=await platform.answer_cache.store.count(caller.principal.tenant))


@router.delete("")
async def clear_cache(
    *,
    caller: Admin,
    platform: PlatformDep,
    document: Annotated[str | None, Query(max_length=64)] = None,
    prompt: Annotated[str | None, Query(max_length=255)] = None,
    generation: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
) -> ClearedOut:
    """Forget the tenant's answers, or those made of all that is named; everywhere, and at once."""
    return ClearedOut(
        forgotten=await platform.answer_cache.clear(
            caller.principal.tenant,
            document=None if document is None else DocumentId(document),
            prompt=prompt,
            generation=generation,
        )
    )
