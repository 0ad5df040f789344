"""What Prometheus reads of the operator."""

from prometheus_client.parser import text_string_to_metric_families

from tepui_operator.cluster.metrics import Gauges, Metrics, StudyFacts
from tepui_spec.status import TrialCounts


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample of the page by its name and labels, as Prometheus parses it."""
    page, _ = metrics.page("text/plain")
    return {
        f"{s.name}{sorted(s.labels.items()) if s.labels else ''}": s.value
        for family in text_string_to_metric_families(page.decode())
        for s in family.samples
    }


def study(namespace: str, phase: str, **counts: int) -> StudyFacts:
    return StudyFacts(namespace, phase, TrialCounts(total=sum(counts.values()), **counts))  # type: ignore[arg-type]


def test_what_happened_is_counted() -> None:
    """Reconciles, requests, successions and watches, each under its labels."""
    metrics = Metrics()
    metrics.reconciled("done", 0.02)
    metrics.reconciled("done", 0.2)
    metrics.requested("create", "jobs", 201, 0.004)
    metrics.requested("create", "jobs", 409, 0.004)
    metrics.requested("get", "leases", 0, 3.0)
    metrics.followed("evaluate", 0.3)
    metrics.watch_restarted("jobs", "expired")
    found = samples(metrics)
    assert found["tepui_reconcile_seconds_count[('result', 'done')]"] == 2
    assert found["tepui_reconcile_seconds_sum[('result', 'done')]"] == 0.22
    for verb, resource, code in (("create", "jobs", "201"), ("create", "jobs", "409"), ("get", "leases", "0")):
        labels = [("code", code), ("resource", resource), ("verb", verb)]
        assert found[f"tepui_api_request_seconds_count{labels}"] == 1
    assert found["tepui_succession_seconds_bucket[('le', '0.25'), ('stage', 'evaluate')]"] == 0
    assert found["tepui_succession_seconds_bucket[('le', '0.5'), ('stage', 'evaluate')]"] == 1
    assert found["tepui_watch_restarts_total[('reason', 'expired'), ('resource', 'jobs')]"] == 1


def test_gauges_say_what_is_true_when_asked() -> None:
    """Nothing is remembered: a lease that was lost and a study that is gone are so on the next page."""
    metrics, leads, queue, facts = Metrics(), [True], ["a/b", "a/c"], [study("vision", "Running", training=3)]
    gauges = Gauges(
        leads=lambda: leads[-1],
        queue_depth=lambda: len(queue),
        watch_ages_s=lambda: {"jobs": 1.5},
        studies=lambda: facts,
    )
    metrics.show(gauges)
    found = samples(metrics)
    assert (found["tepui_leader"], found["tepui_queue_depth"]) == (1, 2)
    assert found["tepui_watch_age_seconds[('resource', 'jobs')]"] == 1.5
    assert found["tepui_trials[('namespace', 'vision'), ('state', 'training')]"] == 3
    leads.append(False)
    queue.clear()
    facts.clear()
    found = samples(metrics)
    assert (found["tepui_leader"], found["tepui_queue_depth"]) == (0, 0)
    assert not any(name.startswith(("tepui_trials", "tepui_studies")) for name in found)


def test_studies_of_a_namespace_are_added_up() -> None:
    """A thousand studies are as many series as one."""
    facts = [study("vision", "Running", training=2, completed=5) for _ in range(1000)]
    facts += [study("speech", "Complete", completed=7, failed=1)]
    metrics = Metrics()
    metrics.show(Gauges(lambda: True, lambda: 0, dict, lambda: facts))
    found = samples(metrics)
    assert found["tepui_studies[('namespace', 'vision'), ('phase', 'Running')]"] == 1000
    assert found["tepui_trials[('namespace', 'vision'), ('state', 'training')]"] == 2000
    assert found["tepui_trials[('namespace', 'speech'), ('state', 'failed')]"] == 1
    assert sum(name.startswith(("tepui_trials", "tepui_studies")) for name in found) == 2 + 2 * 5


def test_two_operators_in_one_process_do_not_share_counts() -> None:
    """Each has a registry of its own."""
    first, second = Metrics(), Metrics()
    first.reconciled("failed", 1)
    assert not any(name.startswith("tepui_reconcile_seconds_count") for name in samples(second))
