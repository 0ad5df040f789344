"""The CustomResourceDefinition as a real API server and the real kubectl take it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builders import experiment_dict
from golden_messages import GoldenMessages
from tepui_operator.cluster import status_write
from tepui_operator.cluster.json_text import parse
from tepui_operator.cluster.projection import spec_record, status_of
from tepui_spec.experiment import Experiment
from tepui_spec.headline import Headline
from tepui_spec.source import experiment_of
from tepui_spec.status import Condition, ExperimentStatus, TrialCounts
from tepui_testbed.cluster import Cluster
from tepui_testbed.waiting import wait_until

TESTS = Path(__file__).parents[1]
BAD_SPECS = sorted((TESTS / "golden" / "bad_inputs").glob("*.yaml"))
SAID = GoldenMessages(TESTS / "golden" / "apply_messages.txt")
EXPLAINED = GoldenMessages(TESTS / "golden" / "explain.txt")
KIND = "experimentspecs.tepui.dev"


@pytest.fixture(scope="module")
def cluster(kwok_cluster: Cluster) -> Cluster:
    """With the definition that `tepui crd` prints."""
    printed = subprocess.run(
        [sys.executable, "-m", "tepui_spec.cli", "crd"], capture_output=True, text=True, check=True
    )
    kwok_cluster.kubectl("apply", "-f", "-", stdin=printed.stdout)
    kwok_cluster.wait("condition=Established", f"crd/{KIND}")
    wait_until(lambda: kwok_cluster.kubectl_result("explain", "exps").returncode == 0, "the schema is published", 60)
    return kwok_cluster


@pytest.fixture
def namespace(cluster: Cluster, kwok_namespace: str) -> str:
    """One of its own, where the definition is known."""
    assert cluster
    return kwok_namespace


def spec_for_clusters(**sections: Any) -> dict[str, Any]:
    """A valid study whose data and results pods can reach."""
    reachable = {
        "upstream": {"data": {"uri": "s3://data/fonts"}, "imageSize": 32},
        "evaluation": {"tasks": ["mnist"], "dataRoot": "s3://data"},
        "storage": {"uri": "s3://results"},
    }
    return experiment_dict("study", **(reachable | sections))


def apply(
    cluster: Cluster, namespace: str, document: dict[str, Any], *options: str
) -> subprocess.CompletedProcess[str]:
    return cluster.kubectl_result("apply", "-n", namespace, "-f", "-", *options, stdin=json.dumps(document))


def write_status(cluster: Cluster, namespace: str, status: ExperimentStatus) -> None:
    """As the operator writes it: a JSON patch of the status subresource at the object's resourceVersion."""
    version = cluster.get("exps", "study", "-n", namespace)["metadata"]["resourceVersion"]
    patch = json.dumps(status_write.patch(status, version))
    cluster.kubectl("patch", "exps/study", "-n", namespace, "--subresource=status", "--type=json", "-p", patch)


RUNNING = ExperimentStatus(
    observed_generation=1, phase="Running", trials=TrialCounts(total=4, training=2, waiting=1, completed=1)
)


@pytest.mark.parametrize("field", ["spec", "spec.sweep", "spec.sweep.grid", "spec.pods", "spec.retries", "status"])
def test_kubectl_explains_every_field(cluster: Cluster, field: str) -> None:
    """What a user reads on a terminal, word for word (TEPUI_UPDATE_GOLDEN=1 records anew)."""
    text = cluster.kubectl("explain", f"experimentspec.{field}")
    assert "<no description>" not in text
    EXPLAINED.check(field, "\n".join(line.rstrip() for line in text.splitlines()), {})


def on_a_cluster(text: bytes) -> bytes:
    """The file with URIs that pods can open: what else is wrong with it is what is asked."""
    for field, path in ((b"uri", b"data/fonts"), (b"dataRoot", b"data"), (b"uri", b"results")):
        text = re.sub(rb"\b%s: %s\b" % (field, path), rb"%s: s3://%s" % (field, path), text)
    return text


@pytest.mark.parametrize("file", BAD_SPECS, ids=lambda file: file.stem)
def test_what_kubectl_apply_says_of_a_bad_spec(cluster: Cluster, file: Path, tmp_path: Path) -> None:
    """Each file of the table is refused by kubectl or the API server in these words, or by the operator in those."""
    copy = tmp_path / file.name
    copy.write_bytes(on_a_cluster(file.read_bytes()))
    arguments = ("apply", "--dry-run=server", "-o", "jsonpath={@}", "-f", str(copy))
    done = subprocess.run(["kubectl", *arguments], env=cluster.environment, capture_output=True, check=False)
    words = done.stderr.decode(errors="replace") if done.returncode else operator_says(done.stdout)
    SAID.check(file.stem, in_order(words), {tmp_path: "FOLDER"})


def operator_says(accepted: bytes) -> str:
    """Of an object that the API server took."""
    found = parse(accepted)
    record = spec_record(found["items"][0] if found["kind"] == "List" else found)
    assert record is not None
    try:
        experiment_of(record.document)
    except ValueError as error:
        return f"accepted; the operator says:\n{error}"
    return "accepted"


def in_order(words: str) -> str:
    """The API server tells several mistakes in the order of a hash map."""
    lines = words.splitlines()
    return "\n".join([*(line for line in lines if line[:1] != "*"), *sorted(line for line in lines if line[:1] == "*")])


def test_every_message_on_record_is_still_asked_for() -> None:
    """No file of the table was removed or renamed without its message."""
    assert {file.stem for file in BAD_SPECS} == SAID.names


def test_relative_paths_are_for_one_machine(cluster: Cluster, namespace: str) -> None:
    """Each is refused with what to give instead."""
    said = apply(cluster, namespace, experiment_dict()).stderr
    for field in ("spec.upstream.data.uri", "spec.evaluation.dataRoot", "spec.storage.uri"):
        assert re.search(rf"{field}: Invalid value: .* a relative path works on one machine only; .*s3://", said)


def test_names_and_categories(cluster: Cluster, namespace: str) -> None:
    """`kubectl get exps` and `kubectl get all` find a study."""
    assert apply(cluster, namespace, spec_for_clusters()).stdout == "experimentspec.tepui.dev/study created\n"
    assert "study" in cluster.kubectl("get", "exps", "-n", namespace)
    assert "experimentspec.tepui.dev/study" in cluster.kubectl("get", "all", "-n", namespace)


def test_defaults_are_those_of_the_contract(cluster: Cluster, namespace: str) -> None:
    """A study with only what is required comes back as pydantic fills it in: the same experiment, the same trials."""
    document = spec_for_clusters()
    apply(cluster, namespace, document)
    record = spec_record(cluster.get("exps", "study", "-n", namespace))
    assert record is not None
    document["metadata"]["namespace"] = namespace
    assert experiment_of(record.document) == Experiment.model_validate(document)


def test_columns_show_where_a_study_stands(cluster: Cluster, namespace: str) -> None:
    """Phase, trials, hours, and the e_IR that is known best with its interval."""
    apply(cluster, namespace, spec_for_clusters())
    headline = {"headline": "0.048 [0.031, 0.06]", "headline_of": "mnist, 25 shots, frontier", "gpu_hours": 12.5}
    write_status(cluster, namespace, RUNNING.model_copy(update=headline))
    table = cluster.kubectl("get", "exps", "-n", namespace).splitlines()
    assert table[0].split() == ["NAME", "PHASE", "DONE", "TOTAL", "RUNNING", "FAILED", "GPU-HOURS", "E_IR", "AGE"]
    row = r"study +Running +1 +4 +2 +0 +12\.5 +0\.048 \[0\.031, 0\.06\] +\d+s"
    assert re.fullmatch(row, table[1])
    wide = cluster.kubectl("get", "exps", "-n", namespace, "-o", "wide")
    assert "EVALUATING" in wide
    assert "mnist, 25 shots, frontier" in wide


def test_a_whole_status_comes_back_as_it_was_written(cluster: Cluster, namespace: str) -> None:
    """Estimates with open ends (null), conditions, and the indexes of 7,500 trials none of which are neighbours."""
    law = Headline(
        task="mnist",
        shots=25,
        law="frontier",
        n=40,
        e_ir=(None, 0.01, 0.2),
        k=(0.5, 0.1, None),
        alpha=(None, None, None),
        identified="weak",
    )
    condition = Condition(
        type="Suspended",
        status="True",
        reason="Suspended",
        message="on demand",
        last_transition_time="2026-01-01T00:00:00Z",
    )
    status = RUNNING.model_copy(
        update={
            "laws": (law,),
            "conditions": (condition,),
            "trials": TrialCounts(total=15_000, completed=7_500, waiting=7_500),
            "completed_trials": ",".join(map(str, range(0, 15_000, 2))),
        }
    )
    apply(cluster, namespace, spec_for_clusters())
    write_status(cluster, namespace, status)
    written = cluster.get("exps", "study", "-n", namespace)
    record = spec_record(written)
    assert record is not None
    assert status_of(record) == status
    assert len(json.dumps(written)) < 64_000


def test_kubectl_waits_for_conditions(cluster: Cluster, namespace: str) -> None:
    """`kubectl wait --for=condition=Complete` ends when the operator writes the condition, and not before."""
    apply(cluster, namespace, spec_for_clusters())
    write_status(cluster, namespace, RUNNING)
    arguments = ("wait", "--for=condition=Complete", "exps/study", "-n", namespace)
    assert cluster.kubectl_result(*arguments, "--timeout=1s").returncode == 1
    waiting = subprocess.Popen(
        ["kubectl", *arguments, "--timeout=60s"], env=cluster.environment, stdout=subprocess.PIPE, text=True
    )
    complete = Condition(
        type="Complete", status="True", reason="AllTrialsCompleted", last_transition_time="2026-01-01T00:00:00Z"
    )
    write_status(cluster, namespace, RUNNING.model_copy(update={"phase": "Complete", "conditions": (complete,)}))
    said, _ = waiting.communicate(timeout=90)
    assert (waiting.returncode, said) == (0, "experimentspec.tepui.dev/study condition met\n")


FROZEN: dict[str, dict[str, Any]] = {
    "spec.upstream": {"upstream": {"data": {"uri": "s3://data/fonts"}, "imageSize": 64}},
    "spec.sweep": {"sweep": {"grid": {"model": ["tiny"], "epochs": [1, 2, 4], "seed": [0, 1]}}},
    "spec.models": {"models": [{"name": "tiny", "timm": "vit_tiny_patch16_224", "args": {"depth": 2}}]},
    "spec.evaluation": {"evaluation": {"tasks": ["mnist"], "dataRoot": "s3://data", "shots": [1]}},
    "spec.storage": {"storage": {"uri": "s3://elsewhere"}},
    "spec.training.recipe": {"training": {"recipe": "mixer-small", "precision": "fp32"}},
    "spec.training.precision": {"training": {"recipe": "vit-small", "precision": "bf16"}},
    "spec.training.seed": {"training": {"recipe": "vit-small", "precision": "fp32", "seed": 3}},
}
"""What results depend on, each with an edit of it."""


def test_what_results_depend_on_cannot_change_once_trials_exist(cluster: Cluster, namespace: str) -> None:
    """Before, it can be mended; afterwards the refusal names the field, the reason and what to do."""
    apply(cluster, namespace, spec_for_clusters())
    for sections in FROZEN.values():
        assert apply(cluster, namespace, spec_for_clusters(**sections), "--dry-run=server").returncode == 0
    write_status(cluster, namespace, RUNNING)
    for field, sections in FROZEN.items():
        said = apply(cluster, namespace, spec_for_clusters(**sections), "--dry-run=server")
        assert said.returncode == 1
        assert said.stderr == (
            f'The ExperimentSpec "study" is invalid: {field}: Forbidden: cannot change once trials exist: apply an '
            "ExperimentSpec with another name (trials that both share, in the same storage, are not computed again)\n"
        )


def test_the_rest_may_change_while_it_runs(cluster: Cluster, namespace: str) -> None:
    """How much runs at once, on what, how often, and for what budget: no result depends on it."""
    apply(cluster, namespace, spec_for_clusters())
    write_status(cluster, namespace, RUNNING)
    image = f"registry.example/tepui@sha256:{'0' * 64}"
    training = {"recipe": "vit-small", "precision": "fp32", "checkpointEveryS": 60, "microBatchSize": 2}
    edited = spec_for_clusters(
        parallelism=2,
        suspend=True,
        budget={"gpuHours": 10},
        retries={"crashed": 5},
        pods={"image": image, "memory": "4Gi", "queue": "vision"},
        training={**training, "deepspeed": {"zeroStage": 1}},
        analysis={"confidence": 0.9},
        ttlSecondsAfterFinished=60,
    )
    assert apply(cluster, namespace, edited).stdout == "experimentspec.tepui.dev/study configured\n"
    write_status(cluster, namespace, RUNNING.model_copy(update={"observed_generation": 2}))


def test_a_status_is_only_replaced_at_the_version_it_was_made_from(cluster: Cluster, namespace: str) -> None:
    """A deposed replica's write is refused: that is the fence behind the lease."""
    apply(cluster, namespace, spec_for_clusters())
    stale = cluster.get("exps", "study", "-n", namespace)["metadata"]["resourceVersion"]
    write_status(cluster, namespace, RUNNING)
    patch = json.dumps(status_write.patch(ExperimentStatus(), stale))
    arguments = ("patch", "exps/study", "-n", namespace, "--subresource=status", "--type=json", "-p", patch)
    said = cluster.kubectl_result(*arguments)
    assert said.returncode == 1
    assert "Conflict" in said.stderr or "the object has been modified" in said.stderr
    assert cluster.get("exps", "study", "-n", namespace)["status"]["phase"] == "Running"
