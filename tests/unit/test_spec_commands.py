"""The contract's own commands and pages."""

from pathlib import Path

import pytest
import yaml

from tepui_spec.cli import main
from tepui_spec.crd import custom_resource_definition
from tepui_spec.docs import results_page, spec_page
from tepui_spec.explain import explain, model_table, recipe_table, recipe_text
from tepui_spec.recipes import BUILT_IN, Recipe
from tepui_spec.results import TABLES
from tepui_spec.schema import experiment_schema, node_at
from tepui_spec.yaml_text import to_yaml

DOCS = Path(__file__).parents[2] / "docs"


def test_pages_are_those_of_the_contract() -> None:
    """`python -m tepui_spec.docs` would change nothing."""
    assert (DOCS / "spec.md").read_text() == spec_page()
    assert (DOCS / "results.md").read_text() == results_page()


def test_pages_name_every_field_and_column() -> None:
    """Nothing of the contract is left out."""
    page = spec_page()
    for name in (*experiment_schema()["properties"]["spec"]["properties"], "zeroStage", "persistentVolumeClaim"):
        assert f"| `{name}` |" in page
    for table in TABLES.values():
        assert all(f"| `{column}` |" in results_page() for column in table.model_fields)


def test_explain_says_type_bounds_default_and_the_fields_below() -> None:
    """As kubectl explain does, with or without [] for lists."""
    assert explain("spec.parallelism") == (
        "FIELD: spec.parallelism <integer>\n"
        "  Training pods (or gangs) of this study at work at the same time.\n"
        "  Allowed: a whole number from 1 to 1000.\n"
        "  Default: 8."
    )
    assert explain("spec.models[].timm") == explain("spec.models.timm").replace("spec.models.", "spec.models[].")
    assert "  grid <object>\n" in explain("spec.sweep")
    assert "  name <string> (required)\n" in explain("spec.models")


def test_every_field_can_be_explained() -> None:
    """From the root down, no field is without words."""

    def below(path: list[str]) -> None:
        node = node_at(experiment_schema(), [])
        assert node is not None
        assert explain(".".join(path)).startswith("FIELD: ")
        for part in path:
            while node["type"] == "array":
                node = node["items"]
            node = node["properties"][part]
        while node["type"] == "array":
            node = node["items"]
        for name in node.get("properties", {}):
            below([*path, name])

    below([])


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("spec.swep", "spec has no field 'swep'; did you mean sweep? it has upstream"),
        ("spec.parallelism.x", "spec.parallelism has no field 'x'; it has no fields"),
        ("sepc", "an experiment has no field 'sepc'; did you mean spec"),
    ],
)
def test_explaining_what_is_not_there_names_what_is_near(
    field: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The user's mistake: exit code 2 and the nearest names."""
    assert main(["explain", field]) == 2
    assert message in capsys.readouterr().err


def test_crd_is_printed_as_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    """What `kubectl apply -f -` reads is the definition."""
    assert main(["crd"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == custom_resource_definition()


def test_recipes_are_listed_and_can_be_copied() -> None:
    """A printed recipe, under another name, is one that spec.recipes takes."""
    assert [line.split()[0] for line in recipe_table().splitlines()[1:]] == [r.name for r in BUILT_IN]
    for recipe in BUILT_IN:
        assert Recipe.model_validate(yaml.safe_load(recipe_text(recipe.name))) == recipe
    with pytest.raises(ValueError, match="did you mean vit-small"):
        recipe_text("vit_smal")


def test_models_are_listed_with_their_cost() -> None:
    """ViT-B/16 has 86.6 million parameters; a family that is not known has a dash."""
    lines = model_table("vit_base_patch16_224", image_size=224, num_classes=1000).splitlines()
    assert lines[1].split() == ["vit_base_patch16_224", "86,567,656", "35.13"]
    assert model_table("convnext_tiny", image_size=224, num_classes=10).splitlines()[1].split()[1:] == ["-", "-"]
    with pytest.raises(ValueError, match="no model of timm matches"):
        model_table("nothing_like_this", image_size=224, num_classes=10)


def test_yaml_text_reads_back_as_it_was() -> None:
    """Keys and values that YAML would take for something else are quoted."""
    data = {"no": "yes", "a b": [1, {"x": [[], {}], "y": None}], "n": {"0": "1e3", "t": "2001-01-01"}, "é": "a: b # c"}
    assert yaml.safe_load(to_yaml(data)) == data
