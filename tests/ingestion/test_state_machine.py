"""Whatever happens in whatever order, people find what the reference says, and never what it forbids.

Hypothesis draws edits, moves, changes of access and of groups, deletions, containers, syncs, jobs,
generations of the index and crashes. After each step everybody searches and opens documents: nobody
may see what the platform was told he may not, in whatever generation. After each sync whose jobs
are all done, everybody sees exactly what the reference (`reference.py`) has, in the generation that
serves and in each that lacks nothing; one that lacks documents shows no old ones.

`make test` runs a short profile. A long one:

    RAG_STATE_MACHINE_STEPS=5000 python -m pytest tests/ingestion/test_state_machine.py -q -s

It draws anew each time, shrinks what it finds, and says what was done how often; PostgreSQL gets a
fifth of the steps.
"""

import asyncio
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ingestion.jobs import Work, run_job, sync_job
from ingestion.retry import RetryPolicy
from ingestion.upkeep import enqueue_rendering, tidy
from rag.access import (
    EVERYONE,
    NOBODY,
    AccessList,
    AccessScope,
    Membership,
    Principal,
    PrincipalId,
    readable_by,
    scope_of,
)
from rag.errors import NotFound
from rag.storage.access.groups import Groups
from rag.storage.database import open_database
from rag.storage.documents.passages import Passages
from rag.storage.documents.records import DocumentState, StoredDocument
from rag.storage.generations.ledger import Generations
from rag.storage.generations.records import GenerationId
from rag.storage.jobs.failures import Failures
from rag.storage.jobs.records import Job, JobKind, JobState
from rag.storage.originals import Originals
from rag.types import ChunkId
from tests.ingestion.boxes import Box, BoxParser, packed
from tests.ingestion.fuse import Fuse, FusedFeed, fused
from tests.ingestion.marking import lines_of_chunk
from tests.ingestion.platform import SOURCE, TENANT, platform_over
from tests.ingestion.reference import (
    UNREADABLE,
    Content,
    Line,
    Reference,
    with_member,
)
from tests.ingestion.some_generations import SomeGenerations

STEPS_OF_AN_EXAMPLE = 40
STEPS = int(os.environ.get("RAG_STATE_MACHINE_STEPS", "0"))
LEASE = timedelta(seconds=60)

USERS = tuple(PrincipalId(f"user:{name}") for name in ("ada", "bob", "cy"))
GROUPS = tuple(PrincipalId(f"group:{name}") for name in ("finance", "board", "staff"))
URIS = ("a", "b", "c/d")
NAMES = ("x", "y")
TEXTS = ("Alpha.", "Alpha.\nBeta.", "Beta.\nGamma.", "Gamma.\nAlpha.\nDelta.", "Delta.")

names: st.SearchStrategy[str] = st.sampled_from(NAMES)
texts: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(TEXTS), st.sampled_from((*TEXTS, UNREADABLE))
)
boxes: st.SearchStrategy[Box] = st.dictionaries(
    names,
    st.one_of(texts, st.dictionaries(names, texts, max_size=2)),
    max_size=2,
)
contents: st.SearchStrategy[Content] = st.one_of(texts, texts, boxes)
identities = st.sampled_from((*USERS, *GROUPS, EVERYONE))
accesses = st.one_of(
    st.builds(readable_by, st.lists(st.sampled_from((*USERS, *GROUPS)), min_size=1, max_size=2)),
    st.builds(
        AccessList,
        st.lists(st.frozensets(identities, min_size=1, max_size=2), min_size=1, max_size=2).map(
            tuple
        ),
        st.frozensets(st.sampled_from((*USERS, *GROUPS)), max_size=1),
    ),
    st.just(NOBODY),
)
uris = st.sampled_from(URIS)
_NOT_OVER = {JobState.QUEUED, JobState.WAITING, JobState.RUNNING}
# Where there is any: it waits for no disk.
_IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
counted: Counter[str] = Counter()
"""What was done in all examples together."""
MakeDatabase = Callable[[Path], str]
"""The URL of an empty database with all tables; it may lie in the folder."""


class Machine(RuleBasedStateMachine):
    def __init__(self, make_database: MakeDatabase) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.reference = Reference()
        self.runner.run(self._open(make_database))

    async def _open(self, make_database: MakeDatabase) -> None:
        self.root = Path(self.stack.enter_context(tempfile.TemporaryDirectory(dir=_IN_MEMORY)))
        url = await asyncio.to_thread(make_database, self.root)
        database = await self.stack.enter_async_context(open_database(url))
        self.fuse = Fuse()
        self.feed = FusedFeed(SOURCE, self.fuse)
        originals = Originals(self.root / "originals")
        self.platform = await platform_over(
            database, self.root, folder=self.feed, parser=BoxParser(originals)
        )
        self.generations = SomeGenerations(Generations(database))
        self.platform.pipeline = replace(self.platform.pipeline, generations=self.generations)
        self.groups = Groups(database)
        work = replace(
            self.platform.work,
            pipeline=self.platform.pipeline,
            lease=LEASE,
            retry=RetryPolicy(timedelta(0)),
        )
        self.other_process = work
        self.work = replace(work, pipeline=self._fused_pipeline(), jobs=self._fused_jobs())

    def _fused_pipeline(self) -> Any:
        pipeline, fuse = self.platform.pipeline, self.fuse
        return replace(
            pipeline,
            generations=self.generations.reached_by(
                lambda index: fused(index, fuse, "upsert", "describe", "delete", "delete_document")
            ),
            documents=fused(
                pipeline.documents,
                fuse,
                *("begin", "describe", "stage", "switch", "settle", "fail", "tombstone"),
                *("take", "add_renditions"),
            ),
            originals=fused(pipeline.originals, fuse, "store", "read"),
            jobs=self._fused_jobs(),
        )

    def _fused_jobs(self) -> Any:
        return fused(self.platform.jobs, self.fuse, "enqueue")

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()

    # --- what happens at the source -----------------------------------------------------------------

    def _put(self, uri: str, content: Content, access: AccessList) -> None:
        self.feed.put(uri, packed(content), access=access)
        self.reference.put(uri, content, access)

    @initialize(
        files=st.dictionaries(uris, st.tuples(contents, accesses), min_size=2),
        members=st.frozensets(st.sampled_from(USERS), min_size=1, max_size=2),
    )
    def begin(
        self, files: dict[str, tuple[Content, AccessList]], members: frozenset[PrincipalId]
    ) -> None:
        for uri, (content, access) in files.items():
            self._put(uri, content, access)
        self.change_group(GROUPS[0], members)

    @rule(uri=uris, content=contents, access=accesses)
    def write(self, uri: str, content: Content, access: AccessList) -> None:
        counted["write"] += 1
        self._put(uri, content, access)

    @precondition(lambda self: self.reference.files)
    @rule(data=st.data(), kind=st.sampled_from(("edit", "member", "access", "move", "remove")))
    def change(self, data: st.DataObject, kind: str) -> None:
        counted[kind] += 1
        uri = data.draw(st.sampled_from(sorted(self.reference.files)))
        file = self.reference.files[uri]
        match kind:
            case "member" if not isinstance(file.content, str):
                name = data.draw(names)
                held = data.draw(st.one_of(st.none(), texts))
                self._put(uri, with_member(file.content, name, held), file.access)
            case "edit" | "member":
                self._put(uri, data.draw(contents), file.access)
            case "access":
                self._put(uri, file.content, data.draw(accesses))
            case "move":
                self._move(uri, data.draw(uris), data.draw(st.one_of(st.none(), accesses)))
            case _:
                self.feed.remove(uri)
                self.reference.remove(uri)

    def _move(self, old: str, new: str, access: AccessList | None) -> None:
        if old != new:
            file = self.reference.files[old]
            self.feed.move(old, new, access=access)
            self.reference.remove(old)
            self.reference.put(new, file.content, file.access if access is None else access)

    @rule(
        group=st.sampled_from(GROUPS),
        members=st.frozensets(st.sampled_from((*USERS, *GROUPS)), max_size=3),
    )
    def change_group(self, group: PrincipalId, members: frozenset[PrincipalId]) -> None:
        counted["group"] += 1
        edges = [Membership(member, group) for member in sorted(members)]
        self.runner.run(self.groups.put_members(TENANT, group, edges))
        self.reference.members[group] = members

    # --- what the platform does ---------------------------------------------------------------------

    @rule(everything=st.booleans())
    def only_list(self, *, everything: bool) -> None:
        """The source is listed, and of the jobs that makes none is done yet."""
        counted["listing"] += 1
        self.runner.run(self._list(everything=everything))

    @rule(number=st.integers(1, 4))
    def do_some_jobs(self, number: int) -> None:
        self.runner.run(self._do(self.work, at_most=number))

    @rule(
        calls=st.integers(0, 25),
        how=st.sampled_from(("kill", "stop", "pause")),
        lists_first=st.booleans(),
    )
    def crash(self, calls: int, how: str, *, lists_first: bool) -> None:
        """A process ends, or stands still for longer than its lease, at some call that a job makes."""
        self.runner.run(self._crash(calls, how, lists_first=lists_first))

    @precondition(lambda self: self.reference.files)
    @rule(data=st.data(), calls=st.integers(0, 25))
    def change_under_a_running_job(self, data: st.DataObject, calls: int) -> None:
        """A file gets other readers, and the platform is told, while a job is in the midst of it."""
        uri = data.draw(st.sampled_from(sorted(self.reference.files)))
        access = data.draw(accesses)
        self.runner.run(self._overlap(uri, access, calls))

    @rule(data=st.data(), calls=st.one_of(st.none(), st.integers(0, 25)))
    def change_generations(self, data: st.DataObject, calls: int | None) -> None:
        """What administrators and upkeep do; with `calls`, while a job stands still at that call and
        others are done."""
        is_alone = not self.runner.run(self.generations.others())
        what = data.draw(
            st.just("begin")
            if is_alone
            else st.sampled_from(("fill", "switch", "switch", "drop", "model away"))
        )
        self.runner.run(self._change_generations(what, calls))

    @rule(what=st.sampled_from(("source", "index")))
    def fail_for_now(self, what: str) -> None:
        counted[f"{what} away"] += 1
        self.runner.run(self._away(what))

    @rule(everything=st.booleans())
    def sync_to_the_end(self, *, everything: bool) -> None:
        counted["sync"] += 1
        self.runner.run(self._sync_to_the_end(everything=everything))

    async def _list(self, *, everything: bool) -> None:
        [listing] = await self.platform.jobs.enqueue(
            [sync_job(TENANT, SOURCE, confirm_deletions=everything)]
        )
        while (await self.platform.jobs.get(TENANT, listing)).state is not JobState.DONE:
            job = await self._claim()
            assert job is not None, "the listing is not done, and there is nothing to do"
            await self._run(job, self.work)

    async def _claim(self) -> Job | None:
        return await self.platform.leases.claim("one", lease=LEASE)

    async def _run(self, job: Job, work: Work) -> None:
        counted["job"] += 1
        if await run_job(job, work) is JobState.DONE and job.kind is JobKind.SYNC:
            self.reference.told()

    async def _do(self, work: Work, *, at_most: int | None = None) -> None:
        done = 0
        while (at_most is None or done < at_most) and (job := await self._claim()) is not None:
            await self._run(job, work)
            done += 1

    async def _run_until_the_fuse_blows(self, job: Job, calls: int) -> asyncio.Task[None]:
        """The job after so many calls, or at its end."""
        self.fuse.set(calls)
        running = asyncio.create_task(self._run(job, self.work))
        blown = asyncio.create_task(self.fuse.blown.wait())
        await asyncio.wait({running, blown}, return_when=asyncio.FIRST_COMPLETED)
        blown.cancel()
        return running

    async def _crash(self, calls: int, how: str, *, lists_first: bool) -> None:
        if lists_first:
            await self.platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
        job = await self._claim()
        if job is None:
            return
        running = await self._run_until_the_fuse_blows(job, calls)
        if running.done():
            self.fuse.clear()
            await running
            return
        counted[how] += 1
        if how != "stop":
            await self.platform.leases.sweep(all_leases=True)
        if how == "pause":
            await self._do(self.other_process)
            self.fuse.clear()
            await asyncio.wait({running})
        else:
            running.cancel()
            await asyncio.wait({running})
            self.fuse.clear()

    async def _overlap(self, uri: str, access: AccessList, calls: int) -> None:
        job = await self._claim()
        if job is None:
            return
        running = await self._run_until_the_fuse_blows(job, calls)
        # What it fetched may be newer than what it was told of; only the next sync would notice.
        was_told_of = len(self.reference.since_told.get(uri, ())) == 1
        if not running.done() and job.kind is not JobKind.SYNC and was_told_of:
            counted["overlap"] += 1
            self._put(uri, self.reference.files[uri].content, access)
            [listing] = await self.platform.jobs.enqueue([sync_job(TENANT, SOURCE, awaited=True)])
            while (await self.platform.jobs.get(TENANT, listing)).state is not JobState.DONE:
                other = await self._claim()
                assert other is not None, "the listing is not done, and there is nothing to do"
                await self._run(other, self.other_process)
        self.fuse.clear()
        await running

    async def _change_generations(self, what: str, calls: int | None) -> None:
        job = None if calls is None else await self._claim()
        if job is None or calls is None:
            await self._change_generation(what)
            return
        running = await self._run_until_the_fuse_blows(job, calls)
        if not running.done():
            counted["generations under a job"] += 1
            await self._change_generation(what)
            await enqueue_rendering(self.generations.ledger, self.platform.jobs)
            await self._do(self.other_process, at_most=6)
        self.fuse.clear()
        await running

    async def _change_generation(self, what: str) -> None:
        match what:
            case "begin":
                await self.generations.begin()
            case "drop":
                await self.generations.drop()
            case "model away":
                for other in await self.generations.others():
                    self.generations.embedders[other.id].away = True
            case "fill":
                await self._fill()
            case _:
                if not await self.generations.switch():
                    what = "switch refused"
        counted[what] += 1
        await self._bring_back(await self.generations.serving())

    async def _bring_back(self, generation: GenerationId) -> None:
        """Its model. Whoever serves readers must be written: without it all would wait."""
        self.generations.embedders[generation].away = False

    async def _away(self, what: str) -> None:
        index = self.generations.indexes[await self.generations.serving()]
        away = self.feed if what == "source" else index
        away.down = True
        await self._do(self.work, at_most=2)
        away.down = False

    async def _sync_to_the_end(self, *, everything: bool) -> None:
        await self._list(everything=everything)
        await self._fill()
        counts = await self.platform.jobs.counts()
        assert set(counts) <= {JobState.DONE, JobState.FAILED, JobState.DEAD}, counts
        self.reference.done()
        serving = await self.generations.serving()
        for generation in await self.generations.ledger.live():
            standing = await self.generations.ledger.standing(generation.id)
            assert not standing.lacking or self.generations.embedders[generation.id].away, standing
            for user in USERS:
                exact = self.reference.shown_to(user)
                found = [
                    line
                    for line in await self._found_by(user, generation.id)
                    if not self.reference.is_open(line[0])
                ]
                if standing.lacking:
                    counted["settled and lacking"] += 1
                    assert set(found) <= set(exact), "it shows what is old"
                else:
                    assert found == exact
                if generation.id == serving:
                    opened = await self._opened_by(user)
                    assert {uri for uri in opened if not self.reference.is_open(uri)} == {
                        uri for uri, _ in found
                    }
        await self._check_that_nothing_is_left_over()

    async def _fill(self) -> None:
        """Until no job is left, and no generation whose model is there lacks anything."""
        jobs = await self.platform.jobs.listed(TENANT, limit=1_000)
        live = await self.generations.ledger.live()
        if any(job.kind is JobKind.RENDER and job.state in _NOT_OVER for job in jobs):
            for each in live:  # it would be tried again and again
                await self._bring_back(each.id)
        while True:
            await self._do(self.work)
            await Failures(self.platform.database).retry_all(
                self.platform.jobs, TENANT, states=[JobState.DEAD]
            )
            is_away = any(self.generations.embedders[each.id].away for each in live)
            if is_away or not await enqueue_rendering(self.generations.ledger, self.platform.jobs):
                await self._do(self.work)
                return

    # --- what is true at any time -------------------------------------------------------------------

    @invariant()
    def nobody_finds_what_he_may_not(self) -> None:
        self.runner.run(self._check_what_is_forbidden())

    async def _check_what_is_forbidden(self) -> None:
        serving, *others = await self.generations.ledger.live()
        for user in USERS:
            opened = await self._opened_by(user)
            for generation in (serving, *others):
                found = await self._found_by(user, generation.id)
                for line in found:
                    why = self.reference.forbids(user, line)
                    assert why is None, f"{user} finds {line} in {generation.id}: {why}"
                assert len(set(found)) == len(found), f"{user} finds a passage twice: {found}"
                assert set(opened) >= {uri for uri, _ in found}
            counted["reads"] += 1

    async def _scope_of(self, user: PrincipalId) -> AccessScope:
        closure = await self.groups.closure(TENANT, [EVERYONE, user])
        return scope_of(Principal(TENANT, user, closure))

    async def _found_by(self, user: PrincipalId, generation: GenerationId) -> list[Line]:
        """What a search in this generation gives."""
        scope = await self._scope_of(user)
        index = self.generations.indexes[generation]
        hits = await index.search_sparse("", scope=scope, filters={}, limit=10_000)
        passages = await Passages(self.platform.database, generation=generation).readable(
            [hit.chunk for hit in hits], scope=scope
        )
        return sorted(
            (hit.chunk.document.uri, line)
            for hit in passages.values()
            for line in lines_of_chunk(hit.chunk.text, generation)
        )

    async def _opened_by(self, user: PrincipalId) -> list[str]:
        """The documents that open by their ids."""
        scope = await self._scope_of(user)
        opened: list[str] = []
        for document in await self._documents():
            try:
                readable = await self.platform.documents.readable(document.ref.id, scope=scope)
            except NotFound:
                continue
            opened.append(readable.ref.uri)
        return opened

    async def _documents(self) -> list[StoredDocument]:
        everything = tuple(DocumentState)
        return await self.platform.documents.listed(TENANT, states=everything, limit=1_000)

    async def _check_that_nothing_is_left_over(self) -> None:
        """Each index holds what the ledger holds, and the disk what somebody needs."""
        documents = await self._documents()
        for document in documents:
            assert document.settled, f"{document.ref.uri} was left half done"
        for generation in await self.generations.ledger.live():
            held = dict[ChunkId, AccessList]()
            for document in documents:
                chunks = await self.platform.documents.held(document.ref.id, generation.id)
                held |= dict.fromkeys(chunks, document.access)
                current = await self.platform.documents.chunks(
                    TENANT, document.ref.id, generation.id
                )
                assert set(current) in (chunks, set())
            points = self.generations.indexes[generation.id].points
            assert {chunk: point.access for chunk, point in points.items()} == held
        needed = {
            document.original
            for document in documents
            if document.original is not None and document.state is not DocumentState.DELETED
        }
        await tidy(self.other_process, strays_after=timedelta(0))
        kept = {f"{path.parent.name}{path.name}" for path in self._originals()}
        jobs = await self.platform.jobs.listed(TENANT, limit=1_000)
        may_run = {job.original for job in jobs if job.state is not JobState.DONE}
        assert needed <= kept <= needed | may_run

    def _originals(self) -> list[Path]:
        return [path for path in self.platform.originals.root.glob("??/*") if path.is_file()]


def run(make_database: MakeDatabase, *, steps: int) -> None:
    counted.clear()
    run_state_machine_as_test(
        lambda: Machine(make_database),  # pyright: ignore[reportArgumentType] - it takes any that makes one
        settings=settings(
            max_examples=max(1, steps // STEPS_OF_AN_EXAMPLE),
            stateful_step_count=STEPS_OF_AN_EXAMPLE,
            derandomize=not STEPS,
            deadline=None,
            database=None,
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.filter_too_much,
                HealthCheck.data_too_large,
            ],
            # Shrinking runs a failing example hundreds of times: worth it where somebody waits.
            phases=[Phase.generate, Phase.shrink] if STEPS else [Phase.generate],
        ),
    )
    print(", ".join(f"{number} {what}" for what, number in sorted(counted.items())))  # noqa: T201


def test_on_sqlite_people_see_what_the_reference_says(sqlite_template: Path) -> None:
    def copy_of_template(root: Path) -> str:
        shutil.copy(sqlite_template, root / "rag.db")
        return f"sqlite:///{root / 'rag.db'}"

    run(copy_of_template, steps=STEPS or 400)
    assert counted["sync"] > 10 and counted["job"] > 100


def test_on_postgresql_people_see_what_the_reference_says(
    new_postgres_database: Callable[[], str],
) -> None:
    run(lambda _root: new_postgres_database(), steps=STEPS // 5 or 80)
    assert counted["reads"] > 100
