"""The caller's own conversations: begun, read and deleted by nobody else."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path, Response
from pydantic import Field

from api.auth import Caller
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS, problems
from api.permissions import Permission
from api.shapes import Schema
from rag.conversation.turns import ConversationId, Turn
from rag.storage.conversations import MOST_TURNS

router = APIRouter(prefix="/v1/conversations", tags=["answers"], responses=PROBLEMS)

ConversationPath = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", examples=["0" * 32])]


class ConversationBegun(Schema):
    conversation_id: str


class TurnOut(Schema):
    question: str
    standalone: str = Field(description="The question as it was searched.")
    answer: str = Field(description="Empty where it was refused.")
    at: datetime

    @classmethod
    def of(cls, turn: Turn) -> Self:
        return cls(
            question=turn.question, standalone=turn.standalone, answer=turn.answer, at=turn.at
        )


class ConversationOut(Schema):
    conversation_id: str
    turns: list[TurnOut] = Field(description="Oldest first, without personal data and secrets.")
    summary: str = Field(
        description="What a model made of the older turns, for later questions; empty where none did."
    )


@router.post("", status_code=201)
async def begin_conversation(
    caller: Annotated[Caller, requires(Permission.ASK)], platform: PlatformDep
) -> ConversationBegun:
    """An id for `conversation_id` of the questions that follow one another."""
    return ConversationBegun(conversation_id=await platform.conversations.begin(caller.principal))


@router.get("/{conversation_id}", responses=problems(404))
async def show_conversation(
    conversation_id: ConversationPath,
    caller: Annotated[Caller, requires(Permission.ASK)],
    platform: PlatformDep,
) -> ConversationOut:
    """What the caller asked in it, and was answered."""
    history = await platform.conversations.history(
        ConversationId(conversation_id), caller.principal, latest=MOST_TURNS
    )
    return ConversationOut(
        conversation_id=conversation_id,
        turns=[TurnOut.of(turn) for turn in history.turns],
        summary="" if history.summary is None else history.summary.text,
    )


@router.delete("/{conversation_id}", status_code=204, responses=problems(404))
async def forget_conversation(
    conversation_id: ConversationPath,
    caller: Annotated[Caller, requires(Permission.ASK)],
    platform: PlatformDep,
) -> Response:
    """Delete it with all that was said in it."""
    await platform.conversations.forget(ConversationId(conversation_id), caller.principal)
    return Response(status_code=204)
