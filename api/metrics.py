"""What Prometheus is told: counts and durations, no tenant, no content."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
STAGE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


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

    def exposition(self) -> bytes:
        return generate_latest(self._registry)
