"""What is said and told of connectors over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field

from api.shapes import Schema, ShortText
from rag.storage.jobs.fairness import HIGHEST_WEIGHT, LOWEST_WEIGHT
from rag.storage.sources.records import Progress, Source, SourceState

Settings = Annotated[dict[str, Any], Field(max_length=50)]


class ConnectorRequest(Schema):
    kind: str = Field(max_length=64)
    name: ShortText = Field(min_length=1)
    settings: Settings

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "filesystem",
                    "name": "Finance share",
                    "settings": {"root": "/documents/finance"},
                }
            ]
        }
    )


class ConnectorChange(Schema):
    """What is left out stays as it is."""

    name: ShortText | None = Field(default=None, min_length=1)
    settings: Settings | None = None
    state: Literal["enabled", "paused"] | None = None
    access_max_age_hours: float | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="Hide its documents when it has not confirmed for so long who may read them. "
        "0: never; null: as the platform's settings say.",
    )
    weight: float | None = Field(
        default=None,
        ge=LOWEST_WEIGHT,
        le=HIGHEST_WEIGHT,
        description="Its share of running jobs, against the tenant's other connectors.",
    )
    max_running: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="How many of its jobs may run at a time; null: as many as there are slots.",
    )


class SyncRequest(Schema):
    confirm_deletions: bool = Field(
        default=False,
        description="List everything, and delete whatever is not there, however much it is: for a "
        "sync that held deletions back because they were too many to be believed.",
    )


class ConnectorOut(Schema):
    id: str
    kind: str
    name: str
    settings: dict[str, Any]
    state: SourceState
    created_at: datetime
    last_sync_at: datetime | None
    last_sync_error: str | None
    listed_at: datetime | None
    held_back_deletions: int = Field(
        description="Deletions that wait until they are confirmed: see `sync`."
    )
    access_max_age_hours: float | None
    weight: float
    max_running: int | None

    @classmethod
    def of(cls, source: Source) -> Self:
        own = source.access_max_age
        return cls(
            id=source.id,
            kind=source.kind,
            name=source.name,
            settings=dict(source.settings),
            state=source.state,
            created_at=source.created_at,
            last_sync_at=source.last_sync_at,
            last_sync_error=source.last_sync_error,
            held_back_deletions=source.held_back,
            listed_at=source.listed_at,
            access_max_age_hours=None if own is None else own.total_seconds() / 3_600,
            weight=source.weight,
            max_running=source.max_running,
        )


class ConnectorsOut(Schema):
    connectors: list[ConnectorOut]


class RemovalOut(Schema):
    documents: int = Field(description="Documents whose deletion is queued.")


class CheckOut(Schema):
    ok: bool
    detail: str
    listed: int = Field(description="Resources seen; the check stops after the first few.")
    problems: list[str]


class SourceProblem(Schema):
    uri: str
    reason: str


class ProgressOut(Schema):
    listed: int
    done: int
    failed: int
    pending: int
    per_second: float | None = Field(description="Jobs that ended in a second, over the run.")
    eta_s: float | None = Field(description="Seconds until none is pending, if it goes on so.")

    @classmethod
    def of(cls, progress: Progress) -> Self:
        return cls(
            listed=progress.listed,
            done=progress.done,
            failed=progress.failed,
            pending=progress.pending,
            per_second=progress.per_second,
            eta_s=progress.eta_s,
        )


class FoundOut(Schema):
    """What the last sync found."""

    mode: Literal["listing", "changes"] = Field(
        description="Whether everything was listed, or the source said what changed."
    )
    seen: int = Field(description="Resources that were compared with what is known.")
    new: int
    content_changed: int
    metadata_changed: int
    access_changed: int
    moved: int
    deleted: int
    problems: int


class StatusOut(Schema):
    state: SourceState | Literal["syncing"]
    last_sync_at: datetime | None
    last_sync_error: str | None
    next_sync_at: datetime | None = Field(description="None where nothing syncs it by itself.")
    reconciled_at: datetime | None = Field(description="When everything was last listed.")
    found: FoundOut | None
    held_back_deletions: int
    jobs: ProgressOut
    documents: dict[str, int]
    problems: list[SourceProblem]
