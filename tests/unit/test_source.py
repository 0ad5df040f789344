"""Reading an experiment from a file: what is accepted, and every message for what is not."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import experiment_dict
from tepui_spec.cli import main
from tepui_spec.errors import SourceError
from tepui_spec.experiment import Experiment
from tepui_spec.source import load_experiment
from tepui_spec.yaml_text import to_yaml

GOLDEN = Path(__file__).parents[1] / "golden" / "bad_inputs"
CASES = sorted(GOLDEN.glob("*.yaml"))


def messages(path: Path) -> str:
    """What load_experiment says about a file, with the file's name for its path."""
    with pytest.raises(SourceError) as refused:
        load_experiment(path)
    return f"{refused.value}\n".replace(str(path), path.name)


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_bad_inputs_are_refused_with_the_message_on_record(path: Path) -> None:
    """Every file of the table is refused, with exactly the words on record (TEPUI_UPDATE_GOLDEN=1 records anew)."""
    record = path.with_suffix(".txt")
    said = messages(path)
    if os.environ.get("TEPUI_UPDATE_GOLDEN"):
        record.write_text(said)
    assert said == record.read_text()


def test_every_line_names_the_file_and_where_it_can_the_line() -> None:
    """Editors find the place: FILE:LINE: at the beginning of each line, or FILE: where the whole file is meant."""
    for path in CASES:
        for line in messages(path).splitlines():
            assert line.startswith(f"{path.name}:")


def test_the_example_of_every_kind_of_value_is_read(tmp_path: Path) -> None:
    """Comments, a byte order mark, exponents and dates as names are no mistakes."""
    text = "\ufeff# a comment\n" + to_yaml(experiment_dict()) + "# the end\n"
    path = write(tmp_path, text.replace("seed: [0, 1]", "seed: [1e3, 2.0]").replace('"mnist"', "2001-01-01"))
    experiment = load_experiment(path)
    assert experiment.spec.sweep.grid is not None
    assert experiment.spec.sweep.grid.seed == (1000, 2)
    assert experiment.spec.evaluation.tasks == ("2001-01-01",)


def test_missing_folder_and_unreadable_file_are_the_users_mistakes(tmp_path: Path) -> None:
    """Each is told apart in words."""
    assert messages(tmp_path / "absent.yaml") == "absent.yaml: no such file\n"
    assert "is a folder" in messages(tmp_path)
    assert messages(write(tmp_path, "x") / "below.yaml").endswith("no such file\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_unreadable_file(tmp_path: Path) -> None:
    """A file without read permission is told as such."""
    path = write(tmp_path, "x")
    path.chmod(0)
    assert "permission denied" in messages(path)


def test_a_million_entries_are_refused_by_field(tmp_path: Path) -> None:
    """The list is named, and reading ends where the limit is met: what is broken after it is not even seen."""
    entries = ", ".join(map(str, range(1_000_000)))
    text = to_yaml(experiment_dict()).replace("seed: [0, 1]", f"seed: [{entries}]") + "]]] not YAML"
    said = messages(write(tmp_path, text))
    assert said == "study.yaml:22: spec.sweep.grid.seed: a list of more than 15,000 entries; no list may be longer\n"


def test_a_long_list_in_block_style_is_refused_on_its_line(tmp_path: Path) -> None:
    """The line is that of the first entry too many."""
    entries = "".join(f"\n      - {seed}" for seed in range(100_000))
    text = to_yaml(experiment_dict()).replace("seed: [0, 1]", f"seed:{entries}")
    assert messages(write(tmp_path, text)).startswith("study.yaml:15023: spec.sweep.grid.seed: a list of more than")


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    """A sparse file of a terabyte is answered at once."""
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(2**40)
    assert messages(path) == "huge.yaml: is larger than 10,485,760 bytes, the most a spec may have\n"


def test_many_mistakes_are_not_all_told(tmp_path: Path) -> None:
    """Past fifty, only their number."""
    sweep = {"list": [{"model": "tiny", "epochs": -1} for _ in range(80)]}
    said = messages(write(tmp_path, to_yaml(experiment_dict(sweep=sweep)))).splitlines()
    assert len(said) == 51
    assert said[-1] == "study.yaml: and 30 more"


def test_validate_prints_all_files_and_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A good file's trials on the output, a bad one's mistakes on the error output."""
    good = write(tmp_path, to_yaml(experiment_dict()))
    assert main(["validate", str(good), str(GOLDEN / "zero.yaml")]) == 2
    output = capsys.readouterr()
    assert output.out == f"{good}: ok: study, 4 trials, 1 downstream tasks\n"
    assert "spec.upstream.imageSize: 0: too small" in output.err
    assert main(["validate", str(good)]) == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
)


@settings(deadline=None, max_examples=50)
@given(value=JSON)
def test_nothing_that_json_can_say_ends_in_anything_but_a_source_error(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    """Whatever stands in the place of a section, the reader answers with messages, not with a traceback."""
    path = tmp_path_factory.mktemp("json") / "study.yaml"
    data = experiment_dict() | {"spec": value}
    path.write_text(json.dumps(data), errors="surrogatepass")
    with pytest.raises(SourceError):
        load_experiment(path)


def test_what_is_read_is_what_pydantic_reads(tmp_path: Path) -> None:
    """The file's experiment equals the one validated from the same data."""
    path = write(tmp_path, to_yaml(experiment_dict()))
    assert load_experiment(path) == Experiment.model_validate(experiment_dict())
