"""What an operator can set of ingestion: parsing, jobs, the checks of documents, and how long access holds."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from api.settings_base import MIB, Section


class IngestionSettings(Section):
    filesystem_roots: tuple[Path, ...] = Field(
        default=(),
        description="Folders below which connectors may be registered. Unset: anywhere. Set it "
        "where a tenant's administrators are not the machine's.",
    )
    max_bytes: int = Field(default=100 * MIB, ge=1, description="Size of one document.")
    parse_timeout_s: float = Field(
        default=120, gt=0, description="Time that parsing a document may take."
    )
    parse_memory_bytes: int = Field(
        default=2_048 * MIB, ge=256 * MIB, description="Memory of the parsing subprocess."
    )
    max_pages: int = Field(default=2_000, ge=1, description="Pages or slides of one document.")
    container_levels: int = Field(
        default=3, ge=0, le=10, description="How deep documents are looked for inside documents."
    )
    container_files: int = Field(
        default=2_000, ge=0, le=100_000, description="Documents that one may hold, at all depths."
    )
    container_bytes: int = Field(
        default=1_024 * MIB, ge=0, description="Size of all that one document holds, unpacked."
    )
    parsers: int = Field(default=1, ge=1, le=32, description="Parsing subprocesses.")
    chunk_tokens: int = Field(default=200, ge=32, le=2_000, description="Token budget of a chunk.")
    overlap: float = Field(default=0.15, ge=0, le=0.5, description="Overlap inside a section.")
    workers: int = Field(
        default=8, ge=1, le=64, description="Jobs that one process runs at a time."
    )
    source_timeout_s: float = Field(
        default=300, gt=0, description="How long a source may be silent while it is read."
    )
    lease_s: float = Field(default=300, gt=0, description="How long a worker holds a job unheard.")
    memory_bytes: int | None = Field(
        default=None,
        ge=256 * MIB,
        description="Resident memory of this process and its parsers above which no more jobs are "
        "begun. Unset: 80 % of what the machine has or the container may take.",
    )
    tenant_weights: dict[str, Annotated[float, Field(gt=0, le=1_000)]] = Field(
        default_factory=dict,
        description="Shares of the tenants in running jobs, as JSON; 1 where nothing is said.",
    )


class ValidationSettings(Section):
    """What holds for every source; a connector's `validation` setting may say otherwise."""

    secrets: Literal["allow", "mask", "quarantine"] = Field(
        default="allow",
        description="What is done with passwords, keys and tokens in documents; they are counted "
        "in any case.",
    )
    personal_data: Literal["allow", "mask", "quarantine"] = Field(
        default="allow", description="The same with addresses, account numbers and the like."
    )
    instructions: Literal["warn", "quarantine"] = Field(
        default="warn", description="Where a text tells a language model what to do."
    )
    garbled: Literal["warn", "quarantine"] = Field(
        default="quarantine", description="Where most of a text is no words."
    )
    columns_changed: Literal["warn", "quarantine"] = Field(
        default="warn", description="Where a table's columns are others than in its last version."
    )
    values_missing: Literal["warn", "quarantine"] = Field(
        default="quarantine", description="Where a connector's `required_columns` have gaps."
    )
    min_characters: int = Field(
        default=0, ge=0, description="Documents with less text are quarantined."
    )
    near_duplicates: bool = Field(
        default=True, description="Whether documents are compared with the tenant's others."
    )
    kept_versions: int = Field(
        default=10, ge=1, le=1_000, description="Versions of a document whose verdicts are kept."
    )


class AccessSettings(Section):
    max_age_hours: float | None = Field(
        default=None,
        gt=0,
        le=1_000_000,
        description="Hide a document when its source has not confirmed for so long who may read "
        "it. A connector may say otherwise; pushed documents are never hidden. Unset: never.",
    )

    @property
    def max_age(self) -> timedelta | None:
        return None if self.max_age_hours is None else timedelta(hours=self.max_age_hours)
