"""The rules of the house that a machine can check: who imports whom, what stays light, what is described."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pydantic import BaseModel

import builders
from tepui_spec import base, dataset, experiment, headline, law, outcome, pods, recipes, results, status, sweep, trial
from tepui_spec.expand import expand
from tepui_spec.trial import AnalyseTask, Destination, EvaluateTask, Placement, TrainTask

ROOT = Path(__file__).parents[2]
PARTS = {"spec": "tepui_spec", "operator": "tepui_operator", "trainer": "tepui_trainer", "evaluator": "tepui_evaluator"}
HEAVY = ("torch", "timm", "deepspeed", "mlflow", "scipy", "altair", "kubernetes", "pyarrow", "fsspec")


def sources() -> Iterator[Path]:
    for folder, package in PARTS.items():
        yield from sorted((ROOT / folder / package).rglob("*.py"))


def test_import_contracts_are_kept() -> None:
    """evaluator -> trainer -> spec and operator -> spec; what each may never load (.importlinter)."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--config", ".importlinter", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("folder", PARTS)
def test_nothing_importable_lies_beside_the_packages(folder: str) -> None:
    """A package `operator` would shadow the standard library's, and `import collections` dies from the root."""
    assert list((ROOT / folder).glob("*.py")) == []


def test_the_standard_library_survives_the_repositorys_root() -> None:
    """Python started in the root imports its own `operator`."""
    code = "import collections, operator; assert 'tepui' not in (operator.__file__ or ''); print('ok')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "ok\n", done.stderr


def loaded_by(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after some code."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}\nimport sys; print(*{{m.split('.')[0] for m in sys.modules}}, file=sys.stderr)",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def test_help_loads_no_library() -> None:
    """The parser of all commands loads neither pydantic nor numpy nor anything heavier: `tepui --help` is quick."""
    loaded = loaded_by("import tepui_spec.cli; tepui_spec.cli.parser()")
    assert loaded & {*HEAVY, "numpy", "pydantic", "yaml", "rich"} == set()


@pytest.mark.parametrize(
    "code",
    [
        "from tepui_spec.source import load_experiment; load_experiment('examples/quickstart.yaml')",
        "from tepui_spec.cli import main; main(['crd'])",
        "import tepui_spec.cost, tepui_spec.trial, tepui_spec.outcome, tepui_spec.results",
    ],
)
def test_the_contract_stays_light(code: str) -> None:
    """validate, crd and payloads load pydantic and the YAML parser, and nothing of the science."""
    assert loaded_by(code) & {*HEAVY, "numpy", "rich"} == set()


def test_entry_points_are_registers_and_mains_that_exist() -> None:
    """Every command and every stage that pyproject.toml declares can be loaded."""
    assert {entry.name for entry in entry_points(group="tepui.pods")} == {"train", "evaluate", "analyse"}
    for entry in entry_points(group="tepui.commands"):
        assert callable(entry.load())


MODULES = (base, dataset, experiment, headline, law, outcome, pods, recipes, results, status, sweep, trial)
FOUND = {value for module in MODULES for value in vars(module).values() if isinstance(value, type)}
PAYLOADS = [model for model in FOUND if issubclass(model, BaseModel) and model.__module__.startswith("tepui_spec")]


def test_payloads_are_frozen_strict_and_described() -> None:
    """A payload cannot change, takes no unknown field, and says what it is."""
    assert len(PAYLOADS) > 40
    for model in PAYLOADS:
        assert model.model_config.get("frozen"), model
        assert model.model_config.get("extra") == "forbid", model
        assert model.__doc__ or model.__name__.startswith("_"), model


def test_payloads_survive_the_wire() -> None:
    """What one part writes, another reads back equal."""
    study = builders.experiment()
    destination = Destination(storage_uri="results", study="study")
    config = expand(study.spec)[0].config
    shared = {"trial": "0", "attempt": 1, "config": config, "factors": {"seed": 1}, "destination": destination}
    train = TrainTask(placement=Placement(), checkpoint_every_s=60, data_uri="data", **shared)
    evaluate = EvaluateTask(evaluation=study.spec.evaluation, task_uris={"mnist": "data/mnist"}, **shared)
    analyse = AnalyseTask(experiment=study, attempt=0, final=True, destination=destination)
    for task in (train, evaluate, analyse):
        assert type(task).model_validate_json(task.model_dump_json(by_alias=True)) == task


def test_public_names_have_docstrings() -> None:
    """Every public module, class and function of the four parts says what it is."""
    bare = []
    for path in sources():
        tree = ast.parse(path.read_text())
        if path.name != "__init__.py" and not ast.get_docstring(tree):
            bare.append(str(path.relative_to(ROOT)))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                bare += [] if ast.get_docstring(node) else [f"{path.relative_to(ROOT)}: {node.name}"]
    assert bare == []


def test_files_stay_small() -> None:
    """One idea a file, about 400 lines at most."""
    assert {str(p.relative_to(ROOT)): n for p in sources() if (n := len(p.read_text().splitlines())) > 420} == {}


def test_test_files_have_names_of_their_own() -> None:
    """pytest takes a second file of one name for the first."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_every_test_says_what_it_shows() -> None:
    """A one-line docstring for each."""
    silent = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        functions = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef))
        tests = (f for f in functions if f.name.startswith("test_"))
        silent += [f"{path.relative_to(ROOT)}: {test.name}" for test in tests if not ast.get_docstring(test)]
    assert silent == []
