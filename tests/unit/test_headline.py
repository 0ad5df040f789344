"""Which laws are told where there is room for few."""

import pytest

from tepui_spec.headline import Headline, e_ir_text, headlines, to_look_at_first
from tepui_spec.law import Identified, Intervals, Law, LawKind


def law(kind: LawKind, identified: Identified, *, shots: int = 25, task: str = "mnist") -> Law:
    """A law with an interval."""
    return Law(
        law=kind,
        by={"task": task, "shots": shots},
        n=40,
        groups=20,
        fitted=40,
        e_ir=0.1,
        k=0.5,
        alpha=1.5,
        interval=Intervals(e_ir=(0.05, 0.15), k=(0.4, 0.6), alpha=(1.0, None)),
        confidence=0.95,
        identified=identified,
        reason="",
        method="",
        version="1",
    )


@pytest.mark.parametrize(
    ("frontier", "average", "told"),
    [
        ("yes", "yes", "frontier"),
        ("weak", "yes", "frontier"),
        ("at_most", "weak", "frontier"),
        ("no", "weak", "average"),
        ("no", "no", "frontier"),
    ],
)
def test_the_more_telling_law_of_a_pair(frontier: Identified, average: Identified, told: LawKind) -> None:
    """The frontier law, unless only the average law says anything; the published laws never."""
    (one,) = headlines([law("frontier", frontier), law("average", average), law("hull", "no"), law("all_points", "no")])
    assert one.law == told


def test_what_does_not_fit_is_left_out_from_the_fewest_shots() -> None:
    """The most shots of every task stay; what is kept is sorted for reading."""
    laws = [law("frontier", "yes", shots=shots, task=f"task{i}") for i in range(10) for shots in (1, 5, 25)]
    kept = headlines(laws, limit_bytes=2000)
    assert {h.task for h in kept if h.shots == 25} == {f"task{i}" for i in range(10)}
    assert len(kept) < len(laws)
    assert sum(len(h.model_dump_json()) + 1 for h in kept) <= 2000
    assert [(h.task, h.shots) for h in kept] == sorted((h.task, h.shots) for h in kept)


def headline(task: str, identified: Identified, low: float | None, high: float | None, *, shots: int = 25) -> Headline:
    """A headline with e_IR 0.0481 in an interval."""
    value = 0.0481 if identified == "yes" else None
    return Headline(
        task=task,
        shots=shots,
        law="frontier",
        n=40,
        e_ir=(value, low, high),
        k=(None, None, None),
        alpha=(None, None, None),
        identified=identified,
    )


def test_the_law_to_look_at_first_is_the_best_known_one_at_the_most_shots() -> None:
    """Identified before weakly identified, then the narrower interval; fewer shots only where there are no more."""
    laws = [
        headline("cars", "weak", 0.04, 0.05),
        headline("dtd", "yes", 0.01, 0.2),
        headline("pets", "yes", 0.03, 0.06),
        headline("mnist", "yes", 0.048, 0.0482, shots=5),
        headline("birds", "no", None, None),
    ]
    assert to_look_at_first(laws) is laws[2]
    assert to_look_at_first(laws[:1]) is laws[0]
    assert to_look_at_first([]) is None


@pytest.mark.parametrize(
    ("law", "text"),
    [
        (headline("cars", "yes", 0.0312, 0.06), "0.0481 [0.0312, 0.06]"),
        (headline("cars", "weak", None, 0.2), "[0, 0.2]"),
        (headline("cars", "at_most", None, 0.12), "at most 0.12"),
        (headline("cars", "no", None, None), "not identified"),
    ],
)
def test_e_ir_in_a_few_characters(law: Headline, text: str) -> None:
    """A point only where one is claimed."""
    assert e_ir_text(law) == text
