"""The findings in words and tables: what the numbers carry, and no more."""

from dataclasses import replace

import numpy as np
import pytest

from report_builders import model_point, simulated_study, view_with, with_heads, with_layers
from tepui_evaluator.findings import Findings, findings
from tepui_evaluator.findings_table import tables
from tepui_evaluator.findings_text import (
    heads_words,
    hull_words,
    layers_words,
    ranks_words,
    scaling_words,
    shots_words,
)
from tepui_evaluator.head_tradeoff import head_tradeoffs
from tepui_evaluator.report_data import ReportData
from tepui_evaluator.report_view import views
from tepui_evaluator.scaling_series import scaling_tests


@pytest.fixture(scope="module")
def found() -> Findings:
    return _of(with_layers(simulated_study()))


def _of(data: ReportData) -> Findings:
    return findings(data, views(data))


def test_shots_are_held_against_the_paper(found: Findings) -> None:
    """How many tasks move as the paper found; nothing with one number of shots."""
    text = shots_words(found.trends)
    assert text.startswith("With more shots e_IR falls in 3 of 3, k falls in 4 of 4 and alpha rises in 4 of 4 tasks")
    assert "not a test" in text
    assert shots_words(_of(simulated_study(shots=(25,))).trends) == ""


def test_scaling_names_where_a_factor_matters() -> None:
    """A shift by a factor is named with its task, p and size; without one the smallest p is told."""
    rng = np.random.default_rng(0)
    points = []
    for i in range(48):
        x, fraction = rng.uniform(0.15, 0.85), (0.1, 1.0)[i % 2]
        y = 0.1 + 0.6 * x**2 + rng.normal(0, 0.004) + 0.03 * (fraction == 1.0)
        factors = {"model": f"m{i // 4 % 6}", "dataFraction": fraction, "epochs": (1, 2)[i // 2 % 2], "seed": i}
        points.append(model_point(f"t{i}", x, y, model=f"m{i // 4 % 6}", factors=factors))
    lines = scaling_words(scaling_tests([view_with(points)]))
    assert any(
        line.startswith("At equal upstream error, the share of the data still matters on mnist (p < 0.001, 3.")
        for line in lines
    )
    assert any(
        line.startswith("At equal upstream error, the number of epochs makes no difference that the data show (")
        for line in lines
    )


def test_ranks_name_the_extremes(found: Findings) -> None:
    """The task that follows upstream most and least, with intervals, and the most alike pair."""
    text = ranks_words(found.ranks)
    assert text.startswith("The upstream order of the models carries over most to ")
    assert text.count("[") == 3
    assert "The tasks most alike are " in text
    assert ranks_words(()) == ""


def test_layers_name_tasks_with_a_better_layer(found: Findings) -> None:
    """Only the task that was made so is named; without layers nothing is said."""
    text = layers_words(found.layers)
    assert text.startswith(
        "An earlier layer than the head's input is better on 1 of 4 tasks: textures (50% of the blocks"
    )
    assert layers_words(()) == ""
    assert layers_words(found.layers[:1]).startswith("On no task")
    alike = [replace(p, gain=replace(p.gain, interval=None)) for p in found.layers]
    assert layers_words(alike).startswith("There are too few kinds of models")


def test_heads_name_the_cost_or_that_none_is_shown() -> None:
    """A trade-off is told with its cost; the same optimum has none; two sets are too few."""
    (line,) = heads_words(_of(with_heads(simulated_study())).heads)
    assert (
        line == "Upstream is best with a head weight decay of 4. The data show no task that this value costs anything."
    )
    points = [
        model_point(
            f"{b}-{level}", 0.3 + 0.1 * level + 0.001 * b, 0.5 - 0.2 * level + 0.002 * b * level,
            factors={"seed": b, "headLrScale": level},
        )
        for b in range(6)
        for level in (0.1, 1.0)
    ]  # fmt: skip
    (line,) = heads_words(head_tradeoffs([view_with(points)]))
    assert line.startswith("Upstream is best with a head learning rate 0.1 times the body's.")
    assert "That value costs 1 of 1 tasks: mnist wants 1 (" in line
    (line,) = heads_words(head_tradeoffs([view_with(points[:4])]))
    assert "too few sets" in line


def test_hull_words_count_models(found: Findings) -> None:
    """How many models are on a hull, of how many."""
    assert found.hull is not None
    assert hull_words(found.hull).startswith(
        f"{len(found.hull.members)} of 36 models are on the hull of at least one task"
    )
    assert hull_words(None) == ""


def test_every_finding_has_its_numbers(found: Findings) -> None:
    """Each table has as many cells a row as titles, and those of the shots hold the flags' words."""
    made = tables(found)
    assert set(made) == {"shots", "scaling", "ranks", "layers", "hull"}
    for some in made.values():
        for table in some:
            assert table.rows
            assert {len(row) for row in table.rows} == {len(table.columns)}
    claimed, published = made["shots"]
    textures = next(row for row in claimed.rows if row[:2] == ("textures", "e_IR"))
    assert set(textures[2:6]) == {"not identified"}
    mnist = next(row for row in claimed.rows if row[:2] == ("mnist", "e_IR"))
    assert mnist[-1].endswith("points: a change")
    assert next(row for row in published.rows if row[:2] == ("mnist", "k"))[-2:] == ("-0.90", "-1.00")
    assert "heads" in tables(_of(with_heads(simulated_study())))


@pytest.mark.parametrize("data", [ReportData(study="nothing"), simulated_study(1), simulated_study(3)])
def test_little_data_has_few_findings(data: ReportData) -> None:
    """None, one or three models: nothing is made up and nothing fails."""
    found = _of(replace(data, curves=()))
    assert (found.trends, found.scaling, found.layers, found.heads) == ((), (), (), ())
    assert shots_words(found.trends) == ranks_words(found.ranks if len(found.ranks) == 0 else ()) == ""
    tables(found)
