"""Workers that come, work, die, are paused and awake too late: no job is lost, none runs twice at
once, and whatever is asked for last is what is done last."""

import asyncio
import shutil
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rag.access import TenantId
from rag.storage.database import open_database
from rag.storage.jobs.leases import Failure, Leases
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.records import Job, JobKind, JobState, NewJob
from rag.storage.sources.ledger import Sources
from rag.types import SourceId

TENANT = TenantId("acme")
LEASE = timedelta(seconds=60)
URIS = st.sampled_from("abc")
SOURCES = st.sampled_from([SourceId("one"), SourceId("two")])
LIVE = {JobState.QUEUED, JobState.WAITING, JobState.RUNNING}
_T = TypeVar("_T")


class Ledger(RuleBasedStateMachine):
    """Held jobs are what workers believe to hold; some of them are wrong after a pause."""

    template: Path
    folder: Path
    runs = 0

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = datetime(2026, 11, 21, tzinfo=UTC)
        self.held: list[Job] = []
        self.asked: dict[tuple[SourceId, str], int] = {}
        """The last revision that was asked for."""
        self.done: dict[tuple[SourceId, str], int] = {}
        """The last revision that was done."""
        type(self).runs += 1
        path = self.folder / f"{type(self).runs}.db"
        shutil.copy(self.template, path)
        self.opened = open_database(f"sqlite:///{path}", pool_size=1)
        self.database = self.wait_for(self.opened.__aenter__())
        self.jobs = Jobs(self.database, clock=lambda: self.now)
        self.leases = Leases(self.database, clock=lambda: self.now)

    def wait_for(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        self.everything_ends()
        self.wait_for(self.opened.__aexit__(None, None, None))
        self.loop.close()

    @initialize()
    def register(self) -> None:
        sources = Sources(self.database)
        self.wait_for(sources.add_tenant(TENANT))
        for name in ("one", "two"):
            self.wait_for(
                sources.register(TENANT, kind="m", name=name, settings={}, source=SourceId(name))
            )

    # --- what happens -----------------------------------------------------------------------------

    @rule(source=SOURCES, uri=URIS)
    def ask(self, source: SourceId, uri: str) -> None:
        revision = self.asked.get((source, uri), 0) + 1
        self.asked[source, uri] = revision
        job = NewJob(
            tenant=TENANT, source=source, kind=JobKind.UPSERT, uri=uri,
            payload={"revision": revision}, max_attempts=1_000,
        )  # fmt: skip
        self.wait_for(self.jobs.enqueue([job]))

    @rule(owner=st.sampled_from(["w1", "w2"]), number=st.integers(1, 4))
    def claim(self, owner: str, number: int) -> None:
        claimed = self.wait_for(self.leases.claim_some(owner, lease=LEASE, number=number))
        assert len({(job.source, job.uri) for job in claimed}) == len(claimed)
        self.held += claimed

    @precondition(lambda self: self.held)
    @rule(data=st.data(), way=st.sampled_from(["done", "wait", "release", "extend", "die"]))
    def go_on(self, data: st.DataObject, way: str) -> None:
        """Of a worker, which may have lost the job meanwhile without knowing."""
        job = data.draw(st.sampled_from(self.held))
        is_its_own = self.wait_for(self.jobs.get(TENANT, job.id))
        holds = (is_its_own.state, is_its_own.lease_owner, is_its_own.attempts) == (
            JobState.RUNNING,
            job.lease_owner,
            job.attempts,
        )
        match way:
            case "done":
                wrote = self.wait_for(self.leases.done(job, "done"))
                if wrote:
                    self.done[job.source, str(job.uri)] = job.payload["revision"]
            case "wait":
                delay = timedelta(seconds=30)
                wrote = self.wait_for(
                    self.leases.wait(job, Failure("SourceUnavailable", "away"), delay=delay)
                )
            case "release":
                wrote = self.wait_for(self.leases.release(job))
            case "extend":
                assert self.wait_for(self.leases.extend(job, lease=LEASE)) is holds
                return
            case _:
                self.held.remove(job)  # its worker is killed: nothing more is heard of it
                return
        assert wrote is holds
        self.held.remove(job)

    @rule(seconds=st.integers(1, 100))
    def time_goes_by(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(days=st.integers(-400, 400))
    def the_clock_jumps(self, days: int) -> None:
        self.now += timedelta(days=days)

    @rule()
    def sweep(self) -> None:
        self.wait_for(self.leases.sweep(lease=LEASE))

    # --- what holds -------------------------------------------------------------------------------

    @invariant()
    def nothing_is_lost_and_nothing_runs_twice_at_once(self) -> None:
        jobs = self.wait_for(self.jobs.listed(TENANT, limit=10_000))
        running = [(job.source, job.uri) for job in jobs if job.state is JobState.RUNNING]
        assert len(running) == len(set(running))
        live = {
            (job.source, str(job.uri), job.payload["revision"]) for job in jobs if job.state in LIVE
        }
        for (source, uri), revision in self.asked.items():
            was_done = self.done.get((source, uri)) == revision
            assert was_done or (source, uri, revision) in live

    def everything_ends(self) -> None:
        """Whatever happened before: with time and a worker, all that was asked for last is done."""
        for _ in range(50):
            self.now += timedelta(days=1)
            self.wait_for(self.leases.sweep(lease=LEASE))
            claimed = self.wait_for(self.leases.claim_some("last", lease=LEASE, number=10))
            for job in claimed:
                assert self.wait_for(self.leases.done(job, "done"))
                self.done[job.source, str(job.uri)] = job.payload["revision"]
            if not claimed and self.wait_for(self.jobs.nothing_to_do()):
                break
        assert self.done == self.asked


@pytest.mark.parametrize("examples", [40])
def test_no_job_is_lost_and_none_runs_twice_at_once(
    examples: int, sqlite_template: Path, tmp_path: Path
) -> None:
    Ledger.template, Ledger.folder = sqlite_template, tmp_path
    run_state_machine_as_test(
        Ledger, settings=settings(max_examples=examples, stateful_step_count=30)
    )
