"""One change at a time, from the source to what a reader sees."""

import asyncio
from pathlib import Path

import pytest

from connectors.protocols import AccessChanged, Deleted, Problem, Seen, Upserted
from ingestion.describing import ref_of
from ingestion.outcomes import AccessUpdated, Failed, Indexed, Outcome, Removed, Unchanged
from rag.access import EVERYONE, NOBODY, AccessList, PrincipalId, readable_by
from rag.errors import IndexUnavailable, SourceUnavailable, StorageUnavailable
from rag.storage.database import Database
from rag.storage.documents.records import DocumentState, StoredDocument
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over
from tests.ingestion.standins import HashEmbedder, LineParser, texts_of

LEAVE = "# Leave\nStaff have 25 days.\nCarry over 5 days.\n# Sickness\nCall before nine."


@pytest.fixture
async def platform(database: Database, tmp_path: Path) -> Platform:
    return await platform_over(database, tmp_path)


async def upsert(platform: Platform, uri: str = "leave", *, anew: bool = False) -> Outcome:
    file = platform.folder.files.get(uri)
    seen = file.seen if file else Seen("gone", "gone")
    return await platform.pipeline.ingest(
        Upserted(uri, seen), platform.folder, tenant=TENANT, anew=anew
    )


async def delete(platform: Platform, uri: str = "leave") -> Outcome:
    return await platform.pipeline.ingest(Deleted(uri), platform.folder, tenant=TENANT)


async def change_access(platform: Platform, uri: str = "leave") -> Outcome:
    file = platform.folder.files[uri]
    change = AccessChanged(uri, file.seen, file.access, file.metadata)
    return await platform.pipeline.ingest(change, platform.folder, tenant=TENANT)


async def stored(platform: Platform, uri: str = "leave") -> StoredDocument:
    found = await platform.documents.find(TENANT, ref_of(TENANT, SOURCE, uri).id)
    assert found is not None
    return found


def kept_originals(platform: Platform) -> int:
    return sum(path.is_file() for path in platform.originals.root.rglob("*"))


async def test_a_new_file_is_found_by_those_who_may_read_it_and_by_nobody_else(
    platform: Platform,
) -> None:
    platform.folder.put("leave", LEAVE)
    assert await upsert(platform) == Indexed(3, embedded=3, kept=0, removed=0)
    assert await platform.texts_seen_by("group:finance") == [
        "Staff have 25 days.",
        "Carry over 5 days.",
        "Call before nine.",
    ]
    assert await platform.texts_seen_by("group:sales") == []
    document = await stored(platform)
    assert (document.state, document.settled, document.error) == (DocumentState.ACTIVE, True, None)
    assert document.original is not None
    assert (await platform.originals.body_of(document.original)).read() == LEAVE.encode()


async def test_the_same_file_again_embeds_nothing(platform: Platform) -> None:
    platform.folder.put("leave", LEAVE)
    await upsert(platform)
    platform.embedder.embedded.clear()
    assert await upsert(platform) == Unchanged()
    assert platform.embedder.embedded == []


async def test_an_edit_embeds_the_edited_chunk_alone(platform: Platform) -> None:
    platform.folder.put("leave", LEAVE)
    await upsert(platform)
    platform.embedder.embedded.clear()
    platform.folder.put("leave", LEAVE.replace("25 days", "28 days"))
    assert await upsert(platform) == Indexed(3, embedded=1, kept=2, removed=1)
    assert [text.splitlines()[-1] for text in platform.embedder.embedded] == ["Staff have 28 days."]
    assert "Staff have 25 days." not in texts_of(platform.index.points)
    seen = await platform.seen_by("group:finance")
    assert len({hit.chunk.version for hit in seen}) == 1


async def test_a_chunk_that_moves_is_kept_and_knows_its_new_place(platform: Platform) -> None:
    platform.folder.put("leave", "One.\nTwo.")
    await upsert(platform)
    platform.folder.put("leave", "Zero.\nOne.\nTwo.")
    assert await upsert(platform) == Indexed(3, embedded=1, kept=2, removed=0)
    seen = await platform.seen_by("group:finance")
    assert [(hit.chunk.text, hit.chunk.ordinal, hit.chunk.span.start) for hit in seen] == [
        ("Zero.", 0, 0),
        ("One.", 1, 7),
        ("Two.", 2, 13),
    ]


async def test_a_deleted_file_leaves_nothing_behind(platform: Platform) -> None:
    platform.folder.put("leave", LEAVE)
    await upsert(platform)
    assert await delete(platform) == Removed()
    assert await platform.texts_seen_by("group:finance") == []
    assert platform.index.points == {}
    assert kept_originals(platform) == 0
    document = await stored(platform)
    assert (document.state, document.ref.title, dict(document.metadata)) == (
        DocumentState.DELETED,
        "",
        {},
    )
    assert await delete(platform) == Removed()
    assert await delete(platform, "never there") == Removed()


async def test_a_deleted_file_may_come_back(platform: Platform) -> None:
    platform.folder.put("leave", LEAVE)
    await upsert(platform)
    await delete(platform)
    assert await upsert(platform) == Indexed(3, embedded=3, kept=0, removed=0)
    assert len(await platform.texts_seen_by("group:finance")) == 3


async def test_bytes_that_another_document_needs_outlive_a_deletion(platform: Platform) -> None:
    platform.folder.put("leave", LEAVE)
    platform.folder.put("copy", LEAVE)
    await upsert(platform)
    await upsert(platform, "copy")
    await delete(platform)
    assert kept_originals(platform) == 1
    await delete(platform, "copy")
    assert kept_originals(platform) == 0


async def test_the_bytes_of_an_old_version_are_forgotten(platform: Platform) -> None:
    platform.folder.put("leave", LEAVE)
    await upsert(platform)
    platform.folder.put("leave", "Short.")
    await upsert(platform)
    assert kept_originals(platform) == 1


async def test_a_file_that_is_gone_when_it_is_fetched_is_a_deleted_one(platform: Platform) -> None:
    platform.folder.put("leave", LEAVE)
    await upsert(platform)
    del platform.folder.files["leave"]
    assert await upsert(platform) == Removed()
    assert await platform.texts_seen_by("group:finance") == []


# --- access ------------------------------------------------------------------------------------


async def test_a_change_of_access_embeds_nothing_and_counts_at_once(platform: Platform) -> None:
    platform.folder.put("leave", LEAVE, access=readable_by(["group:finance", "group:sales"]))
    await upsert(platform)
    platform.embedder.embedded.clear()
    platform.folder.fetched.clear()
    platform.folder.put(
        "leave", LEAVE, access=readable_by(["group:sales"]), metadata={"department": "sales"}
    )
    assert await change_access(platform) == AccessUpdated()
    assert platform.embedder.embedded == []
    assert platform.folder.fetched == []
    assert await platform.texts_seen_by("group:finance") == []
    seen = await platform.seen_by("group:sales")
    assert len(seen) == 3
    assert seen[0].metadata["department"] == "sales"
    assert {point.metadata["department"] for point in platform.index.points.values()} == {"sales"}


async def test_the_ledger_shuts_out_even_when_the_index_does_not_answer(platform: Platform) -> None:
    platform.folder.put("leave", LEAVE)
    await upsert(platform)
    platform.folder.put("leave", LEAVE, access=NOBODY)
    platform.index.down = True
    with pytest.raises(IndexUnavailable):
        await change_access(platform)
    platform.index.down = False
    assert await platform.texts_seen_by("group:finance") == []
    assert await change_access(platform) == AccessUpdated()
    assert all(point.access == NOBODY for point in platform.index.points.values())


async def test_a_change_of_access_for_what_was_deleted_does_not_bring_it_back(
    platform: Platform,
) -> None:
    platform.folder.put("leave", LEAVE)
    await upsert(platform)
    await delete(platform)
    assert await change_access(platform) == Unchanged()
    assert (await stored(platform)).state is DocumentState.DELETED


async def test_readers_added_with_a_new_content_never_see_the_old_one(platform: Platform) -> None:
    platform.folder.put("leave", "Secret.")
    await upsert(platform)
    platform.folder.put(
        "leave", "!broken, redacted", access=readable_by([EVERYONE, "group:finance"])
    )
    assert isinstance(await upsert(platform), Failed)
    assert await platform.texts_seen_by("group:sales") == []
    assert await platform.texts_seen_by("group:finance") == ["Secret."]


async def test_readers_taken_away_with_a_content_that_fails_are_shut_out(
    platform: Platform,
) -> None:
    platform.folder.put("leave", "Secret.")
    await upsert(platform)
    platform.folder.put("leave", "!broken", access=readable_by(["group:board"]))
    assert await upsert(platform) == Failed("it makes no sense", "ParseError")
    assert await platform.texts_seen_by("group:finance") == []
    assert await platform.texts_seen_by("group:finance", "group:board") == ["Secret."]


async def test_when_nobody_can_say_who_may_read_a_file_nobody_may(platform: Platform) -> None:
    platform.folder.put("leave", "Secret.")
    await upsert(platform)
    platform.folder.put("leave", "!huge", access=readable_by([EVERYONE]))
    assert isinstance(await upsert(platform), Failed)
    assert await platform.texts_seen_by("group:finance", "group:board") == []


async def test_a_file_too_large_to_fetch_keeps_its_readers_if_the_listing_says_they_are_the_same(
    platform: Platform,
) -> None:
    platform.folder.put("leave", "Good.")
    await upsert(platform)
    platform.folder.put("leave", "!huge")
    assert await upsert(platform) == Failed(
        "larger than the connector was told to read", "LimitExceeded"
    )
    assert await platform.texts_seen_by("group:finance") == ["Good."]


async def test_an_access_list_of_several_clauses_with_a_deny_holds_end_to_end(
    platform: Platform,
) -> None:
    space, page = frozenset({PrincipalId("group:space")}), frozenset({PrincipalId("group:page")})
    platform.folder.put(
        "leave", "Both.", access=AccessList((space, page), frozenset({PrincipalId("group:temps")}))
    )
    await upsert(platform)
    assert await platform.texts_seen_by("group:space") == []
    assert await platform.texts_seen_by("group:space", "group:page") == ["Both."]
    assert await platform.texts_seen_by("group:space", "group:page", "group:temps") == []


# --- files that cannot be read -------------------------------------------------------------------


async def test_a_file_that_cannot_be_read_is_recorded_with_its_reason(platform: Platform) -> None:
    platform.folder.put("leave", "!broken")
    assert await upsert(platform) == Failed("it makes no sense", "ParseError")
    document = await stored(platform)
    assert (document.state, document.error_class, document.error) == (
        DocumentState.FAILED,
        "ParseError",
        "it makes no sense",
    )
    assert document.revision == platform.folder.files["leave"].seen.revision
    platform.folder.put("leave", "Mended.")
    assert isinstance(await upsert(platform), Indexed)
    assert (await stored(platform)).error is None


async def test_a_file_that_fails_keeps_its_last_good_version_and_says_so(
    platform: Platform,
) -> None:
    platform.folder.put("leave", "Good.")
    await upsert(platform)
    platform.folder.put("leave", "!broken")
    await upsert(platform)
    document = await stored(platform)
    assert (document.state, document.error) == (DocumentState.ACTIVE, "it makes no sense")
    assert await platform.texts_seen_by("group:finance") == ["Good."]
    platform.folder.put("leave", "Good.")
    assert await upsert(platform) == Unchanged()
    assert (await stored(platform)).error is None


async def test_an_empty_file_is_a_document_without_passages(platform: Platform) -> None:
    platform.folder.put("leave", "")
    assert await upsert(platform) == Indexed(0, embedded=0, kept=0, removed=0)
    assert (await stored(platform)).state is DocumentState.ACTIVE


async def test_a_source_that_does_not_answer_is_an_error_and_changes_nothing(
    platform: Platform,
) -> None:
    platform.folder.put("leave", "Good.")
    await upsert(platform)
    platform.folder.down = True
    with pytest.raises(SourceUnavailable):
        await upsert(platform)
    assert await platform.texts_seen_by("group:finance") == ["Good."]


async def test_characters_that_databases_refuse_do_no_harm(platform: Platform) -> None:
    platform.folder.put("leave", "A nul \0 here.", title="a lone \udcff surrogate")
    await upsert(platform)
    [hit] = await platform.seen_by("group:finance")
    assert hit.chunk.text == "A nul \ufffd here."
    assert hit.chunk.document.title == "a lone \ufffd surrogate"


async def test_a_problem_opens_nothing(platform: Platform) -> None:
    change = Problem("leave/.access.yaml", "it is no YAML")
    outcome = await platform.pipeline.ingest(change, platform.folder, tenant=TENANT)
    assert outcome == Failed("it is no YAML", "Problem")


# --- metadata ------------------------------------------------------------------------------------


async def test_the_sources_metadata_wins_over_the_files_and_a_file_cannot_pass_itself_off(
    platform: Platform,
) -> None:
    text = "language: en\nauthor: me\nsource: boards\nsupersedes: old\nBody."
    platform.folder.put("leave", text, metadata={"author": "hr", "department": "hr"})
    await upsert(platform)
    [hit] = await platform.seen_by("group:finance")
    assert hit.metadata == {"language": "en", "author": "hr", "department": "hr", "source": SOURCE}


async def test_a_superseded_document_names_its_successor_to_those_who_may_read_it(
    platform: Platform,
) -> None:
    platform.folder.put("old", "25 days.", access=readable_by([EVERYONE]))
    platform.folder.put("new", "28 days.", metadata={"supersedes": "old"})
    await upsert(platform, "old")
    await upsert(platform, "new")
    everyone = await platform.seen_by()
    assert [(hit.chunk.text, hit.superseded_by) for hit in everyone] == [("25 days.", None)]
    finance = {hit.chunk.text: hit.superseded_by for hit in await platform.seen_by("group:finance")}
    assert finance == {"25 days.": ref_of(TENANT, SOURCE, "new").id, "28 days.": None}


# --- again, at once, and after other versions of ourselves ---------------------------------------


async def test_two_ingests_of_one_file_at_once_end_as_one_would(platform: Platform) -> None:
    platform.folder.put("leave", LEAVE)
    outcomes = await asyncio.gather(*(upsert(platform) for _ in range(5)))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Indexed"] + ["Unchanged"] * 4
    assert len(platform.embedder.embedded) == 3


async def test_another_embedder_embeds_everything_again(database: Database, tmp_path: Path) -> None:
    first = await platform_over(database, tmp_path)
    first.folder.put("leave", LEAVE)
    await upsert(first)
    second = await platform_over(
        database,
        tmp_path,
        embedder=HashEmbedder("hash 2"),
        index=first.index,
        folder=first.folder,
    )
    assert await upsert(second) == Indexed(3, embedded=3, kept=0, removed=0)
    assert len(await second.texts_seen_by("group:finance")) == 3


async def test_another_parser_reads_again_and_keeps_what_came_out_the_same(
    database: Database, tmp_path: Path
) -> None:
    first = await platform_over(database, tmp_path)
    first.folder.put("leave", LEAVE)
    await upsert(first)
    second = await platform_over(
        database,
        tmp_path,
        parser=LineParser("lines 2"),
        index=first.index,
        folder=first.folder,
    )
    assert await upsert(second) == Indexed(3, embedded=0, kept=3, removed=0)


async def test_indexing_anew_fills_an_index_that_was_lost(platform: Platform) -> None:
    platform.folder.put("leave", LEAVE)
    await upsert(platform)
    platform.index.points.clear()
    assert await upsert(platform, anew=True) == Indexed(3, embedded=3, kept=0, removed=0)
    assert len(await platform.texts_seen_by("group:finance")) == 3


async def test_a_full_disk_is_an_error_that_may_pass_and_shows_nothing_half(
    platform: Platform,
) -> None:
    platform.folder.put("leave", LEAVE)
    platform.originals.root.write_text("a file where the folder should be")
    with pytest.raises(StorageUnavailable):
        await upsert(platform)
    assert platform.index.points == {}
    assert (await stored(platform)).state is DocumentState.NEW
    platform.originals.root.unlink()
    assert isinstance(await upsert(platform), Indexed)
