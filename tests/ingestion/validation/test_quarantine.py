"""From a verdict to what readers see, in the ledger and in the index, and back out of quarantine."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.protocols import AccessChanged, Deleted, Upserted
from ingestion.changes import reindex_job
from ingestion.describing import ref_of
from ingestion.jobs import run_job
from ingestion.outcomes import AccessUpdated, Failed, Indexed, Outcome, Quarantined, Unchanged
from ingestion.releasing import release_from_quarantine
from rag.access import NOBODY, PrincipalId, TenantId, readable_by
from rag.errors import NotFound
from rag.storage.database import Database
from rag.storage.documents.records import DocumentState, StoredDocument
from rag.storage.jobs.records import JobId, JobKind, JobState, NewJob
from rag.storage.originals import Originals
from rag.storage.verdicts.ledger import Verdicts
from rag.storage.verdicts.records import Accept, Standing
from rag.types import DocumentId
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over
from tests.ingestion.test_containers import BoxParser
from tests.ingestion.validation.inputs import AWS, PROSE_DE, PROSE_EN

ADMIN = PrincipalId("user:admin")
GOOD, SECRET = f"# Pumps\n{PROSE_EN}", f"# Pumps\n{PROSE_EN}\nThe key is {AWS}"
SHORT = "# Pumps\nSoon."


@pytest.fixture
async def platform(database: Database, tmp_path: Path) -> Platform:
    return await platform_over(database, tmp_path)


@pytest.fixture
def verdicts(database: Database) -> Verdicts:
    return Verdicts(database)


async def set_policy(platform: Platform, **policy: object) -> None:
    await platform.sources.register(
        TENANT, kind="memory", name="Files", settings={"validation": policy}, source=SOURCE
    )


async def put(platform: Platform, text: str, *, uri: str = "pumps") -> Outcome:
    platform.folder.put(uri, text)
    seen = platform.folder.files[uri].seen
    return await platform.pipeline.ingest(Upserted(uri, seen), platform.folder, tenant=TENANT)


async def stored(platform: Platform, uri: str = "pumps") -> StoredDocument:
    found = await platform.documents.find(TENANT, id_of(uri))
    assert found is not None
    return found


def id_of(uri: str) -> DocumentId:
    return ref_of(TENANT, SOURCE, uri).id


async def run_next(platform: Platform) -> JobState | None:
    """Do the next job that is due, as a worker would."""
    job = await platform.leases.claim("worker", lease=timedelta(seconds=5))
    assert job is not None
    return await run_job(job, platform.work)


async def release(
    platform: Platform, verdicts: Verdicts, accept: Accept = Accept.VERSION, *, uri: str = "pumps"
) -> JobId:
    return await release_from_quarantine(
        TENANT,
        id_of(uri),
        accept=accept,
        by=ADMIN,
        verdicts=verdicts,
        documents=platform.documents,
        sources=platform.sources,
        jobs=platform.jobs,
    )


# --- into quarantine ---------------------------------------------------------------------------


async def test_a_quarantined_document_is_readable_to_nobody_and_listed(
    platform: Platform, verdicts: Verdicts
) -> None:
    await set_policy(platform, secrets="quarantine")
    outcome = await put(platform, SECRET)
    assert isinstance(outcome, Quarantined) and outcome.reason == "secrets"
    assert await platform.texts_seen_by("group:finance") == []
    assert platform.index.points == {} and platform.embedder.embedded == []
    document = await stored(platform)
    assert (document.state, document.quarantine, document.settled) == (
        DocumentState.QUARANTINED,
        "secrets",
        True,
    )
    [waiting] = await verdicts.quarantined(TENANT)
    assert (waiting.document, waiting.reason, waiting.is_shown) == (
        id_of("pumps"),
        "secrets",
        False,
    )
    assert AWS not in repr(waiting)
    assert await verdicts.quarantined(TenantId("other")) == []
    assert await verdicts.quarantined(TENANT, reason="garbled") == []


async def test_a_version_that_is_only_poor_leaves_the_last_good_one_shown(
    platform: Platform, verdicts: Verdicts
) -> None:
    await set_policy(platform, min_characters=100)
    await put(platform, GOOD)
    assert isinstance(await put(platform, SHORT), Quarantined)
    assert await platform.texts_seen_by("group:finance") == [PROSE_EN.strip() + " "]
    [waiting] = await verdicts.quarantined(TENANT)
    assert waiting.is_shown and waiting.reason == "little_text"
    assert (await stored(platform)).state is DocumentState.ACTIVE


async def test_a_version_with_a_secret_hides_the_last_good_one_too(platform: Platform) -> None:
    await set_policy(platform, secrets="quarantine")
    await put(platform, GOOD)
    assert isinstance(await put(platform, SECRET), Quarantined)
    assert await platform.texts_seen_by("group:finance") == []
    assert platform.index.points == {}
    document = await stored(platform)
    assert (document.state, document.version, document.original) == (
        DocumentState.QUARANTINED,
        None,
        None,
    )
    assert not any(path.is_file() for path in platform.originals.root.rglob("*"))


async def test_a_stricter_policy_hides_what_was_shown_when_it_is_indexed_anew(
    platform: Platform,
) -> None:
    assert isinstance(await put(platform, SECRET), Indexed)
    await set_policy(platform, secrets="quarantine")
    await platform.jobs.enqueue([reindex_job(TENANT, SOURCE, uri="pumps")])
    assert await run_next(platform) is JobState.FAILED
    assert await platform.texts_seen_by("group:finance") == []


async def test_a_good_version_ends_the_quarantine(platform: Platform, verdicts: Verdicts) -> None:
    await set_policy(platform, secrets="quarantine")
    await put(platform, SECRET)
    assert isinstance(await put(platform, GOOD), Indexed)
    assert await verdicts.quarantined(TENANT) == []
    assert len(await platform.texts_seen_by("group:finance")) == 1
    assert (await stored(platform)).error is None


async def test_the_shown_version_coming_back_ends_the_quarantine(
    platform: Platform, verdicts: Verdicts
) -> None:
    await set_policy(platform, min_characters=100)
    await put(platform, GOOD)
    await put(platform, SHORT)
    assert await put(platform, GOOD) == Unchanged()
    assert await verdicts.quarantined(TENANT) == []


async def test_indexing_the_shown_version_anew_leaves_the_newer_one_in_quarantine(
    platform: Platform, verdicts: Verdicts
) -> None:
    await set_policy(platform, min_characters=100)
    await put(platform, GOOD)
    await put(platform, SHORT)
    await platform.jobs.enqueue([reindex_job(TENANT, SOURCE, uri="pumps")])
    assert await run_next(platform) is JobState.DONE
    [waiting] = await verdicts.quarantined(TENANT)
    assert waiting.reason == "little_text" and waiting.is_shown
    await platform.jobs.enqueue([_fetch("pumps", platform)])
    assert await run_next(platform) is JobState.FAILED
    await release(platform, verdicts)
    assert await run_next(platform) is JobState.DONE
    assert await platform.texts_seen_by("group:finance") == ["Soon."]


async def test_who_is_shut_out_of_a_hidden_document_stays_so(platform: Platform) -> None:
    await set_policy(platform, secrets="quarantine")
    await put(platform, SECRET)
    seen = platform.folder.files["pumps"].seen
    change = AccessChanged("pumps", seen, NOBODY, {})
    outcome = await platform.pipeline.ingest(change, platform.folder, tenant=TENANT)
    assert outcome == AccessUpdated()
    assert (await stored(platform)).access == NOBODY
    await platform.jobs.enqueue([reindex_job(TENANT, SOURCE, uri="pumps")])
    assert await run_next(platform) is JobState.DONE
    assert (await stored(platform)).state is DocumentState.QUARANTINED


async def test_a_deletion_forgets_every_verdict(platform: Platform, verdicts: Verdicts) -> None:
    await put(platform, GOOD * 3)
    await put(platform, f"{GOOD * 3} More.", uri="copy")
    assert await verdicts.of_document(TENANT, id_of("pumps"))
    for uri in ("pumps", "copy"):
        await platform.pipeline.ingest(Deleted(uri), platform.folder, tenant=TENANT)
        assert await verdicts.of_document(TENANT, id_of(uri)) == []
    assert await verdicts.quarantined(TENANT) == []


async def test_a_snapshot_has_what_waits_so_that_its_source_is_not_asked_again(
    platform: Platform,
) -> None:
    await set_policy(platform, secrets="quarantine")
    await put(platform, SECRET)
    document = await stored(platform)
    assert document.revision == platform.folder.files["pumps"].seen.revision


async def test_a_crash_between_ledger_and_index_shows_nothing_and_is_mended(
    platform: Platform,
) -> None:
    await put(platform, SECRET)
    await set_policy(platform, secrets="quarantine")
    platform.folder.put("pumps", SECRET + " again")
    platform.index.down = True
    with pytest.raises(Exception, match="index"):
        await put(platform, SECRET + " again")
    platform.index.down = False
    assert await platform.texts_seen_by("group:finance") == []
    await platform.jobs.enqueue([_mend("pumps")])
    assert await run_next(platform) is JobState.DONE
    assert platform.index.points == {}
    assert (await stored(platform)).settled


# --- out of quarantine -------------------------------------------------------------------------


def _fetch(uri: str, platform: Platform) -> NewJob:
    seen = platform.folder.files[uri].seen
    payload = {"seen": {"revision": seen.revision, "access": seen.access}}
    return NewJob(tenant=TENANT, source=SOURCE, kind=JobKind.UPSERT, uri=uri, payload=payload)


def _mend(uri: str) -> NewJob:
    return NewJob(
        tenant=TENANT, source=SOURCE, kind=JobKind.REINDEX, uri=uri, payload={"anew": False}
    )


async def test_a_released_version_is_found_and_the_next_one_is_checked_again(
    platform: Platform, verdicts: Verdicts
) -> None:
    await set_policy(platform, secrets="quarantine")
    platform.folder.put("pumps", SECRET)
    await platform.jobs.enqueue([_fetch("pumps", platform)])
    assert await run_next(platform) is JobState.FAILED
    await release(platform, verdicts)
    assert await run_next(platform) is JobState.DONE
    assert any(AWS in text for text in await platform.texts_seen_by("group:finance"))
    assert await platform.texts_seen_by("group:sales") == []
    [newest, _] = await verdicts.of_document(TENANT, id_of("pumps"))
    assert newest.validation.standing is Standing.WARNED
    assert "accepted by an administrator" in repr(newest.validation.verdicts)
    assert isinstance(await put(platform, SECRET + " changed"), Quarantined)


async def test_a_released_document_stays_so_for_that_reason_alone(
    platform: Platform, verdicts: Verdicts
) -> None:
    await set_policy(platform, secrets="quarantine", personal_data="quarantine")
    platform.folder.put("pumps", SECRET)
    await platform.jobs.enqueue([_fetch("pumps", platform)])
    await run_next(platform)
    await release(platform, verdicts, Accept.DOCUMENT)
    await run_next(platform)
    assert isinstance(await put(platform, SECRET + " changed"), Indexed)
    outcome = await put(platform, SECRET + " mail anna.berg@example.com")
    assert isinstance(outcome, Quarantined) and outcome.reason == "personal_data"


async def test_checking_again_accepts_nothing(platform: Platform, verdicts: Verdicts) -> None:
    await set_policy(platform, secrets="quarantine")
    platform.folder.put("pumps", SECRET)
    await platform.jobs.enqueue([_fetch("pumps", platform)])
    await run_next(platform)
    await release(platform, verdicts, Accept.NOTHING)
    assert await run_next(platform) is JobState.FAILED
    await set_policy(platform, secrets="mask")
    await release(platform, verdicts, Accept.NOTHING)
    assert await run_next(platform) is JobState.DONE
    seen = await platform.texts_seen_by("group:finance")
    assert any("[aws_key]" in text for text in seen) and not any(AWS in text for text in seen)


async def test_what_its_job_forgot_is_fetched_from_its_source(
    platform: Platform, verdicts: Verdicts
) -> None:
    await set_policy(platform, min_characters=100)
    await put(platform, SHORT)
    await release(platform, verdicts)
    assert await run_next(platform) is JobState.DONE
    assert await platform.texts_seen_by("group:finance") == ["Soon."]


async def test_only_what_waits_can_be_released(platform: Platform, verdicts: Verdicts) -> None:
    await put(platform, GOOD)
    with pytest.raises(NotFound):
        await release(platform, verdicts)
    with pytest.raises(NotFound):
        await verdicts.release(TenantId("other"), id_of("pumps"), accept=Accept.VERSION, by=ADMIN)


async def test_a_job_whose_document_waits_is_not_forgotten(
    platform: Platform, verdicts: Verdicts
) -> None:
    await set_policy(platform, secrets="quarantine")
    for uri, text in (("pumps", SECRET), ("good", GOOD)):
        platform.folder.put(uri, text)
        await platform.jobs.enqueue([_fetch(uri, platform)])
        await run_next(platform)
    later = platform.jobs.clock() + timedelta(days=400)
    assert await platform.jobs.prune(before=later) == 1
    await release(platform, verdicts)
    assert await run_next(platform) is JobState.DONE


# --- documents inside documents ----------------------------------------------------------------


async def run_all(platform: Platform) -> None:
    while job := await platform.leases.claim("worker", lease=timedelta(seconds=5)):
        await run_job(job, platform.work)


async def put_box(platform: Platform, box: Mapping[str, str], *, title: str = "box") -> None:
    platform.folder.put("box", json.dumps(box), title=title)
    await platform.jobs.enqueue([_fetch("box", platform)])
    await run_all(platform)


async def test_a_hidden_container_takes_what_lies_in_it_along_and_each_is_released_by_itself(
    database: Database, tmp_path: Path, verdicts: Verdicts
) -> None:
    parser = BoxParser(Originals(tmp_path / "originals"))
    platform = await platform_over(database, tmp_path, parser=parser)
    await set_policy(platform, secrets="quarantine")
    await put_box(platform, {"a.txt": "first"})
    assert sorted(await platform.texts_seen_by("group:finance")) == ["A box of 1", "first"]
    await put_box(platform, {"a.txt": "first"}, title=f"box {AWS}")
    assert await platform.texts_seen_by("group:finance") == []
    assert platform.index.points == {}
    await release(platform, verdicts, uri="box")
    await run_all(platform)
    assert await platform.texts_seen_by("group:finance") == ["A box of 1"]
    # What lies in it carries its title, and with that the secret.
    [waiting] = await verdicts.quarantined(TENANT)
    assert waiting.uri == "box!/a.txt"
    await release(platform, verdicts, uri="box!/a.txt")
    await run_all(platform)
    assert sorted(await platform.texts_seen_by("group:finance")) == ["A box of 1", "first"]


async def test_a_member_is_kept_back_and_its_container_is_shown(
    database: Database, tmp_path: Path, verdicts: Verdicts
) -> None:
    parser = BoxParser(Originals(tmp_path / "originals"))
    platform = await platform_over(database, tmp_path, parser=parser)
    await set_policy(platform, secrets="quarantine")
    await put_box(platform, {"a.txt": "first", "b.txt": f"key {AWS}"})
    assert sorted(await platform.texts_seen_by("group:finance")) == ["A box of 2", "first"]
    [waiting] = await verdicts.quarantined(TENANT)
    assert waiting.uri == "box!/b.txt"
    await release(platform, verdicts, uri="box!/b.txt")
    await run_all(platform)
    assert f"key {AWS}" in await platform.texts_seen_by("group:finance")


# --- verdicts ----------------------------------------------------------------------------------


async def test_every_version_has_its_verdicts_and_the_oldest_go(
    platform: Platform, verdicts: Verdicts
) -> None:
    for number in range(13):
        await put(platform, f"{GOOD} Version {number}.")
    found = await verdicts.of_document(TENANT, id_of("pumps"))
    assert len(found) == 10
    assert len({each.validation.content_hash for each in found}) == 10
    moments = [each.recorded_at for each in found]
    assert moments == sorted(moments, reverse=True)
    assert all(each.validation.standing is Standing.ACCEPTED for each in found)
    with pytest.raises(NotFound):
        await verdicts.of_document(TenantId("other"), id_of("pumps"))


async def test_what_cannot_be_read_has_its_reason_among_the_verdicts(
    platform: Platform, verdicts: Verdicts
) -> None:
    assert isinstance(await put(platform, "!broken"), Failed)
    [found] = await verdicts.of_document(TENANT, id_of("pumps"))
    assert (found.validation.standing, found.validation.reason) == (Standing.FAILED, "unreadable")
    assert (await stored(platform)).error_class == "ParseError"
    assert await verdicts.quarantined(TENANT) == []


async def test_a_near_duplicate_of_the_same_tenant_is_named(
    platform: Platform, verdicts: Verdicts
) -> None:
    text = "\n".join(f"{PROSE_EN} {number}" for number in range(5))
    await put(platform, text, uri="first")
    await put(platform, f"{text} Once more.", uri="second")
    [first] = await verdicts.of_document(TENANT, id_of("first"))
    [second] = await verdicts.of_document(TENANT, id_of("second"))
    assert first.validation.standing is Standing.ACCEPTED
    [verdict] = [each for each in second.validation.verdicts if each.reason]
    assert (verdict.reason, verdict.other) == ("near_duplicate", id_of("first"))
    await put(platform, PROSE_DE * 3, uri="first")
    await put(platform, f"{text} Once more!", uri="second")
    newest = (await verdicts.of_document(TENANT, id_of("second")))[0]
    assert newest.validation.standing is Standing.ACCEPTED


async def test_findings_are_metadata_that_no_source_overrules(platform: Platform) -> None:
    platform.folder.put("pumps", SECRET, metadata={"secret_aws_key": 0, "department": "it"})
    seen = platform.folder.files["pumps"].seen
    await platform.pipeline.ingest(Upserted("pumps", seen), platform.folder, tenant=TENANT)
    metadata = (await stored(platform)).metadata
    assert (metadata["secret_aws_key"], metadata["department"]) == (1, "it")
    platform.folder.put("pumps", SECRET, metadata={"secret_aws_key": 0, "department": "qa"})
    change = AccessChanged(
        "pumps", seen, readable_by(["group:finance"]), {"secret_aws_key": 0, "department": "qa"}
    )
    await platform.pipeline.ingest(change, platform.folder, tenant=TENANT)
    metadata = (await stored(platform)).metadata
    assert (metadata["secret_aws_key"], metadata["department"]) == (1, "qa")
