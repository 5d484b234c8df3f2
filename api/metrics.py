"""What Prometheus is told: counts and durations, no tenant, no content."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from rag.storage.jobs.depth import Depth
from rag.storage.jobs.records import JobState
from rag.storage.jobs.workers import WorkDone, Worker

LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
STAGE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class _DoneCounters(Collector):
    """What the workers have counted, in whichever process they run."""

    def __init__(self) -> None:
        self.done = WorkDone()

    def collect(self) -> Iterable[CounterMetricFamily]:
        attempts = CounterMetricFamily(
            "rag_job_attempts", "Attempts at jobs, by how they ended.", labels=["outcome"]
        )
        for outcome in ("done", "failed", "dead", "retried"):
            attempts.add_metric([outcome], getattr(self.done, outcome))
        yield attempts
        yield CounterMetricFamily(
            "rag_job_claims", "Times that a worker asked for jobs.", value=self.done.claims
        )
        yield CounterMetricFamily(
            "rag_job_claim_seconds", "Time that claiming took.", value=self.done.claim_seconds
        )


class Metrics:
    """One registry for one app."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "rag_requests_total",
            "Requests by route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._latency = Histogram(
            "rag_request_seconds",
            "Time to the end of the response.",
            ("method", "route"),
            buckets=LATENCY_BUCKETS_S,
            registry=self._registry,
        )
        self._stages = Histogram(
            "rag_retrieval_stage_seconds",
            "Time of each stage of a retrieval.",
            ("stage",),
            buckets=STAGE_BUCKETS_S,
            registry=self._registry,
        )
        self._outcomes = Counter(
            "rag_ask_outcomes_total",
            "Answers and refusals by reason.",
            ("outcome",),
            registry=self._registry,
        )
        self._jobs = Gauge("rag_jobs", "Jobs by state.", ("state",), registry=self._registry)
        self._depth = Gauge(
            "rag_jobs_pending",
            "Jobs that are not over, by state and urgency; `paused` ones no worker would begin.",
            ("state", "urgency"),
            registry=self._registry,
        )
        self._oldest = Gauge(
            "rag_jobs_oldest_due_seconds",
            "How long the first job in line has waited for a worker.",
            registry=self._registry,
        )
        self._workers = Gauge(
            "rag_workers", "Processes that run jobs.", ("state",), registry=self._registry
        )
        self._slots = Gauge(
            "rag_worker_slots",
            "Jobs that they can run at a time, and how many do.",
            ("state",),
            registry=self._registry,
        )
        self._resident = Gauge(
            "rag_worker_resident_bytes",
            "Memory of the process that runs jobs and takes most.",
            registry=self._registry,
        )
        self._done = _DoneCounters()
        self._registry.register(self._done)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._latency.labels(method, route).observe(seconds)

    def retrieval(self, timings_ms: Mapping[str, float]) -> None:
        for stage, milliseconds in timings_ms.items():
            self._stages.labels(stage).observe(milliseconds / 1000)

    def asked(self, outcome: str) -> None:
        self._outcomes.labels(outcome).inc()

    def jobs(self, by_state: Mapping[str, int]) -> None:
        self._jobs.clear()
        for state, count in by_state.items():
            self._jobs.labels(state).set(count)

    def queue(self, depths: Sequence[Depth], moment: datetime) -> None:
        """How deep the queue is, and how old its oldest job that a worker could begin."""
        self._depth.clear()
        for depth in depths:
            state = "paused" if depth.paused else depth.state.value
            self._depth.labels(state, depth.urgency.name.lower()).inc(depth.jobs)
        due = [
            (moment - depth.oldest).total_seconds()
            for depth in depths
            if depth.state is JobState.QUEUED and not depth.paused
        ]
        self._oldest.set(max(due, default=0.0))

    def workers(self, workers: Sequence[Worker], done: WorkDone) -> None:
        paused = sum(worker.paused is not None for worker in workers)
        self._workers.labels("working").set(len(workers) - paused)
        self._workers.labels("paused").set(paused)
        running = sum(worker.running for worker in workers)
        self._slots.labels("running").set(running)
        self._slots.labels("free").set(sum(worker.slots for worker in workers) - running)
        self._resident.set(max((worker.resident_bytes or 0 for worker in workers), default=0))
        self._done.done = done

    def exposition(self) -> bytes:
        return generate_latest(self._registry)
