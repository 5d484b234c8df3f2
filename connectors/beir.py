"""A BEIR corpus as a source, so that a benchmark is ingested as any documents are."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType

from connectors.protocols import Listed, Resource, Seen
from rag.bodies import Body
from rag.errors import SourceGone
from rag.evaluation.beir import BeirDataset, BeirDocument
from rag.types import SourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class BeirConnector:
    source: SourceId
    documents: MappingProxyType[str, BeirDocument]
    """By URI."""

    @classmethod
    def over(cls, dataset: BeirDataset, *, source: SourceId) -> "BeirConnector":
        by_uri = {document.uri: document for document in dataset.documents}
        return cls(source=source, documents=MappingProxyType(by_uri))

    @property
    def delta(self) -> None:
        """A file of documents keeps no record of its changes."""
        return None

    async def listing(self) -> AsyncGenerator[Listed]:
        for uri, document in self.documents.items():
            yield Listed(uri=uri, seen=_seen(document), access=document.access)

    async def fetch(self, uri: str) -> Resource:
        try:
            document = self.documents[uri]
        except KeyError as error:
            raise SourceGone(uri) from error
        return Resource(
            uri=uri,
            title=document.title,
            body=Body.of(document.text.encode()),
            media_type="text/plain",
            access=document.access,
            seen=_seen(document),
        )

    async def aclose(self) -> None:
        pass


def _seen(document: BeirDocument) -> Seen:
    content = sha256(f"{document.title}\0{document.text}".encode()).hexdigest()
    return Seen(
        content, ",".join(sorted(reader for clause in document.access.clauses for reader in clause))
    )
