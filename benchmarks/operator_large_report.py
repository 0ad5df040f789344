"""The large measurements as lines of text, with their limits."""

from operator_large import DELETED_TRIALS, SMALL_STUDIES, SMALL_TRIALS
from operator_work import Json, fresh_cluster, inside

LARGEST_MB, LARGEST_OBJECT_KB = 300.0, 64.0


def report(trials: int) -> int:
    """Measure each part on a fresh cluster and print it; the exit code is 1 where a limit is missed."""
    large = _measure("large", trials)
    peak_mb = max(large["peak_mb"], large["peak_mb_after_restart"])
    print(f"one study of {trials} trials, {2 * trials} Jobs that end as soon as they are created")
    print(f"  completes; {large['jobs_per_s']:.0f} Jobs/s; {_costs(large)}")
    print(f"  object {large['object_kb']:.1f} kB (under {LARGEST_OBJECT_KB:g})")
    print(f"  started anew with {large['jobs_present']} of its Jobs present: synced after {large['synced_s']:.1f} s,")
    print(f"    first Job created after {large['decided_s']:.1f} s")
    print(f"  peak memory {peak_mb:.0f} MB, that of the second start included (under {LARGEST_MB:g})", flush=True)
    deleted = _measure("deleted", trials)
    print(f"a study of {DELETED_TRIALS} trials deleted while no operator runs")
    print(
        f"  gone after {deleted['study_gone_s']:.2f} s, its {deleted['jobs']} Jobs {deleted['jobs_gone_s']:.1f} s",
        flush=True,
    )
    many = _measure("many", trials)
    print(f"{SMALL_STUDIES} studies of {SMALL_TRIALS} trials at once")
    print(f"  all complete after {many['seconds']:.1f} s; {_costs(many)}")
    return 0 if peak_mb < LARGEST_MB and large["object_kb"] < LARGEST_OBJECT_KB else 1


def _measure(part: str, trials: int) -> Json:
    with fresh_cluster() as cluster:
        return inside(cluster, "operator_large.py", part, str(trials))


def _costs(run: Json) -> str:
    p50, p99 = run["successions_s"]["50"], run["successions_s"]["99"]
    return (
        f"operator {run['cpu_ms_per_job']:.2f} CPU ms/Job, {run['further_writes_per_job']:.3f} further writes/Job, "
        f"peak {run['peak_mb']:.0f} MB; succession p50 {p50:.2f} s, p99 {p99:.2f} s"
    )
