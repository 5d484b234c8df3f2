"""The sample company, ingested once for whoever tests what it gives, through the ordinary pipeline."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from api.platform import Platform
from api.settings import Settings
from api.wiring import open_platform
from rag.access import Principal, PrincipalId, TenantId
from rag.storage.jobs.records import Job
from rag.storage.records import document_id_of
from rag.storage.sources.records import Source
from rag.types import DocumentId
from tests.syncing import sync

CORPUS = Path(__file__).parents[1] / "corpora" / "aldermoor"
TENANT = TenantId("aldermoor")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCompany:
    """A platform that holds the company's documents, and the folder that they come from."""

    platform: Platform
    source: Source
    documents: Path
    """A copy: change it as you like, then `sync`."""

    def id_of(self, relative: str) -> DocumentId:
        uri = (self.documents / relative).as_uri()
        return document_id_of(TENANT, self.source.id, uri)

    async def sync(self) -> list[Job]:
        """Take in what changed in the folder; the jobs that it took, as they ended."""
        return await sync(self.platform, self.source)


def employee(user: str, *groups: str) -> Principal:
    """`employee("1052", "sales")`: a person as `people.yaml` lists them."""
    held = frozenset(PrincipalId(f"group:{group}") for group in groups)
    return Principal(TENANT, PrincipalId(f"user:{user}"), held)


@asynccontextmanager
async def open_sample_company(folder: Path) -> AsyncGenerator[SampleCompany]:
    """The company, its documents copied to `folder`, an absolute path; the first `sync` ingests."""
    documents = folder / "documents"
    await asyncio.to_thread(shutil.copytree, CORPUS / "documents", documents)
    settings = Settings(data_dir=folder / "data", tenant=TENANT)
    async with open_platform(settings) as platform:
        await platform.sources.add_tenant(TENANT)
        source = await platform.sources.register(
            TENANT, kind="filesystem", name="Aldermoor", settings={"root": str(documents)}
        )
        yield SampleCompany(platform=platform, source=source, documents=documents)
