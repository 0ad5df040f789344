"""Metrics for Prometheus. What is counted here grows with verbs, kinds and namespaces, never with studies or trials.

A label per study would make new series with every study, for ever: `tepui_trials` adds up the studies of a namespace,
and one study's own numbers are in its status (`kubectl get exps`) and in MLflow. Gauges are read when they are asked
for, from what the operator knows then, so that none can go stale.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from tepui_spec.status import Phase, Stage, TrialCounts

Result = Literal["done", "invalid", "retried", "failed"]
"""How one reconcile ended: done; the spec is wrong; the world did not answer; a bug."""

TRIAL_STATES = ("waiting", "training", "evaluating", "completed", "failed")

_RECONCILE_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60)
_REQUEST_S = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30)
_SUCCESSION_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """One study, as far as metrics are made of it."""

    namespace: str
    phase: Phase
    trials: TrialCounts


@dataclass(frozen=True, slots=True)
class Gauges:
    """Where to read what is true now."""

    leads: Callable[[], bool]
    queue_depth: Callable[[], int]
    watch_ages_s: Callable[[], Mapping[str, float]]
    """By resource, seconds since anything was heard of its watch."""
    studies: Callable[[], Iterable[StudyFacts]]


class Metrics:
    """Everything that the operator counts, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(_Build())
        self._reconciles = Histogram(
            "tepui_reconcile_seconds",
            "Time to bring one study up to date, by how that ended.",
            ["result"],
            buckets=_RECONCILE_S,
            registry=self.registry,
        )
        self._requests = Histogram(
            "tepui_api_request_seconds",
            "Requests to the API server and the time each took; code 0: no answer.",
            ["verb", "resource", "code"],
            buckets=_REQUEST_S,
            registry=self.registry,
        )
        self._successions = Histogram(
            "tepui_succession_seconds",
            "From the end of a Job to the creation of the one that follows it, by the follower's stage.",
            ["stage"],
            buckets=_SUCCESSION_S,
            registry=self.registry,
        )
        self._watch_restarts = Counter(
            "tepui_watch_restarts",
            "Watches that ended and were begun anew, by why: closed, expired (listed anew), failed.",
            ["resource", "reason"],
            registry=self.registry,
        )

    def show(self, gauges: Gauges) -> None:
        """Read these from now on."""
        self.registry.register(_Now(gauges))

    def reconciled(self, result: Result, seconds: float) -> None:
        """One study was brought up to date, or not."""
        self._reconciles.labels(result).observe(seconds)

    def requested(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """One request was answered with an HTTP code; 0: it was not answered."""
        self._requests.labels(verb, resource, str(code)).observe(seconds)

    def followed(self, stage: Stage, seconds: float) -> None:
        """A Job of this stage was created so long after the end of the one that it follows."""
        self._successions.labels(stage).observe(seconds)

    def watch_restarted(self, resource: str, reason: Literal["closed", "expired", "failed"]) -> None:
        """A watch ended and is begun anew."""
        self._watch_restarts.labels(resource, reason).inc()

    def page(self, accept: str) -> tuple[bytes, str]:
        """Everything, in the format that an Accept header asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class _Build(Collector):
    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("tepui_build", "The operator's version.", {"version": version("tepui")})


class _Now(Collector):
    """What is true at the moment of asking."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        now = self._gauges
        yield GaugeMetricFamily("tepui_leader", "1: this replica acts.", float(now.leads()))
        yield GaugeMetricFamily("tepui_queue_depth", "Studies that wait to be brought up to date.", now.queue_depth())
        ages = GaugeMetricFamily(
            "tepui_watch_age_seconds", "Since anything was heard of a watch, a bookmark too.", labels=["resource"]
        )
        for resource, age_s in now.watch_ages_s().items():
            ages.add_metric([resource], age_s)
        yield ages
        yield from _sums(now.studies())


def _sums(facts: Iterable[StudyFacts]) -> Iterator[Metric]:
    """Studies by phase and trials by state, in each namespace that has studies."""
    phases: Tally[tuple[str, str]] = Tally()
    states: Tally[tuple[str, str]] = Tally()
    for study in facts:
        phases[study.namespace, study.phase] += 1
        for state in TRIAL_STATES:
            states[study.namespace, state] += getattr(study.trials, state)
    studies = GaugeMetricFamily("tepui_studies", "Studies by phase.", labels=["namespace", "phase"])
    trials = GaugeMetricFamily("tepui_trials", "Trials of all studies by state.", labels=["namespace", "state"])
    for family, tally in ((studies, phases), (trials, states)):
        for labels, count in sorted(tally.items()):
            family.add_metric(list(labels), count)
    yield studies
    yield trials
