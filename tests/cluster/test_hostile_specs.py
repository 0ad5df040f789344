"""Specs that the API server takes and no honest user writes: they hurt nobody but their owner."""

import json
from pathlib import Path

import pytest

from operators import Operator, definition, study, with_laws
from tepui_testbed.cluster import Cluster

LEVELS = 5000


@pytest.fixture(autouse=True)
def _definition(kwok_cluster: Cluster) -> None:
    definition(kwok_cluster)


def test_nesting_that_no_parser_of_ours_takes(kwok_cluster: Cluster, kwok_namespace: str, tmp_path: Path) -> None:
    """Met in a list and in a watch: its owner is told, and a study beside it completes."""
    with_laws(kwok_cluster, kwok_namespace)
    model = {"name": "tiny", "timm": "vit_tiny_patch16_224", "args": {"patch_size": "DEEP"}}
    for name in ("listed", "watched"):
        text = json.dumps(study(kwok_namespace, name, models=[model])).replace('"DEEP"', "[" * LEVELS + "]" * LEVELS)
        if name == "listed":
            kwok_cluster.kubectl("create", "-f", "-", stdin=text)
    with Operator(kwok_cluster, tmp_path / "operator.log", [kwok_namespace]):
        kwok_cluster.kubectl("create", "-f", "-", stdin=text)
        kwok_cluster.apply(study(kwok_namespace, "good"))
        kwok_cluster.wait("condition=Complete", "exps/good", "-n", kwok_namespace)
        for name in ("listed", "watched"):
            kwok_cluster.wait("condition=Failed", f"exps/{name}", "-n", kwok_namespace)
            told = "jsonpath={.status.conditions[?(@.type=='Failed')]['reason','message']}"
            words = kwok_cluster.kubectl("get", "exps", name, "-n", kwok_namespace, "-o", told)
            assert words.startswith("InvalidSpec spec.models[0].args.patch_size[0]")
            assert words.endswith("nested more than 32 levels deep")
    kwok_cluster.kubectl("delete", "stages", f"{kwok_namespace}-laws")
