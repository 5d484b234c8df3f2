"""What Prometheus is told: counts and durations, no tenant, no content."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from rag.gateway.accounting import AccountingFigures
from rag.gateway.money import MICROS
from rag.storage.jobs.depth import Depth
from rag.storage.jobs.records import JobState
from rag.storage.jobs.workers import WorkDone, Worker
from rag.trail import Trail

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


class ModelMetrics:
    """Calls of models, guardrails and the cache of answers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "rag_model_attempts_total",
            "Calls of a deployment, by how they ended.",
            ("model", "deployment", "outcome"),
            registry=registry,
        )
        self._tokens = Counter(
            "rag_model_tokens_total", "Tokens, by model.", ("model", "kind"), registry=registry
        )
        self._cost = Counter(
            "rag_model_cost_units_total",
            "What calls cost, in units of account.",
            ("model",),
            registry=registry,
        )
        self._first_token = Histogram(
            "rag_model_first_token_seconds",
            "Time to a model's first token.",
            ("model",),
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._verdicts = Counter(
            "rag_guardrail_verdicts_total",
            "What guardrails said; `not_run` is no pass.",
            ("check", "direction", "standing"),
            registry=registry,
        )
        self._cache = Counter(
            "rag_answer_cache_total",
            "Looks into the cache of answers.",
            ("outcome",),
            registry=registry,
        )

    def trail(self, trail: Trail) -> None:
        for attempt in trail.attempts:
            self._attempts.labels(attempt.model, attempt.deployment, attempt.outcome).inc()
            self._tokens.labels(attempt.model, "input").inc(attempt.usage.input_tokens)
            self._tokens.labels(attempt.model, "output").inc(attempt.usage.output_tokens)
            self._tokens.labels(attempt.model, "cached").inc(attempt.usage.cached_tokens)
            self._cost.labels(attempt.model).inc(attempt.cost / MICROS)
            if attempt.first_token_ms is not None:
                self._first_token.labels(attempt.model).observe(attempt.first_token_ms / 1000)
        for verdict in trail.verdicts:
            self._verdicts.labels(verdict.check, verdict.direction, verdict.standing).inc()
        self._cache.labels(trail.cache).inc()


class _MoneyCounters(Collector):
    """What the gateway has counted of budgets in this process."""

    def __init__(self) -> None:
        self.figures = AccountingFigures()
        self.lost = 0

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        told = (
            ("rag_budget_refusals", "Calls for which a budget had no room.", self.figures.refused),
            ("rag_budget_alerts", "Shares of budgets that were spent.", self.figures.alerts),
            ("rag_budget_expired", "Reservations that nobody settled.", self.figures.expired),
            ("rag_unpriced_calls", "Calls at a price nobody knows.", self.figures.unpriced),
            ("rag_usage_lost", "Entries of usage that could not be kept.", self.lost),
        )
        for name, words, value in told:
            yield CounterMetricFamily(name, words, value=value)
        yield GaugeMetricFamily(
            "rag_budget_unsettled",
            "Calls whose cost waits to be counted.",
            value=self.figures.unsettled,
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
        self._models = ModelMetrics(self._registry)
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
        self._money = _MoneyCounters()
        self._registry.register(self._money)
        self._reviews = Gauge(
            "rag_reviews_open",
            "What guardrails flagged and nobody has looked at yet.",
            ("check",),
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

    def trail(self, trail: Trail) -> None:
        """A request that is over: its calls of models, its verdicts, and whether it was known."""
        self._models.trail(trail)

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

    def reviews(self, open_by_check: Mapping[str, int]) -> None:
        self._reviews.clear()
        for check, count in open_by_check.items():
            self._reviews.labels(check).set(count)

    def money(self, figures: AccountingFigures, *, lost: int) -> None:
        """What this process counted of budgets."""
        self._money.figures, self._money.lost = figures, lost

    def exposition(self) -> bytes:
        return generate_latest(self._registry)
