"""What the embedded index promises beyond the protocol: it lasts, and one process owns it."""

import asyncio
import json
import os
import signal
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from rag.access import (
    EVERYONE,
    AccessList,
    AccessScope,
    PrincipalId,
    TenantId,
    readable_by,
)
from rag.adapters.qdrant_edge import QdrantEdgeIndex, open_edge_index
from rag.adapters.qdrant_edge_process import serve
from rag.adapters.qdrant_edge_shard import open_shard
from rag.errors import ConfigurationError, IndexUnavailable
from rag.protocols import IndexPoint
from rag.types import (
    Chunk,
    ChunkId,
    DocumentId,
    DocumentRef,
    IndexHit,
    SourceId,
    Span,
    VersionId,
)

TENANT = TenantId("acme")
ANYONE = AccessScope(TENANT, frozenset({EVERYONE}))
REPOSITORY = Path(__file__).parents[3]


def points(numbers: Sequence[int]) -> list[IndexPoint]:
    ref = DocumentRef(DocumentId("d"), TENANT, SourceId("files"), "file:d", "Title")
    return [
        IndexPoint(
            Chunk(
                id=ChunkId(f"c{number:04}"),
                document=ref,
                version=VersionId("1"),
                ordinal=number,
                text=f"gasket {number}",
                heading_path=(),
                kind="prose",
                span=Span(0, 1),
            ),
            readable_by([EVERYONE]),
            {"n": number},
            np.eye(4, dtype=np.float32)[number % 4],
        )
        for number in numbers
    ]


def optimise(path: Path, *, dimensions: int) -> None:
    """What the shard does by itself after a quiet while."""
    with open_shard(path, dimensions=dimensions) as shard:
        shard.optimise()


async def find(index: QdrantEdgeIndex, text: str = "gasket") -> list[IndexHit]:
    return await index.search_sparse(text, scope=ANYONE, filters={}, limit=1_000)


def kill(process: int | None) -> None:
    assert process is not None
    os.kill(process, signal.SIGKILL)


async def test_what_was_written_is_there_after_closing_and_opening(tmp_path: Path) -> None:
    async with open_edge_index(tmp_path, dimensions=4) as index:
        await index.upsert(points(range(50)))
        await index.delete(TENANT, [ChunkId("c0007")])
        before = await find(index)
    async with open_edge_index(tmp_path, dimensions=4) as index:
        assert await find(index) == before
        assert len(before) == 49


async def test_a_killed_engine_loses_nothing_and_is_started_again(tmp_path: Path) -> None:
    async with open_edge_index(tmp_path, dimensions=4) as index:
        await index.upsert(points(range(200)))
        await index.delete(TENANT, [ChunkId("c0007")])
        await index.describe(
            TENANT, DocumentId("d"), access=readable_by([EVERYONE]), metadata={"n": -1}
        )
        before = await find(index)
        for _ in range(2):
            searches = [asyncio.create_task(find(index)) for _ in range(20)]
            await asyncio.sleep(0)
            kill(index.process_id)
            for outcome in await asyncio.gather(*searches, return_exceptions=True):
                assert outcome == before or isinstance(outcome, IndexUnavailable)
            assert await find(index) == before
    assert len(before) == 199


async def test_a_killed_platform_loses_nothing(tmp_path: Path) -> None:
    """Every upsert that returned is there after kill -9, and the directory is free again."""
    script = f"""
        import asyncio, sys
        from pathlib import Path
        sys.path[:0] = [{str(REPOSITORY)!r}, {str(Path(__file__).parent)!r}]
        from rag.adapters.qdrant_edge import open_edge_index
        from test_qdrant_edge import points

        async def main() -> None:
            async with open_edge_index(Path({str(tmp_path)!r}), dimensions=4) as index:
                for start in range(0, 1_000_000, 20):
                    await index.upsert(points(range(start, start + 20)))
                    print(start + 20, flush=True)

        asyncio.run(main())
    """
    platform = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", textwrap.dedent(script)), stdout=asyncio.subprocess.PIPE
    )
    assert platform.stdout is not None
    acknowledged = [int(await platform.stdout.readline()) for _ in range(10)][-1]
    platform.kill()
    await platform.communicate()
    async with open_edge_index(tmp_path, dimensions=4) as index:
        found = {hit.chunk for hit in await find(index)}
    assert found >= {each.chunk.id for each in points(range(acknowledged))}


async def test_a_second_process_is_told_who_has_it_and_the_first_goes_on(tmp_path: Path) -> None:
    async with open_edge_index(tmp_path, dimensions=4) as index:
        await index.upsert(points(range(3)))
        with pytest.raises(ConfigurationError, match="another process"):
            async with open_edge_index(tmp_path, dimensions=4):
                pass
        assert len(await find(index)) == 3


async def test_an_index_of_another_embedder_or_schema_is_not_opened(tmp_path: Path) -> None:
    async with open_edge_index(tmp_path, dimensions=4):
        pass
    with pytest.raises(ConfigurationError, match=r"4 dimensions.*gives 384.*reindex"):
        async with open_edge_index(tmp_path, dimensions=384):
            pass
    (tmp_path / "index.json").write_text(json.dumps({"schema": 0, "dimensions": 4}))
    with pytest.raises(ConfigurationError, match=r"schema 0.*reindex"):
        async with open_edge_index(tmp_path, dimensions=4):
            pass


async def test_an_index_whose_making_was_cut_short_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "shard" / "segments").mkdir(parents=True)
    (tmp_path / "shard" / "edge_config.json").write_text("{")
    async with open_edge_index(tmp_path, dimensions=4) as index:
        assert await index.count(TENANT) == 0


async def test_a_damaged_index_is_unavailable_and_says_why(tmp_path: Path) -> None:
    async with open_edge_index(tmp_path, dimensions=4) as index:
        await index.upsert(points(range(3)))
    (tmp_path / "shard" / "edge_config.json").write_text("{")
    with pytest.raises(IndexUnavailable, match="edge_config"):
        async with open_edge_index(tmp_path, dimensions=4):
            pass


async def test_a_closed_index_answers_no_more(tmp_path: Path) -> None:
    async with open_edge_index(tmp_path, dimensions=4) as index:
        pass
    with pytest.raises(IndexUnavailable, match="closed"):
        await find(index)
    assert index.process_id is None


async def test_optimising_changes_no_result(tmp_path: Path) -> None:
    async with open_edge_index(tmp_path, dimensions=4) as index:
        await index.upsert(points(range(300)))
        await index.delete(TENANT, [ChunkId(f"c{number:04}") for number in range(0, 300, 2)])
        before = await find(index, "gasket 7")
    optimise(tmp_path, dimensions=4)
    async with open_edge_index(tmp_path, dimensions=4) as index:
        after = await find(index, "gasket 7")
    assert [hit.chunk for hit in after] == [hit.chunk for hit in before]
    assert [hit.score for hit in after] == pytest.approx([hit.score for hit in before])


async def test_the_first_denial_in_an_index_is_seen_at_once_and_after_opening(
    tmp_path: Path,
) -> None:
    access = AccessList((frozenset({EVERYONE}),), denied=frozenset({PrincipalId("user:1")}))
    shut_out = AccessScope(TENANT, frozenset({EVERYONE, PrincipalId("user:1")}))

    async def found(index: QdrantEdgeIndex, scope: AccessScope) -> int:
        return len(await index.search_sparse("gasket", scope=scope, filters={}, limit=10))

    async with open_edge_index(tmp_path, dimensions=4) as index:
        await index.upsert(points(range(3)))
        assert await found(index, shut_out) == 3
        await index.describe(TENANT, DocumentId("d"), access=access, metadata={})
        assert (await found(index, ANYONE), await found(index, shut_out)) == (3, 0)
    async with open_edge_index(tmp_path, dimensions=4) as index:
        assert (await found(index, ANYONE), await found(index, shut_out)) == (3, 0)


async def test_a_reader_of_the_same_name_in_another_tenant_finds_nothing(tmp_path: Path) -> None:
    """Also where the two names, written one after the other, read the same."""
    async with open_edge_index(tmp_path, dimensions=4) as index:
        await index.upsert(points(range(3)))
        for tenant, identity in ("acm", "e:everyone"), ("acme:everyone", ""), ("other", EVERYONE):
            stranger = AccessScope(TenantId(tenant), frozenset({PrincipalId(identity)}))
            assert not await index.search_sparse("gasket", scope=stranger, filters={}, limit=10)


async def test_quantised_vectors_are_searched_inside_the_scope_with_exact_scores(
    tmp_path: Path,
) -> None:
    count, dimensions = 12_000, 256  # enough bytes for the engine to quantise them
    random = np.random.default_rng(4)
    vectors = random.standard_normal((count, dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    hidden = readable_by(["group:others"])
    made = [
        replace(point, vector=vector, access=point.access if number % 2 else hidden)
        for number, (point, vector) in enumerate(zip(points(range(count)), vectors, strict=True))
    ]
    async with open_edge_index(tmp_path, dimensions=dimensions) as index:
        for start in range(0, count, 2_000):
            await index.upsert(made[start : start + 2_000])
    optimise(tmp_path, dimensions=dimensions)
    assert await asyncio.to_thread(lambda: list(tmp_path.rglob("quantized*")))
    async with open_edge_index(tmp_path, dimensions=dimensions) as index:
        query = random.standard_normal(dimensions).astype(np.float32)
        query /= np.linalg.norm(query)
        found = await index.search_dense(query, scope=ANYONE, filters={}, limit=20)
    cosines = {f"c{number:04}": float(vectors[number] @ query) for number in range(1, count, 2)}
    best = sorted(cosines, key=lambda chunk: -cosines[chunk])[:20]
    assert {hit.chunk for hit in found} <= cosines.keys()
    assert len({hit.chunk for hit in found} & set(best)) >= 18
    assert [hit.score for hit in found] == pytest.approx(
        [cosines[hit.chunk] for hit in found], abs=1e-5
    )


async def test_after_much_was_written_and_a_quiet_while_the_shard_optimises_itself(
    tmp_path: Path,
) -> None:
    ours, theirs = os.pipe()
    with (
        open_shard(tmp_path, dimensions=4) as shard,
        os.fdopen(ours, "rb", buffering=0) as requests,
        os.fdopen(theirs, "wb", buffering=0) as asking,
    ):
        shard.unoptimised = 7
        serving = asyncio.create_task(
            asyncio.to_thread(
                serve, shard, requests, BytesIO(), optimise_from=7, optimise_after_s=1.0
            )
        )
        async with asyncio.timeout(30):
            while shard.unoptimised:  # noqa: ASYNC110 - it changes in another thread
                await asyncio.sleep(0.05)
        asking.close()
        await serving
