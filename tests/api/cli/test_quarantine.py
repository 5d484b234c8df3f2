"""`rag quarantine`, from a folder with a garbled scan to an answer from it."""

from pathlib import Path

from tests.api.cli.commands import CommandLine, Ran
from tests.ingestion.validation.inputs import GARBLED


def _good(ran: Ran) -> Ran:
    assert ran.status == 0, ran.err
    return ran


async def test_a_garbled_scan_is_listed_explained_and_released(tmp_path: Path) -> None:
    documents, rag = tmp_path / "documents", CommandLine(tmp_path / "data")
    documents.mkdir()
    (documents / "scan.txt").write_text(f"{GARBLED} zirkonium {GARBLED}")
    _good(await rag.run("init"))
    async with rag.serving():
        report = _good(
            await rag.run("ingest", str(documents), "--readers", "everyone", "--json")
        ).json
        assert (report["listed"], report["failed"]) == (1, 1)

        [waiting] = _good(await rag.run("quarantine", "list", "--json")).json["documents"]
        assert waiting["reason"] == "garbled" and waiting["uri"].endswith("scan.txt")
        document = waiting["document_id"]
        told = _good(await rag.run("quarantine", "show", document)).out
        assert "quarantined (garbled)" in told and "tokens look like words" in told

        assert _good(await rag.run("quarantine", "release", document)).out.startswith(
            "done: indexed"
        )
        assert _good(await rag.run("quarantine", "list", "--json")).json["documents"] == []
        hits = _good(await rag.run("search", "zirkonium", "--as", "user:1", "--json")).json["hits"]
        assert "zirkonium" in hits[0]["text"]
        again = await rag.run("quarantine", "release", document)
        assert again.status != 0 and again.err.startswith("rag: ")
